import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrate } from "../../local/database/migrations.ts";
import { SUPABASE_FOLDER } from "../../scripts/fresh-database.ts";
import { generatedTypes, TYPES_FILE } from "../../scripts/generated-types.ts";
import { adviceOn, supabase, withoutTls } from "../../scripts/official-cli.ts";
import { valueOf, withSession } from "../sql/support/session.ts";
import { stack } from "../support/stack.ts";
import { newProjectDatabase, type ProjectDatabase } from "./support/project-database.ts";

/** In the order in which a team meets them: these tests stand on one another. */
let project: ProjectDatabase;

beforeAll(async () => {
  project = await newProjectDatabase();
});

afterAll(() => project.close());

const push = (url: string, environment: Record<string, string> = {}) =>
  supabase(["db", "push", "--yes", `--remote=${withoutTls(url)}`], { environment });

const secretsIn = (url: string) =>
  withSession(async (session) => {
    const { rows } = await session.query<{ name: string; value: string }>(
      `select name, decrypted_secret as value from vault.decrypted_secrets
       where name in ('project_url', 'automations_key') order by name`,
    );
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }, url);

test("db push brings an empty project everything, and Vault the secrets of whoever pushes", async () => {
  const { exitCode, output } = await push(project.url, {
    ACCORD_PROJECT_URL: "https://abcdefghijklmnopqrst.supabase.co",
    ACCORD_AUTOMATIONS_KEY: "sb_secret_pushed",
  });
  expect(exitCode, output).toBe(0);
  const files = readdirSync(join(SUPABASE_FOLDER, "migrations")).filter((name) => name.endsWith(".sql")).sort();
  const versions = await withSession(
    (session) =>
      valueOf(
        session,
        "select array_agg(version || '_' || name || '.sql' order by version) from supabase_migrations.schema_migrations",
      ),
    project.url,
  );
  expect(versions).toEqual(files);
  expect(await secretsIn(project.url)).toEqual({
    automations_key: "sb_secret_pushed",
    project_url: "https://abcdefghijklmnopqrst.supabase.co",
  });
});

test("it pushes as a role that is no superuser", async () => {
  const isSuperuser = "select rolsuper from pg_catalog.pg_roles where rolname = current_user";
  expect(await withSession((session) => valueOf(session, isSuperuser), project.url)).toBe(false);
});

test("db push again: nothing to do, and so nothing for Vault: a key is rotated there, not by pushing", async () => {
  const { exitCode, output } = await push(project.url, {
    ACCORD_PROJECT_URL: "https://abcdefghijklmnopqrst.supabase.co",
    ACCORD_AUTOMATIONS_KEY: "sb_secret_rotated",
  });
  expect(exitCode, output).toBe(0);
  expect(output).toContain("Remote database is up to date.");
  expect(await secretsIn(project.url)).toMatchObject({ automations_key: "sb_secret_pushed" });
});

test("what was pushed is what this stack would have applied", async () => {
  expect(await migrate(project.url, SUPABASE_FOLDER, { seed: false })).toEqual({ applied: [], seeded: false });
});

test("db push to the running stack: nothing to do, and its own secrets stay", async () => {
  const before = await secretsIn(stack().databaseUrl);
  const { exitCode, output } = await push(stack().databaseUrl);
  expect(exitCode, output).toBe(0);
  expect(output).toContain("Remote database is up to date.");
  expect(await secretsIn(stack().databaseUrl)).toEqual(before);
});

test("db advisors has no warning and no error", async () => {
  const { exitCode, output } = await adviceOn(project.url);
  expect(exitCode, output).toBe(0);
  expect(output).toContain("No issues found");
});

test("gen types gives the types that the code uses; if not, `npm run types` mends it", async () => {
  expect(await generatedTypes(project.url)).toBe(readFileSync(TYPES_FILE, "utf8"));
});

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { messageOf, StartError } from "../errors.ts";
import { connect } from "./connect.ts";
import { STAND_INS, type StandInName, standInScript } from "./stand-ins.ts";

/** Which of the platform's workers the database has itself; the stack runs stand-ins for the others. */
export interface Workers {
  cron: boolean;
  net: boolean;
}

/**
 * Makes any Postgres look like a hosted Supabase project: roles, schemas, default privileges, and stand-ins for the
 * extensions that it lacks. What is there already stays as it is; a real Supabase is left alone altogether.
 */
export async function bootstrap(url: string): Promise<Workers> {
  const client = await connect(url, "accord-bootstrap");
  try {
    if (await isSuperuser(client)) {
      await runScripts(client);
      await installStandIns(client);
    } else {
      await requireSupabase(client);
    }
    const workers = { cron: await isPreloaded(client, "pg_cron"), net: await isPreloaded(client, "pg_net") };
    return workers;
  } finally {
    await client.end();
  }
}

async function isSuperuser(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ rolsuper: boolean }>(
    "select rolsuper from pg_catalog.pg_roles where rolname = current_user",
  );
  return rows[0]?.rolsuper === true;
}

/** Without a superuser nothing can be made up for: everything must be there. */
async function requireSupabase(client: pg.Client): Promise<void> {
  const { rows: [found] } = await client.query<{ missing: string[] }>(`
    select array(
      select kind || ' ' || name
      from (values
        ('role', 'anon', (select true from pg_catalog.pg_roles where rolname = 'anon')),
        ('role', 'service_role', (select true from pg_catalog.pg_roles where rolname = 'service_role')),
        ('table', 'auth.users', to_regclass('auth.users') is not null),
        ('table', 'storage.objects', to_regclass('storage.objects') is not null),
        ('schema', 'extensions', to_regnamespace('extensions') is not null)
      ) as wanted (kind, name, present)
      where present is not true
    ) as missing`);
  if (found !== undefined && found.missing.length > 0) {
    throw new StartError(
      `The database lacks ${found.missing.join(", ")}, and its role may not create them. ` +
        "Give --database-url a superuser, or the database of a Supabase project.",
    );
  }
}

async function runScripts(client: pg.Client): Promise<void> {
  const directory = new URL("./bootstrap/", import.meta.url);
  const scripts = readdirSync(fileURLToPath(directory)).filter((name) => name.endsWith(".sql")).sort();
  // The roles come first: every other script grants to them.
  for (const script of ["roles.sql", ...scripts.filter((name) => name !== "roles.sql")]) {
    try {
      await client.query(readFileSync(new URL(script, directory), "utf8"));
    } catch (cause) {
      throw new StartError(`The database cannot be made ready (${script}): ${messageOf(cause)}`, { cause });
    }
  }
}

/** Stand-ins are extensions where the server can hold them, and plain objects where it cannot. */
async function installStandIns(client: pg.Client): Promise<void> {
  for (const name of Object.keys(STAND_INS) as StandInName[]) {
    const { schema } = STAND_INS[name];
    const { rows: [state] } = await client.query<{ present: boolean; available: boolean }>(
      `select to_regnamespace($1) is not null as present,
              exists (select from pg_catalog.pg_available_extensions where name = $2) as available`,
      [schema, name],
    );
    if (state?.present) continue;
    const usable = state?.available &&
      (name === "supabase_vault" || await isPreloaded(client, name) || await isEmbedded(client));
    if (!usable) await client.query(standInScript(name));
    // Vault is part of every hosted project; the others wait for the migration that asks for them.
    else if (name === "supabase_vault") await client.query("create extension supabase_vault");
  }
}

async function isEmbedded(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ embedded: boolean }>("select version() like '%PGlite%' as embedded");
  return rows[0]?.embedded === true;
}

/** Whether the server runs this extension's background worker, for this database. */
async function isPreloaded(client: pg.Client, name: "pg_cron" | "pg_net"): Promise<boolean> {
  const { rows } = await client.query<{ preloaded: boolean }>(
    `select $1 = any (regexp_split_to_array(current_setting('shared_preload_libraries'), '\\s*,\\s*'))
            and coalesce(current_setting($2, true), current_database()) = current_database() as preloaded`,
    [name, name === "pg_cron" ? "cron.database_name" : "pg_net.database_name"],
  );
  return rows[0]?.preloaded === true;
}

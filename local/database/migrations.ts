import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { messageOf, StartError } from "../errors.ts";
import { connect } from "./connect.ts";
import { splitStatements, type Statement } from "./statements.ts";

/** Where the official CLI keeps its account, so that `db push` and this stack agree on what was applied. */
const HISTORY = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (
    version text primary key, statements text[], name text
  );
  create table if not exists supabase_migrations.seed_files (path text primary key, hash text not null);
`;

const FILE_NAME = /^(\d+)_(.*)\.sql$/;

export interface AppliedMigrations {
  applied: string[];
  seeded: boolean;
}

/** Applies what `supabase/migrations` holds and the database does not, each file in a transaction of its own. */
export async function migrate(url: string, directory: string, options: { seed: boolean }): Promise<AppliedMigrations> {
  const client = await connect(url, "accord-migrations");
  try {
    await client.query(HISTORY);
    const { rows } = await client.query<{ version: string }>(
      "select version from supabase_migrations.schema_migrations",
    );
    const known = new Set(rows.map(({ version }) => version));
    const applied: string[] = [];
    for (const { file, version, name } of migrationFiles(join(directory, "migrations"))) {
      if (known.has(version)) continue;
      await inOneTransaction(client, async () => {
        const statements = await run(client, join(directory, "migrations", file), `supabase/migrations/${file}`);
        await client.query("insert into supabase_migrations.schema_migrations values ($1, $2, $3)", [
          version,
          statements.map(({ text }) => text),
          name,
        ]);
      });
      applied.push(file);
    }
    return { applied, seeded: options.seed && await seed(client, join(directory, "seed.sql")) };
  } finally {
    await client.end();
  }
}

/** The seed runs once: a database that had it keeps what its users made of it. */
async function seed(client: pg.Client, file: string): Promise<boolean> {
  const path = "supabase/seed.sql";
  if (!existsSync(file)) return false;
  const { rowCount } = await client.query("select from supabase_migrations.seed_files where path = $1", [path]);
  if (rowCount !== 0) return false;
  const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
  await inOneTransaction(client, async () => {
    await run(client, file, path);
    await client.query("insert into supabase_migrations.seed_files values ($1, $2)", [path, hash]);
  });
  return true;
}

function migrationFiles(directory: string): { file: string; version: string; name: string }[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).sort().flatMap((file) => {
    const [, version, name] = FILE_NAME.exec(file) ?? [];
    return version === undefined || name === undefined ? [] : [{ file, version, name }];
  });
}

async function run(client: pg.Client, file: string, shownAs: string): Promise<Statement[]> {
  const statements = splitStatements(readFileSync(file, "utf8"));
  for (const statement of statements) {
    try {
      await client.query(statement.text);
    } catch (cause) {
      throw new StartError(`${shownAs}, line ${lineOf(statement, cause)}: ${messageOf(cause)}`, { cause });
    }
  }
  return statements;
}

function lineOf({ text, line }: Statement, error: unknown): number {
  const position = error instanceof pg.DatabaseError ? Number(error.position ?? 1) : 1;
  return line + text.slice(0, position - 1).split("\n").length - 1;
}

async function inOneTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

import { randomUUID } from "node:crypto";
import process from "node:process";
import pg from "pg";
import { bootstrap } from "../../../local/database/bootstrap.ts";
import { migrate } from "../../../local/database/migrations.ts";
import { SUPABASE_FOLDER } from "../../../scripts/fresh-database.ts";

export interface OwnDatabase {
  url: string;
  /** A session of its own; it ends with the database. */
  connect(): Promise<pg.Client>;
  drop(): Promise<void>;
}

/** A migrated database of a suite's own on the real server, so that it may bend the very functions under test. */
export async function createOwnDatabase(): Promise<OwnDatabase> {
  const server = new URL(process.env.DATABASE_URL ?? "");
  const name = `accord_${randomUUID().replaceAll("-", "")}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: server.href });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await onServer(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  await bootstrap(url.href);
  await migrate(url.href, SUPABASE_FOLDER, { seed: false });
  const clients: pg.Client[] = [];
  return {
    url: url.href,
    connect: async () => {
      const client = new pg.Client({ connectionString: url.href });
      // Dropping the database ends the sessions that are still open.
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    drop: async () => {
      await Promise.all(clients.map((client) => client.end()));
      await onServer(`drop database ${name} with (force)`);
    },
  };
}

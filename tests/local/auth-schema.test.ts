import { readFile } from "node:fs/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { stack } from "../support/stack.ts";

/** Runs the work in a transaction that leaves nothing behind. */
async function rolledBack<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(stack().databaseUrl);
  await client.connect();
  try {
    await client.query("begin");
    return await work(client);
  } finally {
    await client.query("rollback");
    await client.end();
  }
}

describe("the auth schema", () => {
  test.each(["anon", "authenticated", "service_role"])("shows no table to %s", async (role) => {
    const { rows } = await rolledBack((client) =>
      client.query<{ table: string }>(
        `select relname as table from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r'
         and has_table_privilege($1, oid, 'select, insert, update, delete, truncate, references, trigger')`,
        [role],
      )
    );
    expect(rows).toEqual([]);
  });

  test("keeps row-level security on every table", async () => {
    const { rows } = await rolledBack((client) =>
      client.query(
        `select relname from pg_class
         where relnamespace = 'auth'::regnamespace and relkind = 'r' and not relrowsecurity`,
      )
    );
    expect(rows).toEqual([]);
  });

  test("lets postgres refer to users, watch them and grant others to read them", async () => {
    await rolledBack(async (client) => {
      await client.query("set local role postgres");
      await client.query(`
        create table public.auth_test_notes (author uuid references auth.users (id) on delete cascade);
        create function public.auth_test_watch() returns trigger language plpgsql as $$ begin return new; end $$;
        create trigger auth_test_watch after insert on auth.users execute function public.auth_test_watch();
        grant select on auth.users to service_role;
      `);
    });
  });

  test.each(["anon", "authenticated", "service_role"])("tells %s who is calling, from the claims", async (role) => {
    const claims = { sub: crypto.randomUUID(), role, email: "claire@people.test", app_metadata: { role: "admin" } };
    const { rows } = await rolledBack(async (client) => {
      await client.query("select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [
        role,
        JSON.stringify(claims),
      ]);
      return await client.query("select auth.uid(), auth.role(), auth.email(), auth.jwt()");
    });
    expect(rows).toEqual([{ uid: claims.sub, role, email: claims.email, jwt: claims }]);
  });

  test("knows nobody where there are no claims", async () => {
    const { rows } = await rolledBack((client) => client.query("select auth.uid(), auth.role(), auth.jwt()"));
    expect(rows).toEqual([{ uid: null, role: null, jwt: null }]);
  });

  test("is left alone by a second bootstrap", async () => {
    const bootstrap = await readFile(new URL("../../local/database/bootstrap/auth.sql", import.meta.url), "utf8");
    const snapshot = `select oid, relname, relowner, relacl from pg_class
      where relnamespace = 'auth'::regnamespace order by oid`;
    await rolledBack(async (client) => {
      const before = await client.query(snapshot);
      await client.query(bootstrap);
      expect((await client.query(snapshot)).rows).toEqual(before.rows);
    });
  });
});

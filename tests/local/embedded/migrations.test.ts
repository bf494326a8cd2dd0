import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { migrate } from "../../../local/database/migrations.ts";
import { type OpenDatabase, openEmbedded } from "../../../local/database/open.ts";
import { splitStatements } from "../../../local/database/statements.ts";

describe("the statements of an SQL file", () => {
  const texts = (sql: string) => splitStatements(sql).map(({ text }) => text);

  it("end at semicolons, and only at those that end something", () => {
    expect(
      texts(
        "select ';'; select \"a;b\"; select $$;$$; select $x$ $$;$$ $x$; select E'\\';'; select 1 -- ;\n; select 2",
      ),
    )
      .toEqual([
        "select ';'",
        'select "a;b"',
        "select $$;$$",
        "select $x$ $$;$$ $x$",
        "select E'\\';'",
        "select 1 -- ;",
        "select 2",
      ]);
  });

  it("leave out comments before them, nested ones within them do not count", () => {
    expect(texts("-- first;\n\nselect /* a /* b; */ c; */ 1;\n-- last;\n")).toEqual(["select /* a /* b; */ c; */ 1"]);
  });

  it("know their line", () => {
    expect(splitStatements("\n-- one\nselect 1;\n\nselect\n2;").map(({ line }) => line)).toEqual([3, 5]);
  });
});

describe("migrations", () => {
  let database: OpenDatabase;
  let directory: string;
  let client: pg.Client;

  beforeAll(async () => {
    database = await openEmbedded({ directory: undefined, port: 0 }, (message) => {
      throw new Error(message);
    });
    client = new pg.Client({ connectionString: database.stackUrl });
    await client.connect();
  });

  beforeEach(async () => {
    await client.query("drop schema if exists supabase_migrations cascade; drop table if exists made");
    directory = mkdtempSync(join(tmpdir(), "accord-migrations-"));
    mkdirSync(join(directory, "migrations"));
    return () => rmSync(directory, { recursive: true });
  });

  afterAll(async () => {
    await client.end();
    await database.close();
  });

  const write = (name: string, sql: string) => writeFileSync(join(directory, name), sql);
  const run = () => migrate(database.stackUrl, directory, { seed: true });
  const count = async (sql: string) =>
    (await client.query<{ n: number }>(`select count(*)::int as n from ${sql}`)).rows[0]?.n;

  it("are applied once, in order, and recorded as the official CLI records them", async () => {
    write("migrations/2_second.sql", "insert into made values (2);");
    write("migrations/1_first.sql", "create table made (n int);\ninsert into made values (1);");
    expect((await run()).applied).toEqual(["1_first.sql", "2_second.sql"]);
    expect((await run()).applied).toEqual([]);
    expect(await count("made")).toBe(2);
    const { rows } = await client.query("select * from supabase_migrations.schema_migrations order by version");
    expect(rows).toEqual([
      { version: "1", name: "first", statements: ["create table made (n int)", "insert into made values (1)"] },
      { version: "2", name: "second", statements: ["insert into made values (2)"] },
    ]);
  });

  it("that fail are named with their line, and leave nothing of themselves", async () => {
    write("migrations/1_first.sql", "create table made (n int);");
    write("migrations/2_second.sql", "insert into made values (1);\n\ninsert into made\nvalues (1, nowhere);");
    await expect(run()).rejects.toThrow('supabase/migrations/2_second.sql, line 4: column "nowhere" does not exist');
    expect(await count("made")).toBe(0);
    expect(await count("supabase_migrations.schema_migrations")).toBe(1);
  });

  it("that fail without a position are told by the line of their statement", async () => {
    write(
      "migrations/1_first.sql",
      "create table made (n int check (n > 0));\n-- wrong:\ninsert into made values (0);",
    );
    await expect(run()).rejects.toThrow("supabase/migrations/1_first.sql, line 3: new row");
  });

  it("are followed by the seed once, whatever becomes of its rows", async () => {
    write("migrations/1_first.sql", "create table made (n int);");
    write("seed.sql", "insert into made values (7);");
    expect((await run()).seeded).toBe(true);
    await client.query("delete from made");
    expect((await run()).seeded).toBe(false);
    expect(await count("made")).toBe(0);
  });
});

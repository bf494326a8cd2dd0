import { once } from "node:events";
import { connect } from "node:net";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenDatabase, openEmbedded } from "../../../local/database/open.ts";
import { frame, FrameSplitter, query } from "../../../local/database/wire/frames.ts";
import { Buffer } from "node:buffer";

let database: OpenDatabase;
const open: pg.Client[] = [];

async function client(options: pg.ClientConfig = {}): Promise<pg.Client> {
  const opened = new pg.Client({ connectionString: database.stackUrl, ...options });
  await opened.connect();
  open.push(opened);
  return opened;
}

async function one<T>(on: pg.Client, sql: string, values: unknown[] = []): Promise<T> {
  const { rows } = await on.query<{ value: T }>({ text: sql, values });
  return rows[0]?.value as T;
}

beforeAll(async () => {
  database = await openEmbedded({ directory: undefined, port: 0 }, (message) => {
    throw new Error(message);
  });
  const admin = await client();
  await admin.query(`
    create role postgres login createdb createrole bypassrls;
    create role reader nologin;
    alter role postgres set search_path = 'pg_catalog';
    create table public.notes (id int primary key, body text);
    grant select on public.notes to reader;
  `);
});

afterAll(async () => {
  for (const opened of open) await opened.end();
  await database.close();
});

describe("several clients on the one embedded session", () => {
  it("each keep their own settings, whoever speaks in between", async () => {
    const [first, second] = [await client(), await client()];
    await first.query("set statement_timeout = '7s'; set custom.tenant = 'first'");
    await second.query("set statement_timeout = '9s'");
    expect(await one(first, "select current_setting('statement_timeout') as value")).toBe("7s");
    expect(await one(first, "select current_setting('custom.tenant', true) as value")).toBe("first");
    expect(await one(second, "select current_setting('statement_timeout') as value")).toBe("9s");
    expect(await one(second, "select coalesce(current_setting('custom.tenant', true), '') as value")).toBe("");
  });

  it("each keep their own role, and a new one begins with its own", async () => {
    const [first, second] = [await client(), await client()];
    await first.query("set role reader");
    expect(await one(second, "select current_user as value")).toBe("supabase_admin");
    expect(await one(first, "select current_user as value")).toBe("reader");
    const person = new pg.Client({ connectionString: database.url });
    await person.connect();
    open.push(person);
    expect(await one(person, "select session_user as value")).toBe("postgres");
    expect(await one(person, "select current_setting('search_path') as value")).toBe("pg_catalog");
    await first.query("reset role");
    expect(await one(first, "select current_user as value")).toBe("supabase_admin");
  });

  it("may use the same statement name for different statements", async () => {
    const [first, second] = [await client(), await client()];
    const ask = (on: pg.Client, text: string) => on.query<{ value: string }>({ name: "mine", text });
    await ask(first, "select 'first' as value");
    await ask(second, "select 'second' as value");
    expect((await ask(first, "select 'first' as value")).rows).toEqual([{ value: "first" }]);
    expect((await ask(second, "select 'second' as value")).rows).toEqual([{ value: "second" }]);
  });

  it("keep their prepared statements when another discards all of its own", async () => {
    const [first, second] = [await client(), await client()];
    const named = { name: "kept", text: "select 1 as value" };
    await first.query(named);
    await second.query("discard all");
    expect((await first.query(named)).rows).toEqual([{ value: 1 }]);
  });

  it("see nothing of a transaction that is not over, and wait for it rather than mix with it", async () => {
    const [writer, reader] = [await client(), await client()];
    await writer.query("begin");
    await writer.query("insert into notes values (1, 'uncommitted')");
    const count = one(reader, "select count(*)::int as value from notes");
    await writer.query("rollback");
    expect(await count).toBe(0);
  });

  it("go on after a client vanished in the middle of a transaction, and its work is undone", async () => {
    const [vanishing, other] = [await client(), await client()];
    open.splice(open.indexOf(vanishing), 1);
    vanishing.on("error", () => {});
    await vanishing.query("begin; insert into notes values (2, 'abandoned')");
    (vanishing as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    expect(await one(other, "select count(*)::int as value from notes")).toBe(0);
  });

  it("hear the notifications that others send, after commit and in order", async () => {
    const [listener, sender] = [await client(), await client()];
    const heard: string[] = [];
    const all = new Promise<void>((resolve) =>
      listener.on("notification", ({ payload = "" }) => {
        heard.push(payload);
        if (payload === "end") resolve();
      })
    );
    await listener.query("listen news");
    await sender.query("begin; notify news, 'never'; rollback");
    await sender.query("begin; notify news, 'one'; notify news, 'two'; commit");
    await sender.query("notify news, 'end'");
    await all;
    expect(heard).toEqual(["one", "two", "end"]);
  });

  it("go on listening when another one unlistens or discards all, and stop when they do so themselves", async () => {
    const [listener, leaver, sender] = [await client(), await client(), await client()];
    const heard: string[] = [];
    const hear = (on: pg.Client, who: string) =>
      on.on("notification", ({ payload }) => heard.push(`${who} ${payload}`));
    hear(listener, "listener");
    hear(leaver, "leaver");
    await listener.query("listen shared");
    await leaver.query("listen shared");
    await leaver.query("unlisten shared");
    await sender.query("notify shared, 'one'");
    await leaver.query("discard all");
    await sender.query("notify shared, 'two'");
    // Whatever was sent to them is read by now: each has asked since, and been answered.
    await Promise.all([listener.query("select 1"), leaver.query("select 1")]);
    expect(heard).toEqual(["listener one", "listener two"]);
  });

  it("leave nothing of their own behind: temporary tables, statements of SQL's PREPARE", async () => {
    const leaving = await client();
    open.splice(open.indexOf(leaving), 1);
    await leaving.query("create temporary table left_behind (n int); prepare left_behind as select 1");
    await leaving.end();
    const next = await client();
    expect(await one(next, "select to_regclass('pg_temp.left_behind')::text as value")).toBeNull();
    await next.query("prepare left_behind as select 2");
  });

  it("answer a hundred clients at once", async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, () => client()));
    const answers = await Promise.all(clients.map((each, i) => one<number>(each, "select $1::int as value", [i])));
    expect(answers).toEqual(clients.map((_, i) => i));
  });

  it("refuse an unknown database and an unknown role by name", async () => {
    const attempt = (options: pg.ClientConfig) => {
      const { port } = new URL(database.url);
      return new pg.Client({ host: "127.0.0.1", port: Number(port), ...options }).connect();
    };
    await expect(attempt({ user: "postgres", database: "elsewhere" })).rejects.toThrow(
      'database "elsewhere" does not exist',
    );
    await expect(attempt({ user: "nobody", database: "postgres" })).rejects.toThrow('role "nobody" does not exist');
    await expect(attempt({ user: "reader", database: "postgres" })).rejects.toThrow("not permitted to log in");
  });
});

describe("the wire protocol", () => {
  /** Speaks it by hand; gives the types of the answers up to the given number of ReadyForQuery. */
  async function converse(messages: Buffer[], readies: number): Promise<string> {
    const { port } = new URL(database.url);
    const socket = connect(Number(port), "127.0.0.1");
    const parameters = Buffer.from("user\0supabase_admin\0database\0postgres\0\0");
    const head = Buffer.alloc(8);
    head.writeInt32BE(8 + parameters.length, 0);
    head.writeInt32BE(196608, 4);
    socket.write(Buffer.concat([head, parameters, ...messages]));
    const splitter = new FrameSplitter();
    const types: string[] = [];
    for await (const chunk of socket) {
      types.push(...splitter.push(chunk as Buffer).map(({ type }) => type));
      if (types.filter((type) => type === "Z").length > readies) break;
    }
    return types.join("").replace(/^RS+KZ/, "");
  }

  it("takes COPY from standard input, in several messages", async () => {
    const answer = await converse([
      query("copy public.notes from stdin"),
      frame("d", "10\tten\n11\tele"),
      frame("d", "ven\n"),
      frame("c"),
    ], 1);
    expect(answer).toBe("GCZ");
    const reader = await client();
    expect(await one(reader, "select string_agg(body, ' ' order by id) as value from notes where id > 9")).toBe(
      "ten eleven",
    );
  });

  it("tells a failing COPY as an error and goes on", async () => {
    expect(await converse([query("copy public.missing from stdin"), frame("d", "1\n"), frame("c")], 1)).toBe("GEZ");
  });

  it("answers a greeting that came in pieces", async () => {
    const { port } = new URL(database.url);
    const socket = connect(Number(port), "127.0.0.1");
    const ssl = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
    socket.write(ssl.subarray(0, 3));
    socket.write(ssl.subarray(3));
    const [answer] = await once(socket, "data");
    expect(String(answer)).toBe("N");
    socket.destroy();
  });

  /** Sends bytes to the port as they are, and tells what came back before the connection ended. */
  async function send(bytes: Buffer): Promise<string> {
    const { port } = new URL(database.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(bytes);
    const splitter = new FrameSplitter();
    const types: string[] = [];
    for await (const chunk of socket) types.push(...splitter.push(chunk as Buffer).map(({ type }) => type));
    return types.join("");
  }

  function greeting(database: string): Buffer {
    const parameters = Buffer.from(`user\0supabase_admin\0database\0${database}\0\0`);
    const head = Buffer.alloc(8);
    head.writeInt32BE(8 + parameters.length, 0);
    head.writeInt32BE(196608, 4);
    return Buffer.concat([head, parameters]);
  }

  it.each([
    ["eight zero bytes", Buffer.alloc(8)],
    ["a greeting without end", Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0])],
    ["a web page's request", Buffer.from("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")],
    ["a refused greeting with a query behind it", Buffer.concat([greeting("elsewhere"), query("select 1")])],
    ["a greeting with half a message behind it", Buffer.concat([greeting("postgres"), frame("P", "no end")])],
  ])("%s end that connection, and the others are served", async (_, bytes) => {
    expect(await send(bytes)).toMatch(/E$/);
    expect(await one(await client(), "select 1 as value")).toBe(1);
  });

  it("ends a connection that speaks nonsense, and serves the others", async () => {
    expect(await converse([Buffer.from("Q\0\0\0\0nonsense")], 5)).toBe("E");
    expect(await one(await client(), "select 1 as value")).toBe(1);
  });
});

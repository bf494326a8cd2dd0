import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/** What a change of profile holds while it lasts: nobody who searches waits for it, and no worker fails because of it. */
const FIRST = smallProfile("test:first:2");

let database: OwnDatabase;
let owner: pg.Client;
let visitor: pg.Client;
let worker: SqlWorker;

beforeAll(async () => {
  database = await createOwnDatabase();
  [owner, visitor] = [await database.connect(), await database.connect()];
  await visitor.query("set lock_timeout = '1s'");
  await owner.query(`
    select public.unregister_embedding_source(source_table) from private.embedding_sources;
    create table public.notes (id int primary key, body text not null);
    insert into public.notes values (1, 'one');
    select public.register_embedding_source('public.notes', 'body');
    select private.use_default_profile('${JSON.stringify(FIRST)}');
  `);
  worker = new SqlWorker(await database.connect(), FIRST);
  await embedAll();
});

afterAll(() => database.drop());

async function embedAll(): Promise<void> {
  const jobs = await worker.claim();
  await worker.finish(jobs.map((job) => embedded(job)));
}

const prepare =
  "select public.prepare_embedding_profile('test:second:2', 'test', 'second', 2, 400, 0, '{title} {chunk}')";
const retire = "select public.retire_embedding_profile('test:second:2')";

async function search(): Promise<string[]> {
  const { rows } = await visitor.query<{ content: string }>(
    `select hit ->> 'content' as content
     from jsonb_array_elements(public.search_documentation('[1, 0]', 'test:first:2')) as hit`,
  );
  return rows.map(({ content }) => content);
}

async function profiles(): Promise<string[]> {
  const { rows } = await visitor.query<{ name: string }>("select name from private.embedding_profiles order by name");
  return rows.map(({ name }) => name);
}

it("who searches does not wait for a profile that is being prepared", async () => {
  await owner.query("alter table public.notes add title text not null default ''");
  await owner.query("begin");
  await owner.query(prepare);
  expect(await search()).toEqual(["one"]);
  await owner.query("commit");
  expect(await profiles()).toEqual(["test:first:2", "test:second:2"]);
});

it("a profile that is being read is not retired: whoever searches would wait as well", async () => {
  await visitor.query("begin");
  expect(await search()).toEqual(["one"]);
  await visitor.query("select count(*) from public.documentation_embeddings");
  await expect(owner.query(retire)).rejects.toMatchObject({
    code: "PT409",
    message: 'Profile "test:second:2" is in use just now',
  });
  await visitor.query("commit");
  expect(await profiles()).toEqual(["test:first:2", "test:second:2"]);
  expect(await search()).toEqual(["one"]);
});

it("a profile that nobody reads is gone with all its copies", async () => {
  await owner.query(retire);
  expect(await profiles()).toEqual(["test:first:2"]);
  const { rows } = await owner.query("select distinct profile from private.embedded_rows");
  expect(rows).toEqual([{ profile: "test:first:2" }]);
  expect(await search()).toEqual(["one"]);
});

it("a worker that ends while the copies are locked ends all the same, and the next one has the profile take its place", async () => {
  const next = new SqlWorker(await database.connect(), smallProfile("test:third:2"));
  const jobs = await next.claim();
  await next.finish(jobs.map((job) => embedded(job)));
  const states = async () => {
    const { rows } = await visitor.query<{ state: string }>(
      "select format('%s %s', name, state) as state from private.embedding_profiles order by name",
    );
    return rows.map(({ state }) => state);
  };
  // Up to the proof that it is complete, of which nothing is lacking any more.
  await next.end();
  await next.end();
  expect(await states()).toEqual(["test:first:2 active", "test:third:2 building"]);
  await owner.query("begin");
  await owner.query("lock table public.documentation_embeddings in access exclusive mode");
  await next.end();
  expect(await states()).toEqual(["test:first:2 active", "test:third:2 building"]);
  await owner.query("rollback");
  await next.end();
  expect(await states()).toEqual(["test:first:2 kept", "test:third:2 active"]);
});

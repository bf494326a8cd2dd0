import type pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/** A table that somebody holds costs those who look at all tables, or change one, a moment; and nobody else anything. */
const PROFILE = smallProfile("test:locks:2");

let database: OwnDatabase;
let owner: pg.Client;
let holder: pg.Client;
let visitor: pg.Client;

beforeAll(async () => {
  database = await createOwnDatabase();
  [owner, holder, visitor] = [await database.connect(), await database.connect(), await database.connect()];
  await visitor.query("set lock_timeout = '700ms'");
  await owner.query("select public.unregister_embedding_source(relation) from private.embedding_sources");
});

afterAll(() => database.drop());

beforeEach(async () => {
  await owner.query("drop table if exists public.healthy, public.held; select private.forget_dropped_sources()");
  for (const table of ["healthy", "held"]) {
    await owner.query(`
      create table public.${table} (id int primary key, body text);
      insert into public.${table} values (1, 'one'), (2, 'two');
      select public.register_embedding_source('public.${table}', 'body')`);
  }
  const worker = new SqlWorker(owner, PROFILE);
  const jobs = await worker.claim();
  await worker.finish(jobs.map((job) => embedded(job)));
  await worker.end();
});

/** While somebody has what the statement takes. */
async function holding(sql: string, work: () => Promise<void>): Promise<void> {
  await holder.query(`begin; ${sql}`);
  try {
    await work();
  } finally {
    await holder.query("rollback");
  }
}

const lockHeld = "lock table public.held in access exclusive mode";

async function rows<Row extends pg.QueryResultRow>(client: pg.Client, sql: string): Promise<Row[]> {
  return (await client.query<Row>(sql)).rows;
}

it("a table that is locked is told as such by the proof, and keeps neither the others nor the status from being told", () =>
  holding(lockHeld, async () => {
    const problems = await rows(owner, "select source_table, problem, detail from public.verify_embeddings()");
    expect(problems).toEqual([
      { source_table: "held", problem: "locked", detail: "somebody has it locked just now (SQLSTATE 55P03)" },
    ]);
    expect(await rows(owner, "select source_table, eligible::int from public.embedding_sync_status order by 1"))
      .toEqual([{ source_table: "healthy", eligible: 2 }, { source_table: "held", eligible: null }]);
    await owner.query("select private.watch_embeddings()");
    expect(
      await rows(owner, "select kind, subject from public.alerts where resolved_at is null and kind ~ '^embedding'"),
    )
      .toEqual([]);
    expect(await rows(owner, "select ok from private.embeddings_health() where name = 'source held'"))
      .toEqual([{ ok: true }]);
  }));

it("the night's proof passes a locked table by and holds none of the others meanwhile", async () => {
  await owner.query("alter table public.healthy disable trigger user; delete from public.healthy where id = 1");
  const [{ command } = { command: "" }] = await rows<{ command: string }>(
    owner,
    "select command from cron.job where jobname = 'accord-embeddings-verify'",
  );
  await holding(lockHeld, async () => {
    const proof = owner.query(command);
    // It waits for the one that is held, and is done with the other.
    await expect.poll(() =>
      rows(visitor, "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
    )
      .toHaveLength(1);
    await visitor.query("begin; lock table public.healthy in access exclusive mode; rollback");
    await proof;
  });
  expect(
    await rows(owner, "select source_table, source_id from public.embedding_sync_queue where processed_at is null"),
  )
    .toEqual([{ source_table: "healthy", source_id: "1" }]);
});

it.each([
  ["unregister_embedding_source('public.held')", "select from public.held", /^Table public.held is in use just now$/],
  [
    "register_embedding_source('public.held', 'upper(body)')",
    "update public.held set id = id",
    /^Table public.held is in use just now$/,
  ],
  ["register_embedding_source('public.held', 'upper(body)')", lockHeld, /^Table public.held is in use just now$/],
  [
    "prepare_embedding_profile('test:body:2', 'test', 'm', 2, 400, 0, '{body} {chunk}')",
    "update public.held set id = id",
    /^Profile "test:body:2" cannot be made just now$/,
  ],
])("%s gives up where %s is not over, and nothing is changed", async (call, held, said) => {
  const state = () =>
    rows(
      owner,
      `select s.source_table, s.content, (select count(*)::int from private.embedded_rows as r where r.source_table = s.source_table) as copies
       from private.embedding_sources as s order by 1`,
    );
  const before = await state();
  await holding(held, async () => {
    await expect(owner.query(`select public.${call}`)).rejects.toMatchObject({
      code: "PT409",
      message: expect.stringMatching(said),
      hint: expect.stringContaining("Try again in a while."),
    });
  });
  expect(await state()).toEqual(before);
  await owner.query(`select public.${call}`);
});

it("while the copies of a table that leaves are deleted, it is read and written as ever", async () => {
  await holder.query(
    "begin; select from private.embedded_rows where source_table = 'held' and source_id = '1' for update",
  );
  const leaving = owner.query("select public.unregister_embedding_source('public.held')");
  await expect.poll(() =>
    rows(visitor, "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
  )
    .toHaveLength(1);
  await visitor.query(
    "insert into public.held values (3, 'three'); update public.held set body = 'edited' where id = 1",
  );
  await holder.query("rollback");
  await leaving;
  expect(await rows(owner, "select from public.embedding_sync_queue where source_table = 'held'")).toEqual([]);
  expect(await rows(owner, "select from private.embedded_rows where source_table = 'held'")).toEqual([]);
  await visitor.query("insert into public.held values (4, 'four')");
});

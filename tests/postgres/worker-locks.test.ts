import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { drain } from "../../shared/embeddings/drain.ts";
import { defaultProfile } from "../../shared/embeddings/profile.ts";
import { jobQueue } from "../../shared/embeddings/queue.ts";
import type { DrainReport } from "../../shared/embeddings/report.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { fakeEmbedder } from "../shared/embeddings/fake-embedder.ts";
import { embedded, SqlWorker } from "../support/sql-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { rpcOverPg } from "./support/pg-rpc.ts";

/** A source that is locked or broken keeps back its own rows, and neither a worker nor whoever searches. */
const embedder = fakeEmbedder({ limits: { tokensPerInput: 1_000 } });
const PROFILE = defaultProfile(embedder.profile, 1);

let database: OwnDatabase;
let owner: pg.Client;
let holder: pg.Client;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createOwnDatabase();
  [owner, holder] = [await database.connect(), await database.connect()];
  // As the API's sessions.
  pool = new pg.Pool({ connectionString: database.url, options: "-c statement_timeout=8000" });
  await owner.query("select public.unregister_embedding_source(relation) from private.embedding_sources");
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  await owner.query("drop table if exists public.healthy, public.other; select private.forget_dropped_sources()");
  for (const table of ["healthy", "other"]) {
    await owner.query(`
      create table public.${table} (id int primary key, body text, is_public boolean default true);
      insert into public.${table} select n, '${table} ' || n from generate_series(1, 40) as n;
      select public.register_embedding_source('public.${table}', 'body', 'is_public')`);
  }
});

async function run(): Promise<DrainReport> {
  const queue = jobQueue(await rpcOverPg(pool), randomUUID(), PROFILE);
  return await drain({ queue, embedderOf: () => embedder, clock: systemClock });
}

async function whileLocked(work: () => Promise<void>): Promise<void> {
  await holder.query("begin; lock table public.other in access exclusive mode");
  try {
    await work();
  } finally {
    await holder.query("rollback");
  }
}

async function list(sql: string): Promise<string[]> {
  const { rows } = await owner.query<[string]>({ text: sql, rowMode: "array" });
  return rows.map(([value]) => value);
}

const standing = () =>
  list(`select distinct format('%s %s %s', source_table, status, retry_count)
    from public.embedding_sync_queue order by 1`);

it("while a table is locked the rows of the others are embedded, and its own come back uncharged", () =>
  whileLocked(async () => {
    expect(await run()).toMatchObject({ claimed: 80, completed: 40, failed: 0, remaining: 0 });
    expect(await standing()).toEqual(["healthy completed 0", "other pending 0"]);
    expect(
      await list(
        `select distinct (visible_at between clock_timestamp() + interval '30 s' and clock_timestamp() + interval '60 s')::text
        from public.embedding_sync_queue where source_table = 'other'`,
      ),
    ).toEqual(["true"]);
    expect(await list("select subject from public.alerts where kind = 'embedding_source_locked'")).toEqual([]);
    await owner.query(`update public.embedding_sync_queue set visible_at = clock_timestamp(),
      created_at = clock_timestamp() - interval '16 minutes' where source_table = 'other'`);
    await run();
    expect(await list("select subject from public.alerts where kind = 'embedding_source_locked'")).toEqual(["other"]);
  }));

it("a table that is locked before its copies are written is busy, and the copies of the others are written", async () => {
  const worker = new SqlWorker(owner, { ...PROFILE });
  const jobs = await worker.claim(200);
  await whileLocked(async () => {
    const outcomes = await worker.finish(jobs.map((job) => ({ ...embedded(job), copies: [] as never[] })));
    const told = new Set(jobs.map(({ token, sourceTable }) => `${sourceTable} ${outcomes[token]}`));
    expect([...told].sort()).toEqual(["healthy unfinished", "other busy"]);
  });
});

it.each([
  ["a column that it names is gone", "alter table public.other rename column body to words"],
  ["the column that says whether it is published is gone", "alter table public.other rename column is_public to shown"],
  [
    "only one of its rows cannot be read",
    "update private.embedding_sources set published = '1 / (id - 5) is not null' where source_table = 'other'",
  ],
])("a source is charged for what is wrong with it, and the rows of the others are embedded: %s", async (_, breaks) => {
  await owner.query(breaks);
  const report = await run();
  const charged = await list(
    "select distinct last_error from public.embedding_sync_queue where last_error is not null",
  );
  expect(charged).toEqual([expect.stringContaining("Its text cannot be read.")]);
  expect(report.completed).toBeGreaterThanOrEqual(40);
  expect(await standing()).toEqual(
    expect.arrayContaining(["healthy completed 0", "other pending 1"]),
  );
});

it("whoever searches waits for a locked table no longer than a moment, and finds what the others hold", async () => {
  await run();
  const search = async () => {
    const { rows } = await owner.query<{ name: string }>(
      `select distinct hit ->> 'sourceTable' as name
       from jsonb_array_elements(public.search_documentation('[1]', '${PROFILE.name}', 80)) as hit order by 1`,
    );
    return rows.map(({ name }) => name);
  };
  expect(await search()).toEqual(["healthy", "other"]);
  await owner.query("set statement_timeout = '3s'");
  await whileLocked(async () => expect(await search()).toEqual(["healthy"]));
});

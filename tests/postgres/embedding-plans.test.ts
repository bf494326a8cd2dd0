import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { rowsLookedAtInVain } from "./support/rows-looked-at.ts";

/**
 * A source that was filled a moment ago, and of which the statistics know nothing: it is guessed to have one row. Whoever
 * believes that goes through all of it for each of its rows.
 */
const ROWS = 1_500;
const PROFILE = smallProfile("test:plans:2");

let database: OwnDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createOwnDatabase();
  client = await database.connect();
  await client.query("select public.unregister_embedding_source(relation) from private.embedding_sources");
  const worker = new SqlWorker(client, PROFILE);
  await worker.tokens(1);
  await client.query(`
    do $$
    declare
      named text;
    begin
      foreach named in array array['public.embedding_sync_queue', 'private.embedded_rows', 'private.' || private.partition_of('test:plans:2')] loop
        execute format('alter table %s set (autovacuum_enabled = off)', named);
      end loop;
    end $$`);
  await fill(worker, "known");
  await client.query("analyze");
  await fill(worker, "fresh");
});

afterAll(() => database.drop());

/** A table whose rows are embedded, in agreement. */
async function fill(worker: SqlWorker, table: string): Promise<void> {
  await client.query(`
    create table public.${table} (id int primary key, body text) with (autovacuum_enabled = off);
    insert into public.${table} select n, 'text ' || n from generate_series(1, ${ROWS}) as n;
    select public.register_embedding_source('public.${table}', 'body')`);
  for (let jobs = await worker.claim(500); jobs.length > 0; jobs = await worker.claim(500)) {
    await worker.finish(jobs.map((job) => embedded(job, (text) => [text, "more"])));
  }
}

const TABLES = [
  "public.fresh",
  "private.embedded_rows",
  "public.embedding_sync_queue",
  "public.documentation_embeddings",
];
const ONE_LACKS =
  "delete from public.documentation_embeddings where source_table = 'fresh' and source_id = '7' and chunk_index = 1";
const ALL_CHANGED = "alter table public.fresh disable trigger user; update public.fresh set body = body || ' anew'";
const ALL_GONE = "alter table public.fresh disable trigger user; delete from public.fresh";

it.each([
  [
    "the proof of a row that lacks a chunk",
    ONE_LACKS,
    "select * from private.embedding_problems('test:plans:2', 'fresh')",
  ],
  [
    "the proof of rows that all changed",
    ALL_CHANGED,
    "select * from private.embedding_problems('test:plans:2', 'fresh')",
  ],
  ["the repair of rows that all changed", ALL_CHANGED, "select private.resync('test:plans:2')"],
  ["the repair of rows that are all gone", ALL_GONE, "select private.resync('test:plans:2')"],
  ["the night's proof", ONE_LACKS, "select private.verify_and_resync('fresh')"],
  [
    "what catches up",
    "insert into private.embedding_backfills values ('fresh')",
    "select private.advance_backfill('fresh', 1000)",
  ],
  ["what leaves", "", "select public.unregister_embedding_source('public.fresh')"],
  ["the status", "", "select * from public.embedding_sync_status"],
])("%s looks at each row a few times, whatever the statistics say", async (_, planted, sql) => {
  expect(await rowsLookedAtInVain(client, TABLES, { planted, sql })).toBeLessThan(ROWS * 100);
});

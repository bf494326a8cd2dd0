import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { rowsLookedAtInVain } from "./support/rows-looked-at.ts";

/**
 * A bucket that was filled a moment ago, and of which the statistics know nothing: it is guessed to have one row. Whoever
 * believes that goes through all of it for each of its rows.
 */
const ROWS = 1_500;

let database: OwnDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createOwnDatabase();
  client = await database.connect();
  await client.query(`
    alter table storage.objects set (autovacuum_enabled = off);
    alter table public.files_queue set (autovacuum_enabled = off);
    alter table public.documents set (autovacuum_enabled = off);
    insert into storage.buckets (id, name) values ('known', 'known');
    select public.watch_bucket('known');
    set storage.allow_delete_query = 'true';
    set session_replication_role = replica`);
  await fill("known", 3_000);
  await client.query("vacuum (analyze) storage.objects");
  await client.query("vacuum (analyze) public.files_queue");
  await client.query("vacuum (analyze) public.documents");
  await fill("documents", ROWS);
});

afterAll(() => database.drop());

/** Objects that queue and documents agree with. */
async function fill(bucket: string, rows: number): Promise<void> {
  await client.query(
    `insert into storage.objects (bucket_id, name, version, metadata, created_at, updated_at)
     select $1, 'f' || to_char(n, 'FM000000'), 'v1', jsonb_build_object('eTag', n, 'mimetype', 'text/plain'), '2020-01-01', '2020-01-01'
     from generate_series(1, $2::int) as n`,
    [bucket, rows],
  );
  await client.query(
    `insert into public.files_queue (bucket_id, file_path, object_version, content_tag, mime_type, status, processed_at)
     select bucket_id, file_path, object_version, content_tag, mime_type, 'completed', '2020-01-01'
     from private.eligible_objects where bucket_id = $1`,
    [bucket],
  );
  await client.query(
    `insert into public.documents (bucket_id, file_path, metadata)
     select bucket_id, file_path, jsonb_build_object('contentTag', content_tag) from private.eligible_objects where bucket_id = $1`,
    [bucket],
  );
}

const TABLES = ["storage.objects", "public.files_queue", "public.documents"];
const NEW_VERSIONS = "update storage.objects set version = 'v2' where bucket_id = 'documents'";
const NEW_BYTES =
  `${NEW_VERSIONS}; update storage.objects set metadata = '{"eTag": "new"}' where bucket_id = 'documents'`;

it.each([
  ["the check of storage and queue", "", "private.compare_queue('documents')"],
  [
    "the check of the documents of a queue that was emptied",
    "delete from public.files_queue",
    "private.compare_documents('documents')",
  ],
  ["the search for orphans", "", "private.orphans_of('documents')"],
  [
    "the removal of orphans",
    "delete from storage.objects where bucket_id = 'documents' and name > 'f000100'",
    "public.sync_bucket('documents', null, true)",
  ],
  ["a batch of what the queue lacks", "delete from public.files_queue", "public.sync_bucket('documents')"],
  ["a batch of the same bytes in other versions", NEW_VERSIONS, "public.sync_bucket('documents')"],
  ["a batch of other bytes", NEW_BYTES, "public.sync_bucket('documents')"],
  ["a batch of documents that are gone", "delete from public.documents", "public.sync_bucket('documents')"],
])("%s looks at each row a few times, whatever the statistics say", async (_, planted, call) => {
  // Each of three tables, each by an index and besides, in a dozen steps; and not each for each.
  const looked = await rowsLookedAtInVain(client, TABLES, { planted, sql: `select * from ${call}` });
  expect(looked).toBeLessThan(ROWS * 150);
});

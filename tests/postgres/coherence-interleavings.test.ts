import type pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/** A bucket that is put right while it is being uploaded to: whoever uploads goes first, and nothing is lost. */
let database: OwnDatabase;
let uploader: pg.Client;
let schedule: pg.Client;

beforeAll(async () => {
  database = await createOwnDatabase();
  [uploader, schedule] = [await database.connect(), await database.connect()];
  await uploader.query("set storage.allow_delete_query = 'true'");
});

afterAll(() => database.drop());

beforeEach(async () => {
  await uploader.query("rollback");
  await schedule.query("rollback");
  await uploader.query(`
    delete from storage.objects where bucket_id = 'documents';
    delete from private.bucket_syncs;
    delete from private.missed_objects;
    truncate public.files_queue cascade`);
});

async function unseen(sql: string): Promise<void> {
  await uploader.query(`set session_replication_role = replica; ${sql}; set session_replication_role = origin`);
}

const upload = (session: pg.Client, name: string, version: string) =>
  session.query(
    `insert into storage.objects (bucket_id, name, version, metadata) values ('documents', $1, $2, jsonb_build_object('eTag', $2::text))
     on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata`,
    [name, version],
  );

async function sync(session: pg.Client): Promise<{ isDone: boolean; isBusy: boolean; enqueued: number }> {
  const { rows: [row] } = await session.query<{ state: { isDone: boolean; isBusy: boolean; enqueued: number } }>(
    "select public.sync_bucket('documents') as state",
  );
  if (row === undefined) throw new Error("sync_bucket() gave nothing.");
  return row.state;
}

async function syncToTheEnd(session: pg.Client): Promise<void> {
  for (let call = 0; call < 10; call++) if ((await sync(session)).isDone) return;
  throw new Error("There is no end to it.");
}

async function queue(): Promise<string[]> {
  const { rows } = await schedule.query<{ row: string }>(
    "select format('%s %s %s', file_path, object_version, revision) as row from public.files_queue order by file_path",
  );
  return rows.map(({ row }) => row);
}

it("who uploads what is missing is waited for only a moment, and keeps nobody's rows from the others", async () => {
  await unseen(
    "insert into storage.objects (bucket_id, name, version) values ('documents', 'a', '1'), ('documents', 'b', '1')",
  );
  await uploader.query("begin");
  await upload(uploader, "b", "2");
  // It has queued a by now, and b is in the upload's hands.
  expect(await sync(schedule)).toMatchObject({ isBusy: true, isDone: false });
  // What the upload wants next is held by nobody.
  await uploader.query("set local lock_timeout = '50ms'");
  await upload(uploader, "a", "2");
  expect((await uploader.query("select from private.missed_objects")).rowCount).toBe(0);
  await uploader.query("commit");
  await syncToTheEnd(schedule);
  expect(await queue()).toEqual(["a 2 1", "b 2 1"]);
});

it("an orphan that is being uploaded anew is not removed", async () => {
  await upload(uploader, "a", "1");
  await upload(uploader, "z", "1");
  await unseen("delete from storage.objects where bucket_id = 'documents' and name = 'a'");
  await uploader.query("begin");
  await upload(uploader, "a", "2");
  await syncToTheEnd(schedule);
  await uploader.query("commit");
  expect(await queue()).toEqual(["a 2 2", "z 1 1"]);
});

it("an upload of what is just being removed as an orphan stands, and is queued in the end", async () => {
  await upload(uploader, "a", "1");
  await upload(uploader, "z", "1");
  await unseen("delete from storage.objects where bucket_id = 'documents' and name = 'a'");
  await schedule.query("begin");
  await syncToTheEnd(schedule);
  await upload(uploader, "a", "2");
  await schedule.query("commit");
  await schedule.query("select private.settle_missed_objects()");
  expect(await queue()).toEqual(["a 2 1", "z 1 1"]);
});

it("two that put the same bucket right do not do it twice, nor wait for each other", async () => {
  await unseen(
    "insert into storage.objects (bucket_id, name, version) select 'documents', 'f' || n, '1' from generate_series(1, 3) as n",
  );
  await schedule.query("select public.sync_bucket('documents', 1)");
  await schedule.query("begin");
  expect((await schedule.query("select public.sync_bucket('documents', 1) as state")).rows).toMatchObject([
    { state: { enqueued: 2, isBusy: false } },
  ]);
  expect(await sync(uploader)).toMatchObject({ isBusy: true, enqueued: 1 });
  await schedule.query("commit");
  await syncToTheEnd(uploader);
  expect(await queue()).toEqual(["f1 1 1", "f2 1 1", "f3 1 1"]);
});

it("a bucket whose rows somebody holds goes behind the others", async () => {
  await uploader.query(`
    insert into storage.buckets (id, name) values ('second', 'second');
    select public.watch_bucket('second')`);
  await unseen(
    "insert into storage.objects (bucket_id, name, version) values ('documents', 'a', '1'), ('second', 'b', '1')",
  );
  await schedule.query("select private.begin_sync('documents', interval '0')");
  await schedule.query("select private.begin_sync('second', interval '0')");
  await uploader.query("begin");
  await upload(uploader, "a", "2");
  await schedule.query("select private.advance_syncs()");
  await schedule.query("select private.advance_syncs()");
  const { rows } = await schedule.query("select bucket_id from public.files_queue");
  await uploader.query("rollback");
  await uploader.query(
    "select public.unwatch_bucket('second'); delete from storage.objects where bucket_id = 'second'",
  );
  expect(rows).toEqual([{ bucket_id: "second" }]);
});

it("a table that somebody holds keeps the check waiting a few seconds, and hides nothing but its pair", async () => {
  await uploader.query("begin; lock table storage.objects in access exclusive mode");
  const began = Date.now();
  const { rows: [row] } = await schedule.query<{ told: string }>(
    `select string_agg(p ->> 'action', '') as told from jsonb_array_elements(public.coherence_report() -> 'pairs') as p
     where p ->> 'name' like '% of bucket documents'`,
  );
  await schedule.query("select private.watch_coherence()");
  expect(Date.now() - began).toBeLessThan(30_000);
  await uploader.query("rollback");
  expect(row?.told).toBe("It cannot be examined: canceling statement due to lock timeout");
  const { rows: kept } = await schedule.query(
    "select verdict from public.coherence_history where pair = 'embeddings of documents'",
  );
  expect(kept).toEqual([{ verdict: "ok" }]);
});

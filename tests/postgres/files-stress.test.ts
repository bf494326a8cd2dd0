import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FileWorker } from "../sql/support/files.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { dice } from "./support/weather.ts";

/**
 * Uploads, overwrites, moves and deletions at once and at random, in two watched buckets and one that is not, some of
 * them rolled back; workers that die, are slow, fail or read in slices. When all have ended and the queue is empty, every
 * document has the text of its object's last version, and there is no document without an object.
 */
const UPLOADERS = 4;
const WORKERS = 4;
const CHANGES_EACH = 400;
const NAMES = 10;
const BUCKETS = ["leaves", "pages", "unwatched"];

let database: OwnDatabase;
const roll = dice(20_261_121);
const some = <Value>(values: Value[]): Value => values[roll(values.length)] as Value;
const name = () => `${some(["a", "b"])}/${roll(NAMES)}.txt`;

beforeAll(async () => {
  database = await createOwnDatabase();
  const client = await database.connect();
  await client.query(`
    insert into storage.buckets (id, name, public) values ('leaves', 'leaves', false), ('pages', 'pages', true), ('unwatched', 'unwatched', false);
    select public.watch_bucket('leaves'), public.watch_bucket('pages');
    select public.set_setting('files_lease_seconds', '1'), public.set_setting('files_retry_limit', '20'),
      public.set_setting('files_retry_seconds', '0'), public.set_setting('files_workers', '32');
  `);
});

afterAll(() => database.drop());

const CHANGES: (() => [string, unknown[]])[] = [
  () => [
    `insert into storage.objects (bucket_id, name, version, metadata) values ($1, $2, $3, jsonb_build_object('eTag', $3::text))
     on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata`,
    [some(BUCKETS), name(), randomUUID()],
  ],
  () => [
    "update storage.objects set version = $3, metadata = jsonb_build_object('eTag', $3::text) where bucket_id = $1 and name = $2",
    [some(BUCKETS), name(), randomUUID()],
  ],
  // The same bytes under a new version, such as a copy onto itself.
  () => ["update storage.objects set version = $3 where bucket_id = $1 and name = $2", [
    some(BUCKETS),
    name(),
    randomUUID(),
  ]],
  () => [
    "update storage.objects set bucket_id = $3, name = $4, version = $5 where bucket_id = $1 and name = $2",
    [some(BUCKETS), name(), some(BUCKETS), name(), randomUUID()],
  ],
  () => ["delete from storage.objects where bucket_id = $1 and name = $2", [some(BUCKETS), name()]],
];

/** What two sessions may do to each other in any database: the one that loses is rolled back, and that is that. */
const ORDINARY = new Set(["40P01", "23505"]);

async function change(counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  await client.query("set storage.allow_delete_query = 'true'");
  for (let n = 0; n < CHANGES_EACH; n++) {
    try {
      await client.query("begin");
      for (let statements = 1 + roll(3); statements > 0; statements--) await client.query(...some(CHANGES)());
      await client.query(roll(8) === 0 ? "rollback" : "commit");
      counts.changes = (counts.changes ?? 0) + 1;
    } catch (error) {
      await client.query("rollback");
      const code = error instanceof pg.DatabaseError ? error.code ?? "" : "";
      if (!ORDINARY.has(code)) throw error;
      counts[code] = (counts[code] ?? 0) + 1;
    }
  }
}

/** What an object's bytes say just now, as a download would find them; null where it is gone. */
async function textOf(client: pg.Client, bucket: string, path: string): Promise<string | null> {
  const { rows: [row] } = await client.query<{ text: string }>(
    "select metadata ->> 'eTag' as text from storage.objects where bucket_id = $1 and name = $2",
    [bucket, path],
  );
  return row?.text ?? null;
}

async function work(isOver: () => boolean, counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  const worker = new FileWorker(client);
  const endLease = (token: string) =>
    client.query(
      `update public.files_queue set visible_at = clock_timestamp() where lease_token in (
         select lease_token from public.files_queue where lease_token = $1 for update skip locked)`,
      [token],
    );
  while (!isOver()) {
    for (const job of await worker.claim(1 + roll(4))) {
      const fate = roll(20);
      const text = await textOf(client, job.bucketId, job.filePath);
      if (fate === 0) {
        // Dies without a word.
        await endLease(job.token);
        continue;
      }
      // Slow: its lease ends before it does, and others have the file meanwhile.
      if (fate < 4) await endLease(job.token);
      if (text === null) {
        await client.query("select public.release_file_jobs($1)", [[job.token]]);
        continue;
      }
      let parts = [{ page: null as number | null, content: text }];
      if (fate > 15) {
        const half = { page: 1, content: text.slice(0, 18) };
        if (!await worker.save(job, { page: 2 }, [half])) continue;
        parts = [{ page: 2, content: text.slice(18) }];
      }
      const failure = fate === 5 ? { failure: { message: "at random", permanent: false } } : {};
      const outcome = await worker.finish(job, { parts, ...failure }) ?? "none";
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  }
}

it(
  "after everything at once, each document has the text of its object, and nothing is left of what is gone",
  async () => {
    const counts: Record<string, number> = {};
    let areOver = false;
    const changing = Promise.all(Array.from({ length: UPLOADERS }, () => change(counts))).finally(
      () => (areOver = true),
    );
    const working = Promise.all(Array.from({ length: WORKERS }, () => work(() => areOver, counts)));
    await Promise.all([changing, working]);

    const client = await database.connect();
    await client.query("select private.settle_missed_objects()");
    await client.query("update public.files_queue set visible_at = clock_timestamp() where lease_token is not null");
    const worker = new FileWorker(client);
    for (let jobs = await worker.claim(100); jobs.length > 0; jobs = await worker.claim(100)) {
      for (const job of jobs) {
        const content = await textOf(client, job.bucketId, job.filePath) ?? "";
        await worker.finish(job, { parts: [{ page: null, content }] });
      }
    }
    console.log(Object.entries(counts).map(([what, n]) => `${what} ${n}`).join(", "));
    const { rows } = await client.query(`
    select o.bucket_id, o.file_path, q.status, o.content_tag, replace(d.content, E'\\n\\n', '') as text, q.object_version = o.object_version as is_current,
      coalesce(q.file_path, d.file_path) as left_over
    from private.eligible_objects as o
    full join public.files_queue as q on q.bucket_id = o.bucket_id and q.file_path = o.file_path
    full join (select * from public.documents where bucket_id is not null) as d
      on d.bucket_id = coalesce(o.bucket_id, q.bucket_id) and d.file_path = coalesce(o.file_path, q.file_path)
    where o.file_path is null or q.status is distinct from 'completed' or q.object_version <> o.object_version
      or replace(d.content, E'\\n\\n', '') is distinct from o.content_tag`);
    expect(rows).toEqual([]);
    expect((await client.query("select * from private.missed_objects")).rows).toEqual([]);
    // That it was as wild as promised.
    expect(Object.keys(counts)).toEqual(
      expect.arrayContaining(["changes", "completed", "requeued", "lost_lease", "retry"]),
    );
  },
  120_000,
);

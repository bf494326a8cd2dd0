import { expect, test } from "vitest";
import type { Job } from "../../shared/embeddings/queue.ts";
import { embedded, forgetProfiles, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { become, becomeAdmin, inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

const PROFILE = "test:queue:2";

/** A queue that holds the rows of one small table and nothing else; all of it is taken back. */
const onThreeRows = (work: (tx: Session, worker: SqlWorker) => Promise<void>) => () =>
  inVain(async (tx) => {
    await tx.query("delete from public.embedding_sync_queue; delete from private.workers");
    await forgetProfiles(tx);
    await tx.query(`
      create table public.test_rows (id int primary key, body text, is_public boolean default true);
      insert into public.test_rows values (1, 'one'), (2, 'two'), (3, 'three')`);
    await tx.query("select public.register_embedding_source('public.test_rows', 'body', 'is_public')");
    // Only this table's rows: a profile that is new has all others looked at again.
    await tx.query("select private.use_default_profile($1)", [JSON.stringify(smallProfile(PROFILE))]);
    await tx.query("delete from private.embedding_backfills");
    await tx.query("delete from public.embedding_sync_queue where source_table <> 'test_rows'");
    await work(tx, new SqlWorker(tx, smallProfile(PROFILE)));
  });

async function states(tx: Session): Promise<string[]> {
  const { rows } = await tx.query<{ state: string }>(
    "select format('%s %s %s', source_id, status, retry_count) as state from public.embedding_sync_queue order by source_id",
  );
  return rows.map(({ state }) => state);
}

const copies = async (tx: Session) =>
  (await tx.query<{ copy: string }>(
    "select source_id || ' ' || content as copy from public.documentation_embeddings where source_table = 'test_rows' order by source_id, chunk_index",
  )).rows.map(({ copy }) => copy);

test(
  "a claimed row is given with its text, and to nobody else",
  onThreeRows(async (tx, worker) => {
    const jobs = await worker.claim(2);
    expect(jobs.map(({ content }) => content)).toEqual(["one", "two"]);
    expect((await worker.claim()).map(({ content }) => content)).toEqual(["three"]);
    expect(await worker.claim()).toEqual([]);
    expect(await states(tx)).toEqual(["1 processing 1", "2 processing 1", "3 processing 1"]);
  }),
);

test(
  "finished rows are completed with their copies, and looked at again they are known by their hashes",
  onThreeRows(async (tx, worker) => {
    const jobs = await worker.claim();
    expect(Object.values(await worker.finish(jobs.map((job) => embedded(job))))).toEqual([
      "completed",
      "completed",
      "completed",
    ]);
    expect(await copies(tx)).toEqual(["1 one", "2 two", "3 three"]);
    expect(await states(tx)).toEqual(["1 completed 0", "2 completed 0", "3 completed 0"]);
    // Nothing differs, so nothing is to be done.
    expect(await valueOf(tx, "select public.resync_embeddings('test_rows')::int")).toBe(0);
    await tx.query("select private.begin_backfill('test_rows')");
    const again = await worker.claim();
    expect(again.map(({ content, targets }) => [content, targets[0]?.isUnchanged])).toEqual([
      [null, true],
      [null, true],
      [null, true],
    ]);
    expect(Object.values(await worker.finish(again.map((job) => embedded(job))))).toEqual(
      ["completed", "completed", "completed"],
    );
    expect(await copies(tx)).toEqual(["1 one", "2 two", "3 three"]);
  }),
);

test(
  "a row edited while it is leased gets its write, and is due again at once",
  onThreeRows(async (tx, worker) => {
    const [first] = await worker.claim(1);
    await tx.query("update public.test_rows set body = 'uno' where id = 1");
    expect(await worker.finish([embedded(first as Job)])).toEqual({ [(first as Job).token]: "requeued" });
    expect(await copies(tx)).toEqual(["1 one"]);
    expect((await worker.claim()).find(({ sourceId }) => sourceId === "1")?.content).toBe("uno");
  }),
);

test(
  "a row deleted or unpublished while it is leased leaves no copy",
  onThreeRows(async (tx, worker) => {
    const jobs = await worker.claim();
    await tx.query(
      "delete from public.test_rows where id = 1; update public.test_rows set is_public = false where id = 2",
    );
    await worker.finish(jobs.map((job) => embedded(job)));
    expect(await copies(tx)).toEqual(["3 three"]);
    const again = await worker.claim();
    expect(again.map(({ sourceId, content }) => [sourceId, content])).toEqual([["1", null], ["2", null]]);
  }),
);

test(
  "a text that became shorter loses the pieces beyond its end",
  onThreeRows(async (tx, worker) => {
    const [first] = await worker.claim(1);
    await worker.finish([embedded(first as Job, () => ["a", "b", "c"])]);
    expect(await copies(tx)).toEqual(["1 a", "1 b", "1 c"]);
    await tx.query("update public.test_rows set body = 'ab' where id = 1");
    const job = (await worker.claim()).find(({ sourceId }) => sourceId === "1");
    await worker.finish([embedded(job as Job, () => ["=a", "B"])]);
    expect(await copies(tx)).toEqual(["1 a", "1 B"]);
  }),
);

test(
  "whoever has lost the lease writes nothing",
  onThreeRows(async (tx, worker) => {
    const [late] = await worker.claim(1);
    await tx.query(
      "update public.embedding_sync_queue set visible_at = clock_timestamp() - interval '1 s' where source_id = '1'",
    );
    const [taken] = await worker.claim(1);
    expect(taken?.sourceId).toBe("1");
    expect(await worker.finish([embedded(late as Job)])).toEqual({ [(late as Job).token]: "lost_lease" });
    expect(await copies(tx)).toEqual([]);
    expect(await worker.finish([embedded(taken as Job)])).toEqual({ [(taken as Job).token]: "completed" });
  }),
);

const failOnce = async (tx: Session, worker: SqlWorker, message: string, permanent = false) => {
  await tx.query(
    "update public.embedding_sync_queue set visible_at = clock_timestamp() where source_id = '1' and status = 'pending'",
  );
  const [job] = await worker.claim(1);
  const outcomes = await worker.finish([{ token: job?.token ?? "", copies: [], failure: { message, permanent } }]);
  return Object.values(outcomes)[0];
};

test(
  "three failures, each after a longer wait, and a row is left to a person, who can have it retried",
  onThreeRows(async (tx, worker) => {
    await tx.query("delete from public.embedding_sync_queue where source_id <> '1'");
    expect(await failOnce(tx, worker, "no answer")).toBe("retry");
    expect(await worker.claim()).toEqual([]);
    expect(await failOnce(tx, worker, "no answer")).toBe("retry");
    expect(await valueOf(tx, "select visible_at > clock_timestamp() + interval '9 s' from public.embedding_sync_queue"))
      .toBe(true);
    expect(await failOnce(tx, worker, "still no answer")).toBe("failed");
    expect(await states(tx)).toEqual(["1 failed 3"]);
    expect(await valueOf(tx, "select last_error from public.embedding_sync_queue")).toBe("still no answer");
    expect(await valueOf(tx, "select public.retry_failed_embeddings('test_rows')::int")).toBe(1);
    expect(await states(tx)).toEqual(["1 pending 0"]);
  }),
);

test(
  "an edit revives a failed row with all its attempts",
  onThreeRows(async (tx, worker) => {
    await tx.query("delete from public.embedding_sync_queue where source_id <> '1'");
    expect(await failOnce(tx, worker, "too long", true)).toBe("failed");
    await tx.query("update public.test_rows set body = 'shorter' where id = 1");
    expect(await states(tx)).toEqual(["1 pending 0"]);
  }),
);

test(
  "a row whose workers die every time is buried, and told as such",
  onThreeRows(async (tx, worker) => {
    await tx.query("delete from public.embedding_sync_queue where source_id <> '1'");
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(await worker.claim()).toHaveLength(1);
      await tx.query("update public.embedding_sync_queue set visible_at = clock_timestamp() - interval '1 s'");
    }
    expect(await worker.claim()).toEqual([]);
    expect(await states(tx)).toEqual(["1 failed 3"]);
    expect(await valueOf(tx, "select last_error from public.embedding_sync_queue")).toBe(
      "3 workers ended without a word while they had this row",
    );
  }),
);

test(
  "a row given back is not charged",
  onThreeRows(async (tx, worker) => {
    const jobs = await worker.claim();
    expect(await valueOf(tx, "select public.release_embedding_jobs($1)", [jobs.map(({ token }) => token)])).toBe(3);
    expect(await states(tx)).toEqual(["1 pending 0", "2 pending 0", "3 pending 0"]);
  }),
);

test(
  "a text above the limit is not even read out",
  onThreeRows(async (tx, worker) => {
    await tx.query("select public.set_setting('embedding_content_limit', '1000')");
    await tx.query("update public.test_rows set body = repeat('x', 1001) where id = 2");
    expect((await worker.claim()).map(({ content, tooLong }) => [content, tooLong])).toEqual([["one", null], [
      null,
      1001,
    ], [
      "three",
      null,
    ]]);
  }),
);

test(
  "a text given in place of the row's own is embedded until the row's next edit",
  onThreeRows(async (tx, worker) => {
    await tx.query("select public.enqueue_embedding('test_rows', '1', 'given')");
    expect((await worker.claim()).map(({ content }) => content)).toEqual(["given", "two", "three"]);
    await tx.query("update public.test_rows set body = 'own' where id = 1");
    expect(await valueOf(tx, "select content is null from public.embedding_sync_queue where source_id = '1'")).toBe(
      true,
    );
  }),
);

test(
  "a row that is asked for under another spelling of its key has one copy",
  onThreeRows(async (tx, worker) => {
    await tx.query("select public.enqueue_embedding('test_rows', '001')");
    expect(await states(tx)).toEqual(["1 pending 0", "2 pending 0", "3 pending 0"]);
    await worker.finish((await worker.claim()).map((job) => embedded(job)));
    expect(await copies(tx)).toEqual(["1 one", "2 two", "3 three"]);
  }),
);

test(
  "search gives the whole row of a table that has a column of its own name",
  onThreeRows(async (tx, worker) => {
    await tx.query(`
      create table public.test_word (id int primary key, test_word text);
      insert into public.test_word values (1, 'mot');
      select public.register_embedding_source('public.test_word', 'test_word.test_word')`);
    await worker.finish((await worker.claim()).map((job) => embedded(job)));
    const found = await valueOf<{ row: unknown }[]>(
      tx,
      "select public.search_documentation('[1,0]', $1, 10, '{test_word}')",
      [PROFILE],
    );
    expect(found.map(({ row }) => row)).toEqual([{ id: 1, test_word: "mot" }]);
  }),
);

test(
  "the status counts each table by itself, also one with nothing to do",
  onThreeRows(async (tx, worker) => {
    await worker.claim(1);
    await becomeAdmin(tx);
    const { rows } = await tx.query(
      "select source_table, pending::int, processing::int, completed::int from public.embedding_sync_status order by 1",
    );
    expect(rows).toContainEqual({ source_table: "test_rows", pending: 2, processing: 1, completed: 0 });
    expect(rows.map(({ source_table }) => source_table)).toContain("documents");
  }),
);

test(
  "nobody but staff sees the queue, and nobody at all writes it",
  onThreeRows(async (tx) => {
    await become(tx, "authenticated");
    expect(await valueOf(tx, "select count(*)::int from public.embedding_sync_queue")).toBe(0);
    expect((await refusalOf(tx, "select public.resync_embeddings()")).code).toBe("42501");
    await becomeAdmin(tx);
    expect(await valueOf(tx, "select count(*)::int from public.embedding_sync_queue")).toBe(3);
    expect((await refusalOf(tx, "delete from public.embedding_sync_queue")).code).toBe("42501");
    expect((await refusalOf(tx, "select public.claim_embedding_jobs(gen_random_uuid(), 1, '{}')")).code).toBe("42501");
    await become(tx, "service_role");
    expect((await refusalOf(tx, "update public.embedding_sync_queue set retry_count = 0")).code).toBe("42501");
  }),
);

test.each([
  ["select public.claim_embedding_jobs(gen_random_uuid(), 0, '{}')", "batchSize must be from 1 to 500, not 0"],
  ["select public.claim_embedding_jobs(gen_random_uuid(), 10000, '{}')", "batchSize must be from 1 to 500, not 10000"],
  [
    `select public.claim_embedding_jobs(gen_random_uuid(), 1, '{"name": "${PROFILE}", "dimensions": 3}')`,
    `Profile "${PROFILE}" has 2 dimensions, not 3`,
  ],
  ["select public.resync_embeddings('nowhere')", 'Table "nowhere" is not registered'],
  [
    "select public.enqueue_embedding('test_rows', 'abc')",
    '"abc" cannot be a key of test_rows: invalid input syntax for type integer: "abc"',
  ],
  [
    "select public.search_documentation('[1,0]', 'other', 5)",
    `The question was embedded with "other", the texts with "${PROFILE}"`,
  ],
  [`select public.search_documentation('[1,0]', '${PROFILE}', 0)`, "limit must be from 1 to 100, not 0"],
])("%s is refused", (sql, said) =>
  onThreeRows(async (tx) => {
    expect((await refusalOf(tx, sql)).message).toBe(said);
  })());

test(
  "search gives live rows, and none that is gone, unpublished or not the caller's",
  onThreeRows(async (tx, worker) => {
    await worker.finish((await worker.claim()).map((job) => embedded(job)));
    await tx.query("alter table public.test_rows enable row level security; grant select on public.test_rows to anon");
    await tx.query("create policy test on public.test_rows for select to anon using (id <> 2)");
    const found = async () =>
      (await valueOf<{ sourceId: string; row: { body: string } }[]>(
        tx,
        `select public.search_documentation('[1,0]', $1, 10, '{test_rows}')`,
        [PROFILE],
      ))
        .map(({ sourceId, row }) => `${sourceId} ${row.body}`).sort();
    expect(await found()).toEqual(["1 one", "2 two", "3 three"]);
    await tx.query("update public.test_rows set body = 'fresh' where id = 1");
    expect(await found()).toEqual(["1 fresh", "2 two", "3 three"]);
    await tx.query("update public.test_rows set is_public = false where id = 3");
    expect(await found()).toEqual(["1 fresh", "2 two"]);
    await become(tx, "anon");
    expect(await found()).toEqual(["1 fresh"]);
  }),
);

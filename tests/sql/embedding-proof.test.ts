import { expect, test } from "vitest";
import { embedded, type SqlWorker } from "../support/sql-worker.ts";
import {
  alerts,
  copies,
  count,
  embedAll,
  list,
  onRows,
  prepare,
  problems,
  settle,
  waiting,
} from "./support/embeddings.ts";
import { become, becomeAdmin, refusalOf, type Session, superuserUrl, valueOf } from "./support/session.ts";

/** On four rows that are embedded, all in agreement. */
const onAgreement = (work: (tx: Session, worker: SqlWorker) => Promise<void>) =>
  onRows(async (tx, worker) => {
    await embedAll(worker, (text) => [text, "more", "end"]);
    await work(tx, worker);
  }, 4);

/** Something is done that nobody who queues sees. */
const unseen = (tx: Session, sql: string) =>
  tx.query(
    `alter table public.test_rows disable trigger user; ${sql}; alter table public.test_rows enable trigger user`,
  );

const resync = (tx: Session) => valueOf<number>(tx, "select public.resync_embeddings()::int");

const chunks = (tx: Session, change: string) => tx.query(change.replace("CHUNKS", "public.documentation_embeddings"));

test(
  "where all agree there is no difference, and nothing to be queued",
  onAgreement(async (tx) => {
    expect(await problems(tx)).toEqual([]);
    expect(await resync(tx)).toBe(0);
    expect(await waiting(tx)).toEqual([]);
  }),
);

test(
  "what is missing, stale or an orphan is found in the data, though the queue knows nothing of it",
  onAgreement(async (tx) => {
    await unseen(
      tx,
      `insert into public.test_rows values (5, 'new', true), (6, 'hidden', false);
       update public.test_rows set body = 'changed' where id = 1;
       update public.test_rows set is_public = false where id = 2;
       delete from public.test_rows where id = 3`,
    );
    expect(await problems(tx)).toEqual(["1 stale -", "2 orphan -", "3 orphan -", "5 missing -"]);
    expect(await count(tx, "public.verify_embeddings('test_rows')")).toBe(4);
    expect((await refusalOf(tx, "select public.verify_embeddings('nowhere')")).message).toBe(
      'Table "nowhere" is not registered',
    );
  }),
);

test(
  "chunks that are too few, too many or out of their places are found, and embedding the row again mends each",
  onAgreement(async (tx, worker) => {
    await chunks(tx, "delete from CHUNKS where source_id = '1' and chunk_index = 2");
    await tx.query(`
      insert into public.documentation_embeddings (source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding)
      select source_table, source_id, profile, 3, 'extra', 'hash of extra', 1, embedding
      from public.documentation_embeddings where source_id = '2' and chunk_index = 0`);
    // As many as belong, the last one in its place: the one in the middle stands where the first does.
    await chunks(tx, "update CHUNKS set chunk_index = 0 where source_id = '3' and chunk_index = 1");
    await chunks(tx, "update CHUNKS set chunk_index = 1 where source_id = '4' and chunk_index = 2");
    expect(
      await list(
        tx,
        "select format('%s %s: %s', source_id, problem, detail) from public.verify_embeddings() order by 1",
      ),
    )
      .toEqual([
        "1 missing: 2 chunks where 3 belong",
        "2 duplicate: 4 chunks where 3 belong",
        "3 duplicate: chunks out of place",
        "4 duplicate: chunks out of place",
      ]);
    expect(await resync(tx)).toBe(4);
    await embedAll(worker, (text) => [text, "more", "end"]);
    expect(await problems(tx)).toEqual([]);
    expect(await copies(tx)).toEqual(
      ["1", "2", "3", "4"].flatMap((id) => [`${id} 0 text ${id}`, `${id} 1 more`, `${id} 2 end`]),
    );
  }),
);

test(
  "each difference says what the queue is about to do, and only what nobody is about to do is queued",
  onAgreement(async (tx, worker) => {
    await tx.query("update public.test_rows set body = 'edited' where id in (1, 2, 3)");
    await tx.query("delete from public.embedding_sync_queue where source_id not in ('1', '2', '3')");
    const [first, second] = await worker.claim(2);
    await worker.finish([{ token: first?.token ?? "", copies: [], failure: { message: "no", permanent: true } }]);
    await unseen(tx, "delete from public.test_rows where id = 4");
    const ids = [first?.sourceId, second?.sourceId];
    const status = (id: string) => id === ids[0] ? "failed" : id === ids[1] ? "processing" : "pending";
    expect(await problems(tx)).toEqual([...["1", "2", "3"].map((id) => `${id} stale ${status(id)}`), "4 orphan -"]);
    expect(await resync(tx)).toBe(1);
    expect(await waiting(tx)).toEqual([...["1", "2", "3"].map((id) => `${id} ${status(id)}`), "4 pending"]);
    expect(await resync(tx)).toBe(0);
  }),
);

test(
  "a text that was given in place of a row's own is no difference",
  onAgreement(async (tx, worker) => {
    await tx.query("select public.enqueue_embedding('test_rows', '1', 'given')");
    expect(await problems(tx)).toEqual([]);
    await embedAll(worker);
    expect(await copies(tx)).toContain("1 0 given");
    expect(await problems(tx)).toEqual([]);
  }),
);

test(
  "a profile whose template names columns agrees with itself, and disagrees when one of them changes unseen",
  onAgreement(async (tx, worker) => {
    await tx.query(
      "alter table public.test_rows add title text, add made timestamptz default '2020-01-02 03:04:05+02'",
    );
    await prepare(tx, "test:t:2", { template: "{title} {made} {chunk}" });
    await tx.query("update public.test_rows set title = 'A' where id = 1");
    await embedAll(worker);
    await tx.query("select public.activate_embedding_profile('test:t:2')");
    expect(await problems(tx)).toEqual([]);
    await tx.query("set local timezone = 'Asia/Tokyo'");
    expect(await problems(tx)).toEqual([]);
    await unseen(tx, "update public.test_rows set title = 'B' where id = 1");
    expect(await problems(tx)).toEqual(["1 stale -"]);
  }),
);

test(
  "the night's proof puts right what differs where nobody was about to, tells it, and is content when it is done",
  onAgreement(async (tx, worker) => {
    const prove = () => valueOf<number>(tx, "select private.verify_and_resync()::int");
    await tx.query("update public.test_rows set body = 'edited' where id = 1");
    expect(await prove()).toBe(0);
    expect(await alerts(tx)).toEqual([]);
    await unseen(
      tx,
      "delete from public.test_rows where id = 2; update public.test_rows set body = 'x' where id in (3, 4)",
    );
    expect(await prove()).toBe(3);
    expect(await alerts(tx)).toEqual(["embeddings_differ test_rows"]);
    expect(await valueOf(tx, "select message from public.alerts where kind = 'embeddings_differ'")).toContain(
      "1 orphan, 2 stale",
    );
    await embedAll(worker);
    expect(await prove()).toBe(0);
    expect(await alerts(tx)).toEqual([]);
    expect(await problems(tx)).toEqual([]);
  }),
);

test(
  "a source may be cut in its own way, which stays when its triggers are mended, and its rows are embedded anew when it changes",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    const register = (cut: string) =>
      valueOf(tx, `select public.register_embedding_source('public.test_rows', 'body', 'is_public'${cut})`);
    expect(await register(", 100, 49")).toMatchObject({ enqueued: 3 });
    const [job] = await worker.claim(1);
    expect(job).toMatchObject({ chunkTokens: 100, chunkOverlap: 49, targets: [{ isUnchanged: false }] });
    if (job !== undefined) await worker.finish([embedded(job)]);
    await embedAll(worker);
    expect(await register(", 100, 49")).toMatchObject({ enqueued: 0 });
    // What mends missing triggers does not change it.
    await tx.query("drop trigger accord_embed_insert on public.test_rows");
    const mend = await valueOf<string>(
      tx,
      "select mend from private.embeddings_health() where name = 'triggers of test_rows'",
    );
    await tx.query(mend.slice("Run: ".length));
    expect(await waiting(tx)).toEqual([]);
    expect(await register("")).toMatchObject({ enqueued: 3 });
  }),
);

const watch = (tx: Session) => tx.query("select private.watch_embeddings()");

test(
  "rows that nobody has taken for a quarter of an hour are told, unless their provider rests",
  onRows(async (tx, worker) => {
    await tx.query("update public.embedding_sync_queue set visible_at = now() - interval '14 minutes'");
    await watch(tx);
    expect(await alerts(tx)).toEqual([]);
    await tx.query("update public.embedding_sync_queue set visible_at = now() - interval '16 minutes'");
    await watch(tx);
    expect(await alerts(tx)).toEqual(["embeddings_stuck"]);
    expect(await list(tx, "select source_id from public.stuck_embedding_jobs() order by 1")).toEqual(["1", "2", "3"]);
    await tx.query("insert into private.embedding_providers values ('test', 1, clock_timestamp() + interval '1 hour')");
    await watch(tx);
    expect(await alerts(tx)).toEqual([]);
    await tx.query("delete from private.embedding_providers");
    await watch(tx);
    expect(await alerts(tx)).toEqual(["embeddings_stuck"]);
    await embedAll(worker);
    await watch(tx);
    expect(await alerts(tx)).toEqual([]);
  }),
);

test(
  "an edit that every run takes and gives back is told after a quarter of an hour, but not while others get done or its provider rests",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await tx.query("update public.test_rows set body = 'edited' where id = 1");
    const isLate = async () => {
      await watch(tx);
      const jobs = await list(tx, "select format('%s %s', source_id, problem) from public.stuck_embedding_jobs()");
      const ok = await valueOf(tx, "select ok from private.embeddings_health() where name = 'embedding queue'");
      expect([jobs.length > 0, !ok]).toEqual(Array(2).fill((await alerts(tx)).includes("embeddings_stuck")));
      return jobs;
    };
    await tx.query(
      "update public.embedding_sync_queue set created_at = now() - interval '16 minutes' where source_id = '1'",
    );
    // The others were done a moment ago.
    expect(await isLate()).toEqual([]);
    await tx.query(
      "update public.embedding_sync_queue set processed_at = now() - interval '16 minutes' where source_id <> '1'",
    );
    expect(await isLate()).toEqual(["1 is taken, and never gets done"]);
    await worker.tokens(1);
    expect(await isLate()).toEqual(["1 is taken, and never gets done"]);
    await tx.query(`select public.release_embedding_jobs(array(
      select lease_token from public.embedding_sync_queue where lease_token is not null), 60)`);
    expect(await isLate()).toEqual([]);
    await tx.query("update public.embedding_sync_queue set visible_at = clock_timestamp() where source_id = '1'");
    expect(await isLate()).toHaveLength(1);
    await tx.query("insert into private.embedding_providers values ('test', 1, clock_timestamp() + interval '1 hour')");
    expect(await isLate()).toEqual([]);
    await tx.query("delete from private.embedding_providers");
    await settle(tx, "embedding_daily_budget_usd", 1);
    await tx.query(
      "insert into public.embedding_costs (source_table, profile, cost_usd) values ('test_rows', 'test:small:2', 2)",
    );
    expect(await isLate()).toEqual([]);
  }),
);

test(
  "rows that a budget leaves for later are not late when an edit is due beside them",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await settle(tx, "embedding_daily_budget_usd", 1);
    await tx.query(
      "insert into public.embedding_costs (source_table, profile, cost_usd) values ('test_rows', 'test:small:2', 0.95)",
    );
    await tx.query(`
      insert into public.embedding_sync_queue (source_table, source_id, priority, visible_at)
      values ('test_rows', '8', 1, now() - interval '1 hour'), ('test_rows', '9', 0, now())`);
    await watch(tx);
    expect(await alerts(tx)).not.toContain("embeddings_stuck");
  }),
);

test(
  "failed rows are told from as many on as the setting says, until they are retried",
  onRows(async (tx, worker) => {
    await settle(tx, "embedding_failed_alert_rows", 2);
    for (const expected of [[], ["embeddings_failed"]]) {
      const [job] = await worker.claim(1);
      await worker.finish([{ token: job?.token ?? "", copies: [], failure: { message: "no", permanent: true } }]);
      await watch(tx);
      expect(await alerts(tx)).toEqual(expected);
    }
    expect(await valueOf(tx, "select message from public.alerts where kind = 'embeddings_failed'")).toContain("2 rows");
    await tx.query("select public.retry_failed_embeddings()");
    await watch(tx);
    expect(await alerts(tx)).toEqual([]);
  }),
);

test(
  "a schedule that has stopped, or whose runs all fail, is told by a worker that somebody else woke, and resolved when one succeeds",
  onRows(
    async (tx, worker) => {
      const ticked = (minutesAgo: number, status = "succeeded") =>
        tx.query(
          `insert into cron.job_run_details (jobid, runid, start_time, status)
         select jobid, 1000000000 - $1::int, now() - make_interval(mins => $1::int), $2 from cron.job where jobname = 'accord-embeddings'`,
          [minutesAgo, status],
        );
      const told = () =>
        valueOf<string>(
          tx,
          "select message from public.alerts where kind = 'schedule_stopped' and resolved_at is null",
        );
      await tx.query("delete from cron.job_run_details");
      // A server that has just started has had no round yet.
      await worker.end();
      expect(await alerts(tx)).toEqual([]);
      const watcher = await valueOf<string>(tx, "select pg_get_functiondef('private.watch_schedule()'::regprocedure)");
      await tx.query(watcher.replaceAll("pg_postmaster_start_time()", "(now() - interval '1 day')"));
      await ticked(21);
      await worker.end();
      expect(await told()).toMatch(/^pg_cron has not run/);
      await watch(tx);
      expect(await alerts(tx)).toEqual([]);
      await ticked(18, "failed");
      await worker.end();
      expect(await told()).toMatch(/^Every run of accord-embeddings has failed/);
      await watch(tx);
      await ticked(19);
      await worker.end();
      expect(await alerts(tx)).toEqual([]);
    },
    1,
    superuserUrl(),
  ),
);

test(
  "a row without an id is refused with the key it lacks",
  onRows(async (tx) => {
    expect(await refusalOf(tx, "select public.enqueue_embedding('test_rows', null)")).toMatchObject({
      code: "22023",
      message: "The id of the row of test_rows is null",
      hint: expect.stringMatching(/^Give its key, id;/),
    });
  }),
);

test(
  "the status tells how much of each source is embedded in the profile that search uses",
  onAgreement(async (tx) => {
    const status = async () =>
      (await tx.query(
        `select eligible::int, embedded::int, coverage::float, is_catching_up from public.embedding_sync_status
         where source_table = 'test_rows'`,
      )).rows[0];
    await tx.query("delete from private.embedding_backfills");
    expect(await status()).toEqual({ eligible: 4, embedded: 4, coverage: 1, is_catching_up: false });
    await tx.query("insert into public.test_rows values (5, 'five', true), (6, 'six', false)");
    expect(await status()).toEqual({ eligible: 5, embedded: 4, coverage: 0.8, is_catching_up: false });
    await prepare(tx);
    expect(await status()).toEqual({ eligible: 5, embedded: 4, coverage: 0.8, is_catching_up: true });
    await tx.query("select public.activate_embedding_profile('test:next:2', true)");
    await becomeAdmin(tx);
    expect(await status()).toEqual({ eligible: 5, embedded: 0, coverage: 0, is_catching_up: true });
    await become(tx, "authenticated");
    expect(await status()).toBeUndefined();
  }),
);

test(
  "only staff may have it all looked at",
  onRows(async (tx) => {
    for (const role of ["anon", "authenticated"]) {
      await become(tx, role);
      for (
        const call of [
          "verify_embeddings()",
          "resync_embeddings()",
          "stuck_embedding_jobs()",
          "clean_up_embedding_queue()",
        ]
      ) {
        expect((await refusalOf(tx, `select public.${call}`)).code).toBe("42501");
      }
    }
    await becomeAdmin(tx);
    expect(await problems(tx)).toEqual(["1 missing pending"]);
  }, 1),
);

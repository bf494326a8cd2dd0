import { expect, test } from "vitest";
import { embedded } from "../support/sql-worker.ts";
import { alerts, copies, count, embedAll, list, onRows, settle, SMALL, waiting } from "./support/embeddings.ts";
import { type Session, valueOf } from "./support/session.ts";

const dispatch = (tx: Session) => tx.query("select private.dispatch_embeddings()");

const ledger = (tx: Session) =>
  list(
    tx,
    `select format('%s %s %s %s', source_table, tokens, tokens_saved_unchanged, tokens_saved_reused)
     from public.embedding_costs order by 1`,
  );

const spend = (tx: Session, tokens: number, profile: unknown = SMALL.name, source = "test_rows") =>
  tx.query("select public.account_embedding_usage($1, 0, $2, false)", [
    profile,
    JSON.stringify([{ sourceTable: source, requests: 1, tokens }]),
  ]);

test(
  "a step of the schedule that fails is told, without what its message says of a row, and stops none of the others",
  onRows(async (tx, worker) => {
    await tx.query("select public.set_setting('embedding_failed_alert_rows', '1')");
    await tx.query(`
      update public.embedding_sync_queue set status = 'failed', failed_at = now(), last_error = 'no' where source_id = '1';
      create table public.test_dropped (id int primary key);
      select public.register_embedding_source('public.test_dropped', 'id::text');
      drop table public.test_dropped;
      create or replace function private.advance_profiles() returns void language plpgsql set search_path = '' as
        $$ begin raise exception 'The text of a row' using errcode = '22000'; end $$`);
    await dispatch(tx);
    expect(await alerts(tx)).toEqual(["embedding_step_failed advance_profiles", "embeddings_failed"]);
    const told = await valueOf<string>(tx, "select message from public.alerts where kind = 'embedding_step_failed'");
    expect(told).toContain("22000");
    expect(told).not.toContain("The text of a row");
    expect(await count(tx, "private.embedding_sources where source_table = 'test_dropped'")).toBe(0);
    // Nor does a worker fail at its end.
    await worker.end();
    await tx.query(
      "create or replace function private.advance_profiles() returns void language sql set search_path = '' as ''",
    );
    await dispatch(tx);
    expect(await alerts(tx)).toEqual(["embeddings_failed"]);
  }),
);

test(
  "with the budget used up what is deleted or unpublished leaves all the same, and nothing else is given out",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await settle(tx, "embedding_daily_budget_usd", 1);
    await spend(tx, 1_000_000);
    await tx.query("delete from public.test_rows where id = 1");
    await tx.query("update public.test_rows set is_public = false where id = 2");
    await tx.query("update public.test_rows set body = 'edited' where id = 3");
    expect(await valueOf(tx, "select private.has_due_embeddings()")).toBe(true);
    const jobs = await worker.claim(10);
    expect(worker.idle).toBe("budget_used_up");
    expect(jobs.map(({ sourceId, isGone }) => `${sourceId} ${isGone}`)).toEqual(["1 true", "2 true"]);
    await worker.finish(jobs.map((job) => embedded(job)));
    expect(await copies(tx)).toEqual(["3 0 text 3"]);
    expect(await waiting(tx)).toEqual(["3 pending"]);
    expect(await valueOf(tx, "select private.has_due_embeddings()")).toBe(false);
  }),
);

test(
  "a row that was to leave and is back asks no provider while the budget is used up, and waits",
  onRows(async (tx, worker) => {
    await settle(tx, "embedding_daily_budget_usd", 1);
    await spend(tx, 1_000_000);
    await tx.query("update public.embedding_sync_queue set action = 'delete' where source_id = '1'");
    const claim = await valueOf<{ tokens: string[]; profiles: { isPaused: boolean }[] }>(
      tx,
      "select public.claim_embedding_jobs($1, 10, $2)",
      [worker.id, JSON.stringify(SMALL)],
    );
    expect(claim.profiles.map(({ isPaused }) => isPaused)).toEqual([true]);
    expect(claim.tokens).toHaveLength(1);
    await worker.finish(claim.tokens.map((token) => ({ token, copies: [] })));
    expect(await worker.tokens(10)).toEqual([]);
    expect(await valueOf(tx, "select retry_count from public.embedding_sync_queue where source_id = '1'")).toBe(0);
  }),
);

test(
  "what was saved is written down when a row is done and not each time it is given back",
  onRows(async (tx, worker) => {
    const [job, ...others] = await worker.claim();
    if (job === undefined) throw new Error("Nothing is due.");
    const result = embedded(job);
    const copiesOf = result.copies.map((copy) => ({ ...copy, reused: 6 }));
    await worker.finish(others.map(({ token }) => ({ token, copies: [] })));
    // Its provider failed: it comes back.
    await worker.finish([{ token: job.token, copies: [] }]);
    expect(await ledger(tx)).toEqual([]);
    const [again] = (await worker.claim(10)).filter(({ sourceId }) => sourceId === job.sourceId);
    if (again === undefined) throw new Error("It did not come back.");
    await worker.finish([{ token: again.token, copies: copiesOf }]);
    expect(await ledger(tx)).toEqual(["test_rows 0 0 6"]);
    // Asked for again though it is the same: its six tokens are saved.
    await tx.query("select public.enqueue_embedding('test_rows', $1)", [job.sourceId]);
    const [same] = await worker.claim(1);
    if (same === undefined) throw new Error("Nothing is due.");
    await worker.finish([embedded(same)]);
    expect(await ledger(tx)).toEqual([`test_rows 0 ${"text 1".length} 6`]);
    // A copy that was made while its row waited saves that wait nothing.
    await tx.query("update private.embedded_rows set updated_at = clock_timestamp() + interval '1 second'");
    await tx.query("select public.enqueue_embedding('test_rows', $1)", [job.sourceId]);
    const [partly] = await worker.claim(1);
    if (partly === undefined) throw new Error("Nothing is due.");
    await worker.finish([embedded(partly)]);
    expect(await ledger(tx)).toEqual([`test_rows 0 ${"text 1".length} 6`]);
  }),
);

test(
  "what was paid while its profile was being retired is written down at the price that it had",
  onRows(async (tx) => {
    await spend(tx, 1_000_000);
    await tx.query("delete from private.embedding_profiles");
    await spend(tx, 500_000);
    expect(await list(tx, "select format('%s %s', tokens, cost_usd::float) from public.embedding_costs"))
      .toEqual(["1500000 1.5"]);
  }),
);

test(
  "a vector that is put into stock again is kept for as long as a new one",
  onRows(async (tx) => {
    const stock = () =>
      tx.query("select public.stock_embeddings($1, $2)", [SMALL.name, '[{"hash": "h", "embedding": "[0,1]"}]']);
    await stock();
    await tx.query("update private.embedding_stock set created_at = now() - interval '8 days'");
    await stock();
    await tx.query("select public.clean_up_embedding_queue()");
    expect(await count(tx, "private.embedding_stock")).toBe(1);
  }),
);

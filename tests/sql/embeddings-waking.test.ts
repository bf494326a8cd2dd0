import { expect, test } from "vitest";
import { inVain, type Session, superuserUrl, valueOf } from "./support/session.ts";

const wakeBy = (tx: Session, mode: string) =>
  tx.query("select public.set_setting('embedding_wake', to_jsonb($1::text))", [mode]);

const queueTriggerIsOn = (tx: Session) =>
  valueOf<boolean>(
    tx,
    `select tgenabled <> 'D' from pg_trigger
     where tgrelid = 'public.embedding_sync_queue'::regclass and tgname = 'wakes_worker'`,
  );

/** The calls of the worker that this transaction makes if it commits now. */
async function callsAtCommit(tx: Session): Promise<number> {
  await tx.query("set constraints all immediate");
  const calls = await valueOf<number>(
    tx,
    "select count(*)::int from net.http_request_queue where url like '%/process-embedding-queue'",
  );
  await tx.query("set constraints all deferred");
  return calls;
}

/** Nothing is due and nobody has been called for long; all of it is taken back. */
const inMode = (mode: string, work: (tx: Session) => Promise<void>) => () =>
  inVain(async (tx) => {
    await wakeBy(tx, mode);
    await tx.query("delete from public.embedding_sync_queue");
    await tx.query("delete from net.http_request_queue");
    await tx.query("update private.worker_kinds set called_at = '-infinity'");
    await work(tx);
    // As the superuser: nobody else may see the calls that wait.
  }, superuserUrl());

const insert = (tx: Session, isPublished: boolean) =>
  tx.query("insert into public.faq_items (question, answer, is_published) values ('Is it open?', 'On Mondays.', $1)", [
    isPublished,
  ]);

test(
  "immediate: a transaction that queues something calls the worker once, at its commit",
  inMode("immediate", async (tx) => {
    await insert(tx, true);
    expect(await valueOf(tx, "select count(*)::int from net.http_request_queue")).toBe(0);
    await insert(tx, true);
    expect(await callsAtCommit(tx)).toBe(1);
    // Within the interval the worker that was called sees what else comes.
    await insert(tx, true);
    expect(await callsAtCommit(tx)).toBe(1);
  }),
);

test(
  "immediate: rows that nobody may see call nobody",
  inMode("immediate", async (tx) => {
    await insert(tx, false);
    expect(await callsAtCommit(tx)).toBe(0);
    await tx.query("update public.faq_items set answer = 'On Tuesdays.' where question = 'Is it open?'");
    expect(await callsAtCommit(tx)).toBe(0);
  }),
);

test(
  "immediate: failed rows that are retried call the worker, and none to retry calls nobody",
  inMode("immediate", async (tx) => {
    await tx.query("select public.retry_failed_embeddings()");
    expect(await valueOf(tx, "select count(*)::int from private.worker_wishes")).toBe(0);
    await insert(tx, true);
    await tx.query("update public.embedding_sync_queue set status = 'failed', failed_at = now()");
    expect(await callsAtCommit(tx)).toBe(0);
    expect(await valueOf(tx, "select public.retry_failed_embeddings()::int")).toBe(1);
    expect(await callsAtCommit(tx)).toBe(1);
  }),
);

test.each(["cron", "manual"])("%s: a writer pays for no wish, and calls nobody", (mode) =>
  inMode(mode, async (tx) => {
    expect(await queueTriggerIsOn(tx)).toBe(false);
    await insert(tx, true);
    expect(await valueOf(tx, "select count(*)::int from private.worker_wishes")).toBe(0);
    expect(await callsAtCommit(tx)).toBe(0);
    await wakeBy(tx, "immediate");
    expect(await queueTriggerIsOn(tx)).toBe(true);
    await wakeBy(tx, mode);
    expect(await queueTriggerIsOn(tx)).toBe(false);
  })());

test(
  "the schedule calls the worker if something is due, and never in manual mode",
  inMode("cron", async (tx) => {
    await tx.query("select private.dispatch_embeddings()");
    expect(await callsAtCommit(tx)).toBe(0);
    await insert(tx, true);
    await tx.query("select private.dispatch_embeddings()");
    expect(await callsAtCommit(tx)).toBe(1);
    await wakeBy(tx, "manual");
    await tx.query("select private.dispatch_embeddings()");
    expect(await callsAtCommit(tx)).toBe(1);
  }),
);

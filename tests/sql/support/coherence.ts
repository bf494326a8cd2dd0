import { inVain, type Session, superuserUrl, valueOf } from "./session.ts";

export interface Pair {
  name: string;
  sourceCount: number;
  copyCount: number;
  missing: number;
  stale: number;
  orphan: number;
  inFlight: number;
  waiting: number;
  ratio: number;
  verdict: string;
  action: string | null;
  detail: string | null;
}

export const QUEUE = "queue of bucket test-a";
export const DOCUMENTS = "documents of bucket test-a";

/** One watched bucket of its own, and no other; whoever works here may write past triggers. All of it is taken back. */
export const onBucket = (work: (tx: Session) => Promise<void>): () => Promise<void> => () =>
  inVain(async (tx) => {
    // The schedule's own check waits its turn.
    await tx.query("select pg_advisory_xact_lock(hashtextextended('accord coherence', 0))");
    await tx.query("select set_config('storage.allow_delete_query', 'true', true)");
    await tx.query(`
      delete from private.bucket_syncs;
      delete from public.files_queue;
      delete from private.watched_buckets;
      delete from public.coherence_history;
      delete from public.alerts where kind = 'coherence';
      update private.coherence_checks set checked_at = '-infinity', report = null;
      insert into storage.buckets (id, name, public) values ('test-a', 'test-a', false);
      select public.watch_bucket('test-a')`);
    await work(tx);
  }, superuserUrl());

/** Something is written that no trigger sees. */
export async function unseen(tx: Session, sql: string, values: unknown[] = []): Promise<void> {
  await tx.query("set local session_replication_role = replica");
  await tx.query(sql, values);
  await tx.query("set local session_replication_role = origin");
}

/** So many objects that nobody has noticed, `f000001` the first of them. */
export const addObjects = (tx: Session, first: number, last: number, age = "1 hour"): Promise<void> =>
  unseen(
    tx,
    `insert into storage.objects (bucket_id, name, version, metadata, created_at, updated_at)
     select 'test-a', 'f' || to_char(n, 'FM000000'), 'v1',
       jsonb_build_object('eTag', 'tag ' || n, 'size', 10, 'mimetype', 'text/plain'), now() - $3::interval, now() - $3::interval
     from generate_series($1::int, $2::int) as n`,
    [first, last, age],
  );

/** So many objects whose files were read long ago: queue and documents agree with them. */
export async function addAgreement(tx: Session, count: number): Promise<void> {
  await addObjects(tx, 1, count);
  await unseen(
    tx,
    `insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, status, processed_at)
     select bucket_id, file_path, object_version, content_tag, file_size, mime_type, 'completed', now() - interval '30 minutes'
     from private.eligible_objects`,
  );
  await unseen(
    tx,
    `insert into public.documents (bucket_id, file_path, content, metadata)
     select bucket_id, file_path, 'text of ' || file_path, jsonb_build_object('contentTag', content_tag)
     from private.eligible_objects`,
  );
}

export async function report(tx: Session): Promise<{ generatedAt: string; verdict: string; pairs: Pair[] }> {
  return await valueOf(tx, "select public.coherence_report()");
}

export async function pairOf(tx: Session, name: string): Promise<Pair> {
  const pair = (await report(tx)).pairs.find((pair) => pair.name === name);
  if (pair === undefined) throw new Error(`There is no pair "${name}".`);
  return pair;
}

/** Where source and copy of the bucket differ, as `missing stale orphan verdict`: the queue's, then the documents'. */
export async function differences(tx: Session): Promise<string[]> {
  const { pairs } = await report(tx);
  return [QUEUE, DOCUMENTS].map((name) => {
    const { missing, stale, orphan, verdict } = pairs.find((pair) => pair.name === name) ?? {};
    return `${missing} ${stale} ${orphan} ${verdict}`;
  });
}

/** What the schedule does: the check, and then batches until nothing is under way any more. */
export async function check(tx: Session): Promise<void> {
  await watch(tx);
  for (let batch = 0; batch < 20; batch++) {
    await tx.query("select private.advance_syncs()");
    if (await valueOf<number>(tx, "select count(*)::int from private.bucket_syncs") === 0) return;
  }
  throw new Error("There is no end to what is being put right.");
}

/** One check, and none of the batches after it. */
export async function watch(tx: Session): Promise<void> {
  await tx.query("update private.coherence_checks set checked_at = '-infinity'");
  await tx.query("select private.watch_coherence()");
}

export const countOf = (tx: Session, sql: string): Promise<number> =>
  valueOf<number>(tx, `select count(*)::int from ${sql}`);

/** The open alerts about pairs of the bucket. */
export async function alerts(tx: Session): Promise<string[]> {
  const { rows } = await tx.query<{ subject: string }>(
    "select subject from public.alerts where kind = 'coherence' and resolved_at is null and subject like '%test-a' order by 1",
  );
  return rows.map(({ subject }) => subject);
}

/** What differences() tells of a bucket where all agree. */
export const AGREE = ["0 0 0 ok", "0 0 0 ok"];

export const removeObjects = (tx: Session, first: number, last: number): Promise<void> =>
  unseen(tx, "delete from storage.objects where bucket_id = 'test-a' and substr(name, 2)::int between $1 and $2", [
    first,
    last,
  ]);

export interface Repaired {
  repaired: { pair: string; rows: number }[];
  left: { pair: string; action: string }[];
}

export const repair = (tx: Session): Promise<Repaired> =>
  valueOf<Repaired>(
    tx,
    "select public.repair_coherence()",
  );

/** Of what was repaired or left, what is of the bucket. */
export const ofBucket = <Entry extends { pair: string }>(entries: Entry[]): Entry[] =>
  entries.filter(({ pair }) => pair.endsWith("test-a"));

export interface Synced {
  phase: string;
  enqueued: number;
  noted: number;
  expectedTotal: number;
  removed: number;
  kept: number;
  isDone: boolean;
  isBusy: boolean;
}

export const syncOnce = (tx: Session, batch: number | null = null, force = false): Promise<Synced> =>
  valueOf<Synced>(tx, "select public.sync_bucket('test-a', $1, $2)", [batch, force]);

/** As the command does: batch after batch, until it is done. */
export async function syncByHand(tx: Session, batch: number | null = null, force = false): Promise<Synced[]> {
  const states: Synced[] = [];
  do states.push(await syncOnce(tx, batch, force)); while (states.at(-1)?.isDone === false && states.length < 20);
  return states;
}

/** A pair as a later capability tells it: one function, and nothing else. */
export async function tellPair(tx: Session, values: string): Promise<void> {
  await tx.query(`
    create function private.test_coherence() returns setof private.coherence_pair
    language sql as $$ select 'test mirror', ${values} $$`);
}

/** The pairs of the report that have this name. */
export async function told(tx: Session, name: string): Promise<Pair[]> {
  return (await report(tx)).pairs.filter((pair) => pair.name === name);
}

/** The open alerts of a kind, as `subject: message`. */
export async function openAlerts(tx: Session, kind: string): Promise<string[]> {
  const { rows } = await tx.query<{ told: string }>(
    "select concat(subject, ': ', message) as told from public.alerts where kind = $1 and resolved_at is null order by 1",
    [kind],
  );
  return rows.map(({ told }) => told);
}

import { expect } from "vitest";
import type { CopiedChunk, Job, Outcome, Result } from "../../../shared/embeddings/queue.ts";
import { embedded, smallProfile, SqlWorker } from "../../support/sql-worker.ts";
import { inVain, type Session, valueOf } from "./session.ts";

/** The figures of a profile whose name is its own. */
export const SMALL = smallProfile("test:small:2");

export async function settle(tx: Session, name: string, value: number): Promise<void> {
  await tx.query("select public.set_setting($1, to_jsonb($2::numeric))", [name, value]);
}

/** No source, no profile, no provider, nothing queued, no money spent; all of it is taken back. */
export const onBareGround = (work: (tx: Session) => Promise<void>, url?: string): () => Promise<void> => () =>
  inVain(async (tx) => {
    // Nobody else advances profiles meanwhile; then the queue and the profiles, as workers and the other suites take them.
    await tx.query("select pg_advisory_xact_lock(hashtextextended('accord embedding profiles advance', 0))");
    await tx.query("delete from public.embedding_sync_queue");
    await tx.query("select private.lock_profiles()");
    await tx.query(`
      delete from private.workers;
      delete from private.embedding_backfills;
      delete from private.embedding_sources;
      delete from private.embedding_default;
      delete from private.embedding_profiles;
      delete from private.embedding_providers;
      delete from public.embedding_costs;
      delete from public.alerts where kind like 'embedding%' or kind in ('provider_paused', 'schedule_stopped')`);
    await work(tx);
  }, url);

export async function makeTable(tx: Session, rows = 3): Promise<void> {
  await tx.query("create table public.test_rows (id int primary key, body text, is_public boolean default true)");
  await tx.query("insert into public.test_rows select n, 'text ' || n from generate_series(1, $1::int) as n", [rows]);
  await tx.query("select public.register_embedding_source('public.test_rows', 'body', 'is_public')");
}

/** On bare ground, one source of a few rows, and one profile that is active and has nothing yet. */
export const onRows = (
  work: (tx: Session, worker: SqlWorker) => Promise<void>,
  rows = 3,
  url?: string,
): () => Promise<void> =>
  onBareGround(async (tx) => {
    await makeTable(tx, rows);
    const worker = new SqlWorker(tx, SMALL);
    await worker.tokens(1);
    await release(tx);
    await work(tx, worker);
  }, url);

/** Everything that is leased is given back. */
export async function release(tx: Session): Promise<void> {
  await tx.query(`select public.release_embedding_jobs(array(
    select lease_token from public.embedding_sync_queue where lease_token is not null))`);
}

/** Takes all that is due and finishes it; gives the outcomes in the order of the rows. */
export async function embedAll(worker: SqlWorker, cut?: (text: string) => string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let round = 0; round < 20; round++) {
    const jobs = await worker.claim(100);
    if (jobs.length === 0) return outcomes;
    outcomes.push(...Object.values(await worker.finish(jobs.map((job) => embedded(job, cut)))));
  }
  throw new Error("There is no end to what is due.");
}

/** The one row that is due. */
export async function claimOne(worker: SqlWorker): Promise<Job> {
  const [job, ...more] = await worker.claim();
  expect(more).toEqual([]);
  if (job === undefined) throw new Error("Nothing is due.");
  return job;
}

/** What a worker hands in whose chunks are given one by one. */
export const resultOf = (job: Job, chunks: CopiedChunk[]): Result => ({
  token: job.token,
  copies: job.targets.map(({ profile, fingerprint }) => ({ profile, fingerprint, isUnchanged: false, chunks })),
});

export async function list(tx: Session, sql: string, values: unknown[] = []): Promise<string[]> {
  const { rows } = await tx.query<[string]>({ text: sql, values, rowMode: "array" });
  return rows.map(([value]) => value);
}

export const copies = (tx: Session, profile = SMALL.name): Promise<string[]> =>
  list(
    tx,
    `select format('%s %s %s', source_id, chunk_index, content) from public.documentation_embeddings
     where profile = $1 order by source_id, chunk_index`,
    [profile],
  );

/** What is in the queue and not done, as `id status`. */
export const waiting = (tx: Session): Promise<string[]> =>
  list(
    tx,
    `select format('%s %s', source_id, status) from public.embedding_sync_queue
     where status <> 'completed' order by source_id`,
  );

export const states = (tx: Session): Promise<string[]> =>
  list(tx, "select format('%s %s', name, state) from private.embedding_profiles order by name");

/** The open alerts, as `kind subject`. */
export const alerts = (tx: Session): Promise<string[]> =>
  list(
    tx,
    "select trim(format('%s %s', kind, subject)) from public.alerts where resolved_at is null and (kind like 'embedding%' or kind in ('provider_paused', 'schedule_stopped')) order by 1",
  );

export const problems = (tx: Session): Promise<string[]> =>
  list(
    tx,
    "select format('%s %s %s', source_id, problem, coalesce(queued, '-')) from public.verify_embeddings() order by 1",
  );

export const count = (tx: Session, sql: string, values: unknown[] = []): Promise<number> =>
  valueOf<number>(tx, `select count(*)::int from ${sql}`, values);

/** A worker that ends as often as it takes until all that it begins is done: it makes one index at a time. */
export async function endOften(worker: SqlWorker): Promise<void> {
  for (let end = 0; end < 5; end++) await worker.end();
}

/** A second profile beside the active one. */
export const prepare = (
  tx: Session,
  name = "test:next:2",
  chosen: { dimensions?: number; tokens?: number; template?: string } = {},
): Promise<unknown> =>
  valueOf(tx, "select public.prepare_embedding_profile($1, 'elsewhere', 'm', $2, $3, 0, $4)", [
    name,
    chosen.dimensions ?? 2,
    chosen.tokens ?? 400,
    chosen.template ?? "{chunk}",
  ]);

import type { Clock } from "../platform/clock.ts";
import { DatabaseError } from "../platform/errors.ts";
import type { Embedding, Job, JobQueue, Outcome, Result } from "./queue.ts";

/** Rows written in one transaction: an edit of one of them waits for no more than that. */
const ROWS_PER_FINISH = 50;
/** Vectors written in one transaction, for rows of many chunks. */
const CHUNKS_PER_FINISH = 100;
/** An edit is over in a moment; one that is not is not waited for. */
const BUSY_PAUSES_MS = [20, 50, 100, 200, 400, 800];

interface Ports {
  queue: JobQueue;
  clock: Clock;
}

interface Written {
  job: Job;
  result: Result;
  outcome: Outcome | undefined;
}

/** Hands in the results of these rows, a few at a time, and tells what became of each. */
export async function* writeRows(ports: Ports, jobs: Job[], results: Map<string, Result>): AsyncGenerator<Written> {
  for (const some of transactionsOf(jobs, results)) {
    const outcomes = await writeAll(ports, some.flatMap(({ token }) => results.get(token) ?? []));
    for (const job of some) {
      const result = results.get(job.token);
      if (result !== undefined) yield { job, result, outcome: outcomes.get(job.token) };
    }
  }
}

/** Keeps vectors, by the hash of their chunk, whose row cannot be written yet. */
export async function keepInStock(queue: JobQueue, profile: string, embeddings: Map<string, Embedding>): Promise<void> {
  const chunks = [...embeddings].map(([hash, embedding]) => ({ hash, embedding }));
  for (let i = 0; i < chunks.length; i += CHUNKS_PER_FINISH) {
    await queue.stock(profile, chunks.slice(i, i + CHUNKS_PER_FINISH));
  }
}

/**
 * Rows that cannot be written are found by writing each alone, and are charged for it: otherwise they would be given back
 * for ever, and all that are written with them, and be paid for each time.
 */
async function write(queue: JobQueue, results: Result[]): Promise<Map<string, Outcome>> {
  try {
    return await queue.finish(results);
  } catch (error) {
    if (!(error instanceof DatabaseError && areToBlame(results, error))) throw error;
    const [{ token } = { token: "" }] = results;
    const failure = { message: `Its copy cannot be written. ${error.message}`, permanent: false };
    if (results.length === 1) return await queue.finish([{ token, copies: [], failure }]);
    const outcomes = new Map<string, Outcome>();
    for (const result of results) {
      for (const [token, outcome] of await write(queue, [result])) outcomes.set(token, outcome);
    }
    return outcomes;
  }
}

/**
 * Rows that an edit had locked are asked for again, all at once: where their whole table is locked they are many. Those
 * they are left to in the end find their leases run out, and what was paid for in stock.
 */
async function writeAll({ queue, clock }: Ports, results: Result[]): Promise<Map<string, Outcome>> {
  const outcomes = await write(queue, results);
  const busy = () => results.filter(({ token }) => outcomes.get(token) === "busy");
  for (const pause of BUSY_PAUSES_MS) {
    if (busy().length === 0) return outcomes;
    await clock.wait(pause);
    for (const [token, outcome] of await write(queue, busy())) outcomes.set(token, outcome);
  }
  for (const { profile, chunks } of busy().flatMap(({ copies }) => copies)) {
    const embeddings = new Map<string, Embedding>();
    for (const { hash, embedding } of chunks) if (embedding !== undefined) embeddings.set(hash, embedding);
    await keepInStock(queue, profile, embeddings);
  }
  return outcomes;
}

/** Data, constraints, limits, and the expressions of their source: the rows are to blame. */
const ROWS_FAULTS = /^(22|23|42|54|P0)...$/;
/** Whoever waits for a lock is out of time as well: only of a row of many chunks it is said that it takes too long. */
const OUT_OF_TIME = "57014";

function areToBlame(results: Result[], { details }: DatabaseError): boolean {
  const code = typeof details === "object" && details !== null && "code" in details ? details.code : null;
  if (code === OUT_OF_TIME) {
    return results.length === 1 && results.some((result) => chunksOf(result) > CHUNKS_PER_FINISH);
  }
  return typeof code === "string" && ROWS_FAULTS.test(code);
}

function chunksOf({ copies }: Result): number {
  return copies.reduce((sum, { chunks }) => sum + chunks.length, 0);
}

/** Rows that are written together: few, and fewer where they have many chunks. */
function* transactionsOf(jobs: Job[], results: Map<string, Result>): Generator<Job[]> {
  let some: Job[] = [];
  let chunks = 0;
  for (const job of jobs) {
    const result = results.get(job.token);
    const own = result === undefined ? 0 : chunksOf(result);
    if (some.length > 0 && (some.length >= ROWS_PER_FINISH || chunks + own > CHUNKS_PER_FINISH)) {
      yield some;
      [some, chunks] = [[], 0];
    }
    some.push(job);
    chunks += own;
  }
  if (some.length > 0) yield some;
}

import type { Clock } from "../platform/clock.ts";
import { type DrainReport, emptyReport } from "./report.ts";
import type { EmbeddedAll } from "./embed-all.ts";
import type { EmbeddingUsage } from "./embedder.ts";
import { vectorText } from "./vectors.ts";
import type { Failure, Job, JobQueue, Outcome, Result } from "./queue.ts";

/** How one run of the worker goes about it; every option with its default. */
export interface DrainOptions {
  /** Rows claimed at a time. */
  batchSize?: number;
  /** Claims under way at once: while one waits for the provider, another writes. */
  lanes?: number;
  /** After so long nothing more is claimed; the platform ends a request at 150 s. */
  budgetMs?: number;
  /** How long an empty queue is watched before the run ends; see `private.wake_at_commit()`. */
  lingerMs?: number;
  /** Rows after which the run ends, for embedders that are short of processor time. */
  rowLimit?: number;
}

export const DRAIN_DEFAULTS = {
  batchSize: 256,
  lanes: 2,
  budgetMs: 90_000,
  lingerMs: 0,
  rowLimit: Number.POSITIVE_INFINITY,
} satisfies Required<DrainOptions>;

/** Rows written in one transaction: an edit of one of them waits for no more than that. */
const ROWS_PER_FINISH = 50;
/** An edit is over in a moment; one that is not is not waited for. */
const BUSY_PAUSES_MS = [20, 50, 100, 200, 400, 800];
/** How long rows rest when the provider fails as a whole and does not say how long. */
const PROVIDER_REST_SECONDS = 30;

/** A part of a text that is embedded by itself; the hash says whether it was embedded before. */
export interface HashedPiece {
  text: string;
  hash: string;
  tokens: number;
}

export interface DrainPorts {
  queue: JobQueue;
  /** A text as the pieces to embed, each with its hash. */
  piecesOf(content: string): Promise<HashedPiece[]>;
  embedAll(texts: string[], signal: AbortSignal): Promise<EmbeddedAll>;
  clock: Clock;
}

/** Empties the queue, as far as time and provider allow, and wakes a successor if something is left. */
export async function drain(ports: DrainPorts, options: DrainOptions = {}): Promise<DrainReport> {
  return await new Drain(ports, { ...DRAIN_DEFAULTS, ...options }).run();
}

class Drain {
  readonly #ports: DrainPorts;
  readonly #options: Required<DrainOptions>;
  readonly #startedAt: number;
  readonly #stop = new AbortController();
  readonly #report: DrainReport = emptyReport();

  constructor(ports: DrainPorts, options: Required<DrainOptions>) {
    this.#ports = ports;
    this.#options = options;
    this.#startedAt = ports.clock.now();
  }

  async run(): Promise<DrainReport> {
    const { queue, clock } = this.#ports;
    const report = this.#report;
    await this.#emptyQueue();
    const left = this.#options.lingerMs - this.#elapsed();
    if (left > 0 && report.stopped === null && report.claimed < this.#options.rowLimit) {
      await clock.wait(left);
      await this.#emptyQueue();
    }
    report.remaining = await queue.due();
    if (report.remaining > 0 && report.stopped === null) await queue.wakeSuccessor();
    report.durationMs = Math.round(this.#elapsed());
    return report;
  }

  #elapsed(): number {
    return this.#ports.clock.now() - this.#startedAt;
  }

  async #emptyQueue(): Promise<void> {
    const lanes = Array.from({ length: this.#options.lanes }, () => this.#lane());
    // All lanes end, whatever becomes of one: what they hold is finished or given back first.
    const ends = await Promise.allSettled(lanes);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #lane(): Promise<void> {
    const { batchSize, budgetMs, rowLimit } = this.#options;
    while (!this.#stop.signal.aborted && this.#elapsed() < budgetMs) {
      const room = Math.min(batchSize, rowLimit - this.#report.claimed);
      if (room <= 0) return;
      // Counted before it is known, so that lanes together stay within the limit.
      this.#report.claimed += room;
      const jobs = await this.#ports.queue.claim(room);
      this.#report.claimed -= room - jobs.length;
      if (jobs.length === 0) return;
      try {
        await this.#work(jobs);
      } catch (error) {
        this.#stop.abort(error);
        await this.#ports.queue.release(jobs.map(({ token }) => token), 0);
        throw error;
      }
    }
  }

  async #work(jobs: Job[]): Promise<void> {
    const tooLong = jobs.filter((job) => job.tooLong !== null);
    await this.#fail(tooLong.map(({ token, tooLong, limit }) => ({
      token,
      message: `The text has ${tooLong} characters; the limit is ${limit}. ` +
        "Shorten it, or raise the setting embedding_content_limit.",
      permanent: true,
    })));

    const plans = await Promise.all(jobs.filter((job) => job.tooLong === null).map((job) => this.#plan(job)));
    const texts = plans.flatMap(({ missing }) => missing.map(({ content }) => content));
    if (texts.length === 0) return await this.#finish(plans);

    const { vectors, rejected, failure, usage } = await this.#ports.embedAll(texts, this.#stop.signal);
    this.#count(usage);
    const ready: Plan[] = [];
    const refused: Failure[] = [];
    const untouched: string[] = [];
    let next = 0;
    for (const plan of plans) {
      const indices = plan.missing.map(() => next++);
      const refusal = indices.map((index) => rejected.get(index)).find((error) => error !== undefined);
      if (refusal !== undefined) refused.push({ token: plan.job.token, message: refusal.message });
      else if (indices.some((index) => !vectors.has(index))) untouched.push(plan.job.token);
      else {
        plan.missing.forEach((piece, i) => piece.embedding = vectorText(vectors.get(indices[i] ?? -1) ?? []));
        ready.push(plan);
      }
    }
    await this.#finish(ready);
    await this.#fail(refused);
    if (failure !== null) {
      this.#report.stopped ??= { code: failure.code, message: failure.message };
      this.#stop.abort(failure);
    }
    if (untouched.length > 0) {
      const rest = failure === null ? 0 : Math.ceil((failure.retryAfterMs ?? PROVIDER_REST_SECONDS * 1000) / 1000);
      await this.#ports.queue.release(untouched, rest);
    }
  }

  /** What is to be written for a row, and which pieces of it have to be paid for. */
  async #plan(job: Job): Promise<Plan> {
    const pieces = job.content === null ? [] : await this.#ports.piecesOf(job.content);
    const planned = pieces.map(({ text, hash, tokens }): PlannedPiece => ({ content: text, hash, tokens }));
    const missing = planned.filter(({ hash }, index) => job.hashes[index] !== hash);
    for (const piece of planned) if (!missing.includes(piece)) this.#report.usage.tokensSaved += piece.tokens;
    return { job, pieces: planned, missing };
  }

  async #finish(plans: Plan[]): Promise<void> {
    for (let i = 0; i < plans.length; i += ROWS_PER_FINISH) {
      const some = plans.slice(i, i + ROWS_PER_FINISH);
      const outcomes = await this.#ports.queue.finish(some.map(resultOf));
      for (const plan of some) {
        const outcome = outcomes.get(plan.job.token);
        this.#settle(plan, outcome === "busy" ? await this.#finishBusy(plan) : outcome);
      }
    }
  }

  /** A row that an edit had locked is asked for again. The one it is left to in the end finds its lease run out. */
  async #finishBusy(plan: Plan): Promise<Outcome | undefined> {
    for (const pause of BUSY_PAUSES_MS) {
      await this.#ports.clock.wait(pause);
      const outcome = (await this.#ports.queue.finish([resultOf(plan)])).get(plan.job.token);
      if (outcome !== "busy") return outcome;
    }
    return "busy";
  }

  #settle({ job, pieces, missing }: Plan, outcome: Outcome | undefined): void {
    if (outcome === "requeued") this.#report.requeued++;
    if (outcome !== "completed") return;
    this.#report.completed++;
    if (pieces.length === 0) this.#report.deleted++;
    else if (missing.length === 0 && job.hashes.length === pieces.length) this.#report.unchanged++;
  }

  async #fail(failures: Failure[]): Promise<void> {
    if (failures.length === 0) return;
    const outcomes = await this.#ports.queue.fail(failures);
    for (const outcome of outcomes.values()) {
      if (outcome === "requeued") this.#report.requeued++;
      else if (outcome !== "lost_lease") this.#report.failed++;
    }
  }

  #count({ requests, tokens, costUsd }: EmbeddingUsage): void {
    const { usage } = this.#report;
    usage.requests += requests;
    usage.tokens += tokens;
    usage.costUsd += costUsd;
  }
}

type PlannedPiece = Result["pieces"][number];

interface Plan {
  job: Job;
  pieces: PlannedPiece[];
  missing: PlannedPiece[];
}

function resultOf({ job, pieces }: Plan): Result {
  return { token: job.token, pieces };
}

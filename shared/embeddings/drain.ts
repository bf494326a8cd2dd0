import type { Clock } from "../platform/clock.ts";
import { Accounts } from "./accounts.ts";
import { countTokens } from "./chunking/tokens.ts";
import { embedAll, type EmbeddedAll, HARMLESS_TEXT } from "./embed-all.ts";
import type { Embedder } from "./embedder.ts";
import { AccordError } from "../platform/errors.ts";
import { type Plan, type PlannedChunk, planOf } from "./plan.ts";
import { type ProfileInUse } from "./profile.ts";
import { ProviderError } from "./provider-error.ts";
import { type DrainReport, emptyReport } from "./report.ts";
import { createSlots } from "./slots.ts";
import { vectorText } from "./vectors.ts";
import type { Claim, Job, JobQueue, Outcome, Result } from "./queue.ts";
import { keepInStock, writeRows } from "./write.ts";

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
}

export const DRAIN_DEFAULTS = {
  batchSize: 256,
  lanes: 2,
  budgetMs: 90_000,
  lingerMs: 0,
} satisfies Required<DrainOptions>;

/** Rows read at a time: their texts are all in memory. */
const ROWS_PER_READ = 64;
/** Chunks that are embedded and written before more rows are read. */
const CHUNKS_PER_PORTION = 1_024;
/** How long after the budget a text of many chunks may still be embedded; what is left of it is for the next run. */
const GRACE_MS = 20_000;
export interface DrainPorts {
  queue: JobQueue;
  /** The embedder of a profile; an AccordError where the environment cannot make it. */
  embedderOf(profile: ProfileInUse): Embedder;
  clock: Clock;
}

const IDLE = {
  provider_paused: "The provider has failed and rests. See the open alerts; the queue goes on by itself.",
  budget_used_up: "The budget is used up. Raise embedding_daily_budget_usd or embedding_monthly_budget_usd, or wait.",
} as const;

/** Empties the queue, as far as time, provider and budget allow; its end has a successor woken if something is left. */
export async function drain(ports: DrainPorts, options: DrainOptions = {}): Promise<DrainReport> {
  return await new Drain(ports, { ...DRAIN_DEFAULTS, ...options }).run();
}

/** What is known of a provider during one run. */
interface Source {
  embedder: Embedder;
  inSlot: ReturnType<typeof createSlots>;
  /** Texts that this run still has the processor time for. */
  inputsLeft: number;
}

class Drain {
  readonly #ports: DrainPorts;
  readonly #options: Required<DrainOptions>;
  readonly #startedAt: number;
  readonly #stop = new AbortController();
  readonly #report: DrainReport = emptyReport();
  readonly #sources = new Map<string, Source>();
  /** The profiles, each as its claim has it, whose provider was asked something. */
  readonly #asked = new WeakSet<ProfileInUse>();

  constructor(ports: DrainPorts, options: Required<DrainOptions>) {
    this.#ports = ports;
    this.#options = options;
    this.#startedAt = ports.clock.now();
  }

  async run(): Promise<DrainReport> {
    const { queue, clock } = this.#ports;
    const report = this.#report;
    try {
      await this.#emptyQueue();
      const left = this.#options.lingerMs - this.#elapsed();
      if (left > 0 && report.stopped === null) {
        await clock.wait(left);
        await this.#emptyQueue();
      }
    } catch (error) {
      // Told is what broke the run, and not that its end fails for the same reason.
      await queue.end().catch(() => {});
      throw error;
    }
    report.remaining = await queue.end();
    report.durationMs = Math.round(this.#elapsed());
    return report;
  }

  #elapsed(): number {
    return this.#ports.clock.now() - this.#startedAt;
  }

  async #emptyQueue(): Promise<void> {
    // The first claim by itself: it lets this worker in, which two at once would both try; and if the queue is empty it
    // is the only one.
    const first = await this.#claim();
    if (first === null) return;
    const lanes = Array.from({ length: this.#options.lanes }, (_, i) => this.#lane(i === 0 ? first : undefined));
    // All lanes end, whatever becomes of one: what they hold is finished or given back first.
    const ends = await Promise.allSettled(lanes);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #lane(first?: Claim): Promise<void> {
    let claim = first ?? await this.#claim();
    while (claim !== null) {
      try {
        await this.#work(claim);
      } catch (error) {
        this.#stop.abort(error);
        // Where even this fails, their leases run out.
        await this.#ports.queue.release(claim.tokens).catch(() => {});
        throw error;
      }
      claim = await this.#claim();
    }
  }

  /** Null where there is nothing more to do for this run. */
  async #claim(): Promise<Claim | null> {
    const { batchSize, budgetMs } = this.#options;
    if (this.#stop.signal.aborted || this.#elapsed() >= budgetMs || this.#isSpent()) return null;
    const claim = await this.#ports.queue.claim(Math.min(batchSize, this.#room()));
    if (claim.idle !== null && claim.idle !== "enough_workers") {
      this.#report.stopped ??= { code: claim.idle, message: IDLE[claim.idle] };
    }
    if (claim.tokens.length === 0) return null;
    this.#report.claimed += claim.tokens.length;
    return claim;
  }

  /** An embedder that is short of processor time takes a few texts a run. */
  #room(): number {
    const room = Math.min(...[...this.#sources.values()].map(({ inputsLeft }) => inputsLeft));
    return Math.max(1, Math.min(room, this.#options.batchSize));
  }

  #isSpent(): boolean {
    return [...this.#sources.values()].some(({ inputsLeft }) => inputsLeft <= 0);
  }

  async #work({ tokens, profiles }: Claim): Promise<void> {
    let portion: Portion = { jobs: [], plans: [] };
    let someTable: string | undefined;
    for (let i = 0; i < tokens.length; i += ROWS_PER_READ) {
      for (const job of await this.#ports.queue.read(tokens.slice(i, i + ROWS_PER_READ))) {
        someTable ??= job.sourceTable;
        portion.jobs.push(job);
        portion.plans.push(...await this.#plan(job, profiles));
        if (portion.plans.reduce((sum, { missing }) => sum + missing.length, 0) < CHUNKS_PER_PORTION) continue;
        await this.#finishPortion(portion, profiles);
        portion = { jobs: [], plans: [] };
      }
    }
    await this.#finishPortion(portion, profiles);
    for (const profile of profiles) if (someTable !== undefined) await this.#askForLife(profile, someTable);
  }

  /**
   * A provider that has failed gets a few rows at a time until it answers. Where there was nothing to embed in them it
   * has not been asked: it is now, or a queue of deletions would go by so few rows a time.
   */
  async #askForLife(profile: ProfileInUse, sourceTable: string): Promise<void> {
    if (profile.knownFailures === 0 || profile.isPaused || this.#asked.has(profile)) return;
    const source = await this.#sourceOf(profile);
    if (source === null) return;
    const { usage, failure } = await this.#ask([{ input: HARMLESS_TEXT, tokens: 1 }], profile, source);
    const accounts = new Accounts(this.#report.usage);
    accounts.asked(sourceTable, usage);
    await this.#settleUp(profile, accounts, failure);
  }

  async #settleUp(profile: ProfileInUse, accounts: Accounts, failure: ProviderError | null): Promise<void> {
    const entries = accounts.take();
    if (entries.length > 0) await this.#ports.queue.account(profile.name, profile.knownFailures, entries);
    if (failure !== null && !profile.isPaused) {
      await this.#pause(profile, failure.code, failure.message, failure.retryAfterMs);
    }
  }

  async #plan(job: Job, profiles: ProfileInUse[]): Promise<Plan[]> {
    if (job.isGone || job.tooLong !== null) return [];
    const plans: Plan[] = [];
    for (const target of job.targets) {
      const profile = profiles.find(({ name }) => name === target.profile);
      const source = profile === undefined || profile.isPaused ? null : await this.#sourceOf(profile);
      if (profile === undefined || source === null) continue;
      const { tokensPerInput } = source.embedder.limits;
      plans.push(await planOf(job, target, profile, { tokensPerInput, countTokens }));
    }
    return plans;
  }

  /** Null where this environment has no embedder for a profile: that is the provider's failure, and nobody's row. */
  async #sourceOf(profile: ProfileInUse): Promise<Source | null> {
    const known = this.#sources.get(profile.name);
    if (known !== undefined) return known;
    try {
      const embedder = this.#ports.embedderOf(profile);
      const { concurrentRequests, inputsPerInvocation } = embedder.limits;
      const source = { embedder, inSlot: createSlots(concurrentRequests), inputsLeft: inputsPerInvocation };
      this.#sources.set(profile.name, source);
      return source;
    } catch (error) {
      if (!(error instanceof AccordError)) throw error;
      await this.#pause(profile, error.code, error.message, null);
      return null;
    }
  }

  async #pause(profile: ProfileInUse, code: string, message: string, retryAfterMs: number | null): Promise<void> {
    profile.isPaused = true;
    this.#report.stopped ??= { code, message };
    await this.#ports.queue.pause(profile.provider, message, retryAfterMs === null ? null : retryAfterMs / 1000);
  }

  async #finishPortion({ jobs, plans }: Portion, profiles: ProfileInUse[]): Promise<void> {
    const results = new Map(jobs.map((job): [string, Result] => [job.token, resultOf(job)]));
    // The active profile first: search waits for that one.
    for (const profile of profiles) {
      const own = plans.filter(({ copy }) => copy.profile === profile.name);
      for (const { job, copy } of await this.#embed(own, profile, results)) {
        const chunks = copy.chunks.map(({ input: _, ...chunk }) => chunk);
        results.get(job.token)?.copies.push({ ...copy, chunks });
      }
    }
    for await (const { job, result, outcome } of writeRows(this.#ports, jobs, results)) {
      this.#settle(job, result, outcome);
    }
  }

  /** Gives the plans that are complete. A row that was refused has its failure noted; the others are left for later. */
  async #embed(plans: Plan[], profile: ProfileInUse, results: Map<string, Result>): Promise<Plan[]> {
    const source = this.#sources.get(profile.name);
    if (plans.length === 0 || source === undefined) return [];
    const accounts = new Accounts(this.#report.usage);
    const hashes = [...new Set(plans.flatMap(({ missing }) => missing.map(({ hash }) => hash)))];
    const known = hashes.length === 0 ? new Set<string>() : await this.#ports.queue.known(profile.name, hashes);
    for (const plan of plans) {
      plan.missing = plan.missing.filter(({ hash }) => !known.has(hash));
      accounts.saved(plan);
    }
    const wanted = [
      ...new Map(plans.flatMap(({ missing }) => missing.map((chunk) => [chunk.input, chunk] as const))).values(),
    ];
    // More than a portion is wanted only where one row has so many chunks: its vectors are kept in stock as they come,
    // and not in memory until the last one is there.
    const isLarge = wanted.length > CHUNKS_PER_PORTION;
    const rejected = new Map<string, ProviderError>();
    const embeddings = new Map<string, string>();
    let reached = 0;
    do {
      const some = wanted.slice(reached, reached += CHUNKS_PER_PORTION);
      const embedded = await this.#ask(some, profile, source);
      accounts.paid(plans, embedded);
      await this.#settleUp(profile, accounts, embedded.failure);
      for (const [input, error] of embedded.rejected) rejected.set(input, error);
      for (const { input, hash } of some) {
        const vector = embedded.vectors.get(input);
        if (vector !== undefined) embeddings.set(hash, vectorText(vector));
      }
      if (!isLarge) continue;
      await keepInStock(this.#ports.queue, profile.name, embeddings);
      for (const plan of plans) plan.missing = plan.missing.filter(({ hash }) => !embeddings.has(hash));
      embeddings.clear();
    } while (reached < wanted.length && !profile.isPaused);

    const complete: Plan[] = [];
    const unused = new Map<string, string>();
    for (const plan of plans) {
      for (const chunk of plan.missing) {
        const embedding = embeddings.get(chunk.hash);
        if (embedding !== undefined) chunk.embedding = embedding;
      }
      if (plan.missing.every(({ embedding }) => embedding !== undefined)) complete.push(plan);
      else {
        const refusal = plan.missing.map(({ input }) => rejected.get(input)).find((error) => error !== undefined);
        const result = results.get(plan.job.token);
        if (refusal !== undefined && result !== undefined) {
          result.failure ??= { message: refusal.message, permanent: false };
        }
        for (const { hash, embedding } of plan.missing) if (embedding !== undefined) unused.set(hash, embedding);
      }
    }
    // What was paid for is not paid for again when the rest of its row can be had.
    await keepInStock(this.#ports.queue, profile.name, unused);
    return complete;
  }

  async #ask(
    chunks: Pick<PlannedChunk, "input" | "tokens">[],
    profile: ProfileInUse,
    source: Source,
  ): Promise<EmbeddedByInput> {
    const { embedder, inSlot } = source;
    const inputs = chunks.map(({ input }) => input);
    const tokens = new Map(chunks.map((chunk) => [chunk.input, chunk.tokens]));
    const mayAsk = async (request: { inputs: number; tokens: number }) => {
      if (source.inputsLeft <= 0) return false;
      source.inputsLeft -= request.inputs;
      return !embedder.limits.isRated || await this.#takeRate(profile, request.tokens);
    };
    const countTokens = (input: string) => tokens.get(input) ?? 0;
    const options = { signal: this.#stop.signal, inSlot, countTokens, mayAsk };
    const { vectors, rejected, failure, usage } = await embedAll(embedder, inputs, options);
    if (usage.requests > 0) this.#asked.add(profile);
    const byInput = <Value>(found: Map<number, Value>) =>
      new Map([...found].map(([index, value]): [string, Value] => [inputs[index] ?? "", value]));
    return { vectors: byInput(vectors), rejected: byInput(rejected), failure, usage };
  }

  /** Waits until all workers together may ask this much more; false where the provider has failed, or time is up. */
  async #takeRate(profile: ProfileInUse, tokens: number): Promise<boolean> {
    while (this.#elapsed() < this.#options.budgetMs + GRACE_MS) {
      const { queue, clock } = this.#ports;
      const { waitMs, isPaused } = await queue.takeRate(profile.provider, profile.knownFailures, tokens);
      if (isPaused) profile.isPaused = true;
      if (isPaused) return false;
      if (waitMs === 0) return true;
      await clock.wait(waitMs);
    }
    return false;
  }

  #settle(job: Job, { copies }: Result, outcome: Outcome | undefined): void {
    const report = this.#report;
    if (outcome === "requeued") report.requeued++;
    if (outcome === "retry" || outcome === "failed") report.failed++;
    if (outcome !== "completed") return;
    report.completed++;
    if (job.isGone || copies.every(({ isUnchanged, chunks }) => !isUnchanged && chunks.length === 0)) report.deleted++;
    else if (copies.every(({ isUnchanged }) => isUnchanged)) report.unchanged++;
  }
}

interface Portion {
  jobs: Job[];
  plans: Plan[];
}

type EmbeddedByInput = Pick<EmbeddedAll, "failure" | "usage"> & {
  vectors: Map<string, Float32Array>;
  rejected: Map<string, ProviderError>;
};

function resultOf({ token, tooLong, limit }: Job): Result {
  if (tooLong === null) return { token, copies: [] };
  const message = `The text has ${tooLong} characters; the limit is ${limit}. ` +
    "Shorten it, or raise the setting embedding_content_limit.";
  return { token, copies: [], failure: { message, permanent: true } };
}

import { DatabaseError } from "../platform/errors.ts";
import { halvesOf } from "./batches.ts";
import { countTokens } from "./chunking/tokens.ts";
import { type Plan, planOf } from "./plan.ts";
import type { ProfileInUse } from "./profile.ts";
import { CHUNKS_PER_PORTION, type ProviderPorts, Providers } from "./providers.ts";
import { type DrainReport, emptyReport } from "./report.ts";
import type { Claim, Job, Outcome, Result } from "./queue.ts";
import { writeRows } from "./write.ts";

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
/** How long after the budget a text of many chunks may still be embedded; what is left of it is for the next run. */
const GRACE_MS = 20_000;

export type DrainPorts = ProviderPorts;

const IDLE = {
  provider_paused: "The provider has failed and rests. See the open alerts; the queue goes on by itself.",
  budget_used_up: "The budget is used up. Raise embedding_daily_budget_usd or embedding_monthly_budget_usd, or wait.",
} as const;

/** Empties the queue, as far as time, provider and budget allow; its end has a successor woken if something is left. */
export async function drain(ports: DrainPorts, options: DrainOptions = {}): Promise<DrainReport> {
  return await new Drain(ports, { ...DRAIN_DEFAULTS, ...options }).run();
}

class Drain {
  readonly #ports: DrainPorts;
  readonly #options: Required<DrainOptions>;
  readonly #startedAt: number;
  readonly #stop = new AbortController();
  readonly #report: DrainReport = emptyReport();
  readonly #providers: Providers;

  constructor(ports: DrainPorts, options: Required<DrainOptions>) {
    this.#ports = ports;
    this.#options = options;
    this.#startedAt = ports.clock.now();
    this.#providers = new Providers(ports, {
      report: this.#report,
      signal: this.#stop.signal,
      isInTime: () => this.#elapsed() < options.budgetMs + GRACE_MS,
    });
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
      await queue.end(false).catch(() => {});
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
    if (this.#stop.signal.aborted || this.#elapsed() >= budgetMs || this.#providers.areSpent()) return null;
    const claim = await this.#ports.queue.claim(Math.max(1, Math.min(batchSize, this.#providers.room())));
    if (claim.idle !== null && claim.idle !== "enough_workers") {
      this.#report.stopped ??= { code: claim.idle, message: IDLE[claim.idle] };
    }
    if (claim.tokens.length === 0) return null;
    this.#report.claimed += claim.tokens.length;
    return claim;
  }

  async #work({ tokens, profiles }: Claim): Promise<void> {
    let portion: Portion = { jobs: [], plans: [] };
    let someTable: string | undefined;
    for (let i = 0; i < tokens.length; i += ROWS_PER_READ) {
      for (const job of await this.#read(tokens.slice(i, i + ROWS_PER_READ))) {
        someTable ??= job.sourceTable;
        portion.jobs.push(job);
        portion.plans.push(...await this.#plan(job, profiles));
        if (portion.plans.reduce((sum, { missing }) => sum + missing.length, 0) < CHUNKS_PER_PORTION) continue;
        await this.#finishPortion(portion, profiles);
        portion = { jobs: [], plans: [] };
      }
    }
    await this.#finishPortion(portion, profiles);
    for (const profile of profiles) if (someTable !== undefined) await this.#providers.askForLife(profile, someTable);
  }

  /** A row whose text cannot be read is found by halving, and charged for it: the others are not held up. */
  async #read(tokens: string[]): Promise<Job[]> {
    const { queue } = this.#ports;
    try {
      return await queue.read(tokens);
    } catch (error) {
      if (!isOfTheRows(error)) throw error;
      if (tokens.length > 1) {
        const [first, second] = halvesOf(tokens);
        return [...await this.#read(first), ...await this.#read(second)];
      }
      const failure = { message: `Its text cannot be read. ${error.message}`, permanent: false };
      await queue.finish(tokens.map((token) => ({ token, copies: [], failure })));
      this.#report.failed++;
      return [];
    }
  }

  async #plan(job: Job, profiles: ProfileInUse[]): Promise<Plan[]> {
    if (job.isGone || job.tooLong !== null) return [];
    const plans: Plan[] = [];
    for (const target of job.targets) {
      const profile = profiles.find(({ name }) => name === target.profile);
      const limits = profile === undefined ? null : await this.#providers.limitsOf(profile);
      if (profile === undefined || limits === null) continue;
      const { tokensPerInput } = limits;
      plans.push(await planOf(job, target, profile, { tokensPerInput, countTokens }));
    }
    return plans;
  }

  async #finishPortion({ jobs, plans }: Portion, profiles: ProfileInUse[]): Promise<void> {
    const results = new Map(jobs.map((job): [string, Result] => [job.token, resultOf(job)]));
    // The active profile first: search waits for that one.
    for (const profile of profiles) {
      const own = plans.filter(({ copy }) => copy.profile === profile.name);
      const { complete, refused } = await this.#providers.embed(own, profile);
      for (const { job, copy } of complete) {
        const chunks = copy.chunks.map(({ input: _, ...chunk }) => chunk);
        results.get(job.token)?.copies.push({ ...copy, chunks });
      }
      // A row that was refused has its failure noted; the others are left for later.
      for (const [token, message] of refused) {
        const result = results.get(token);
        if (result !== undefined) result.failure ??= { message, permanent: false };
      }
    }
    for await (const { job, result, outcome } of writeRows(this.#ports, jobs, results)) {
      this.#settle(job, result, outcome);
    }
  }

  #settle(job: Job, { copies }: Result, outcome: Outcome | undefined): void {
    const report = this.#report;
    if (outcome === "requeued") report.requeued++;
    if (outcome === "retry" || outcome === "failed") report.failed++;
    if (outcome === "completed" || outcome === "requeued") {
      for (const { profile, isUnchanged, reused = 0 } of copies) {
        const target = isUnchanged ? job.targets.find((target) => target.profile === profile) : undefined;
        report.usage.tokensSaved += reused + (target?.tokens ?? 0);
      }
    }
    if (outcome !== "completed") return;
    report.completed++;
    if (job.isGone || copies.every(({ isUnchanged, chunks }) => !isUnchanged && chunks.length === 0)) report.deleted++;
    else if (copies.every(({ isUnchanged }) => isUnchanged)) report.unchanged++;
  }
}

/** What an expression over a row may end in: its data, its limits, or what it raises itself. */
const READING_FAULTS = /^(22|23|42|54|P0)...$/;

function isOfTheRows(error: unknown): error is DatabaseError {
  if (!(error instanceof DatabaseError)) return false;
  const { details } = error;
  const code = typeof details === "object" && details !== null && "code" in details ? details.code : null;
  return typeof code === "string" && READING_FAULTS.test(code);
}

interface Portion {
  jobs: Job[];
  plans: Plan[];
}

function resultOf({ token, tooLong, limit }: Job): Result {
  if (tooLong === null) return { token, copies: [] };
  const message = `The text has ${tooLong} characters; the limit is ${limit}. ` +
    "Shorten it, or raise the setting embedding_content_limit.";
  return { token, copies: [], failure: { message, permanent: true } };
}

import type { Clock } from "../platform/clock.ts";
import { AccordError } from "../platform/errors.ts";
import { Accounts } from "./accounts.ts";
import { embedAll, type EmbeddedAll, HARMLESS_TEXT } from "./embed-all.ts";
import type { Embedder, EmbedderLimits } from "./embedder.ts";
import type { Plan, PlannedChunk } from "./plan.ts";
import type { ProfileInUse } from "./profile.ts";
import type { ProviderError } from "./provider-error.ts";
import type { Embedding, JobQueue, KnownChunks } from "./queue.ts";
import type { DrainReport } from "./report.ts";
import { createSlots } from "./slots.ts";
import { keepInStock } from "./write.ts";

/** Chunks that are embedded and written before more rows are read. */
export const CHUNKS_PER_PORTION = 1_024;

export interface ProviderPorts {
  queue: JobQueue;
  /** The embedder of a profile; an AccordError where the environment cannot make it. */
  embedderOf(profile: ProfileInUse): Embedder;
  clock: Clock;
}

/** The run of the worker that asks. */
interface Run {
  report: DrainReport;
  signal: AbortSignal;
  /** Whether there is time for another request. */
  isInTime(): boolean;
}

interface EmbeddedPlans {
  complete: Plan[];
  /** By token: why the provider does not take one of a row's chunks. */
  refused: Map<string, string>;
}

type EmbeddedByInput = Pick<EmbeddedAll, "failure" | "hasAnswered" | "usage"> & {
  vectors: Map<string, Float32Array>;
  rejected: Map<string, ProviderError>;
};

/** What is known of a provider during one run. */
interface Source {
  embedder: Embedder;
  inSlot: ReturnType<typeof createSlots>;
  /** Texts that this run still has the processor time for. */
  inputsLeft: number;
}

/** The providers that one run asks: an embedder for each profile, the rate, the bill, and what comes of a failure. */
export class Providers {
  readonly #ports: ProviderPorts;
  readonly #run: Run;
  readonly #sources = new Map<string, Source>();
  /** The profiles, each as its claim has it, whose provider was asked something. */
  readonly #asked = new WeakSet<ProfileInUse>();

  constructor(ports: ProviderPorts, run: Run) {
    this.#ports = ports;
    this.#run = run;
  }

  /** An embedder that is short of processor time takes a few texts a run. */
  room(): number {
    return Math.min(...[...this.#sources.values()].map(({ inputsLeft }) => inputsLeft));
  }

  areSpent(): boolean {
    return this.room() <= 0;
  }

  /** Null while the provider rests, or where there is none: then nothing can be planned for it. */
  async limitsOf(profile: ProfileInUse): Promise<EmbedderLimits | null> {
    const source = profile.isPaused ? null : await this.#sourceOf(profile);
    return source === null ? null : source.embedder.limits;
  }

  /** Embeds what was not embedded before, and gives the plans that are complete now. */
  async embed(plans: Plan[], profile: ProfileInUse): Promise<EmbeddedPlans> {
    const source = this.#sources.get(profile.name);
    const complete: Plan[] = [];
    const refused = new Map<string, string>();
    if (plans.length === 0 || source === undefined) return { complete, refused };
    const accounts = new Accounts(this.#run.report.usage);
    const hashes = [...new Set(plans.flatMap(({ missing }) => missing.map(({ hash }) => hash)))];
    const known = hashes.length === 0 ? NONE : await this.#ports.queue.known(profile.name, hashes);
    leaveOut(known, plans);
    const wanted = [
      ...new Map(plans.flatMap(({ missing }) => missing.map((chunk) => [chunk.input, chunk] as const))).values(),
    ];
    // More than a portion is wanted only where one row has so many chunks: its vectors are kept in stock as they come,
    // and not in memory until the last one is there.
    const isLarge = wanted.length > CHUNKS_PER_PORTION;
    const rejected = new Map<string, ProviderError>();
    const embeddings = new Map<string, Float32Array>();
    let reached = 0;
    do {
      const some = wanted.slice(reached, reached += CHUNKS_PER_PORTION);
      const embedded = await this.#ask(some, profile, source);
      accounts.paid(plans, embedded);
      await this.#settleUp(profile, accounts, embedded);
      for (const [input, error] of embedded.rejected) rejected.set(input, error);
      for (const { input, hash } of some) {
        const vector = embedded.vectors.get(input);
        if (vector !== undefined) embeddings.set(hash, vector);
      }
      if (!isLarge) continue;
      await keepInStock(this.#ports.queue, profile.name, embeddings);
      for (const plan of plans) plan.missing = plan.missing.filter(({ hash }) => !embeddings.has(hash));
      embeddings.clear();
    } while (reached < wanted.length && !profile.isPaused);

    const unused = new Map<string, Embedding>();
    for (const plan of plans) {
      for (const chunk of plan.missing) {
        const embedding = embeddings.get(chunk.hash);
        if (embedding !== undefined) chunk.embedding = embedding;
      }
      if (plan.missing.every(({ embedding }) => embedding !== undefined)) complete.push(plan);
      else {
        const refusal = plan.missing.map(({ input }) => rejected.get(input)).find((error) => error !== undefined);
        if (refusal !== undefined) refused.set(plan.job.token, refusal.message);
        for (const { hash, embedding } of plan.missing) if (embedding !== undefined) unused.set(hash, embedding);
      }
    }
    // What was paid for is not paid for again when the rest of its row can be had.
    await keepInStock(this.#ports.queue, profile.name, unused);
    return { complete, refused };
  }

  /**
   * A provider that has failed gets a few rows at a time until it answers. Where there was nothing to embed in them it
   * has not been asked: it is now, or a queue of deletions would go by so few rows a time.
   */
  async askForLife(profile: ProfileInUse, sourceTable: string): Promise<void> {
    if (profile.knownFailures === 0 || profile.isPaused || this.#asked.has(profile)) return;
    const source = await this.#sourceOf(profile);
    if (source === null) return;
    const embedded = await this.#ask([{ input: HARMLESS_TEXT, tokens: 1 }], profile, source);
    const accounts = new Accounts(this.#run.report.usage);
    accounts.asked(sourceTable, embedded.usage);
    await this.#settleUp(profile, accounts, embedded);
  }

  async #settleUp(profile: ProfileInUse, accounts: Accounts, embedded: EmbeddedByInput): Promise<void> {
    const { hasAnswered, failure } = embedded;
    const entries = accounts.take();
    if (entries.length > 0) {
      await this.#ports.queue.account(profile.name, profile.knownFailures, entries, hasAnswered);
    }
    if (failure !== null && !profile.isPaused) {
      await this.#pause(profile, failure.code, failure.message, failure.retryAfterMs);
    }
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
    const options = { signal: this.#run.signal, inSlot, countTokens, mayAsk };
    const { vectors, rejected, ...told } = await embedAll(embedder, inputs, options);
    if (told.usage.requests > 0) this.#asked.add(profile);
    const byInput = <Value>(found: Map<number, Value>) =>
      new Map([...found].map(([index, value]): [string, Value] => [inputs[index] ?? "", value]));
    return { vectors: byInput(vectors), rejected: byInput(rejected), ...told };
  }

  /** Waits until all workers together may ask this much more; false where the provider has failed, or time is up. */
  async #takeRate(profile: ProfileInUse, tokens: number): Promise<boolean> {
    while (this.#run.isInTime()) {
      const { queue, clock } = this.#ports;
      const { waitMs, isPaused } = await queue.takeRate(profile.provider, profile.knownFailures, tokens);
      if (isPaused) profile.isPaused = true;
      if (isPaused) return false;
      if (waitMs === 0) return true;
      await clock.wait(waitMs);
    }
    return false;
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
    this.#run.report.stopped ??= { code, message };
    await this.#ports.queue.pause(profile.provider, message, retryAfterMs === null ? null : retryAfterMs / 1000);
  }
}

const NONE: KnownChunks = { copied: new Set(), stocked: new Set() };

/**
 * What was paid for is not asked for again, nor the same text twice. Only what other copies have is saved: what is in
 * stock was paid for by a row that waits, mostly this one.
 */
function leaveOut({ copied, stocked }: KnownChunks, plans: Plan[]): void {
  const asked = new Set<string>();
  for (const { copy, missing } of plans) {
    copy.reused = 0;
    for (const { hash, tokens } of missing) {
      if (stocked.has(hash)) continue;
      if (copied.has(hash) || asked.has(hash)) copy.reused += tokens;
      asked.add(hash);
    }
  }
  for (const plan of plans) {
    plan.missing = plan.missing.filter(({ hash }) => !copied.has(hash) && !stocked.has(hash));
  }
}

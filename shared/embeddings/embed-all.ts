import type { Embedder, EmbeddingUsage, EmbedOutcome } from "./embedder.ts";
import { halvesOf, packBatches } from "./batches.ts";
import { ProviderError, withoutTexts } from "./provider-error.ts";
import { createSlots } from "./slots.ts";

export interface EmbedAllOptions {
  /** Once aborted, nothing new is asked and what is under way is cancelled. */
  signal?: AbortSignal | undefined;
  /**
   * Asked before each request, for a deadline or a rate; it may take its time. What is under way is finished all the
   * same. Default: always.
   */
  mayAsk?: (request: { inputs: number; tokens: number }) => boolean | Promise<boolean>;
  /** Default: the embedder's own count. */
  countTokens?: (text: string) => number;
  /** Shared by those who ask the same provider at once. Default: as many as the embedder allows. */
  inSlot?: ReturnType<typeof createSlots>;
}

export interface EmbeddedAll {
  /** By index of the text. A text in neither map was not reached, and nothing is known against it. */
  vectors: Map<number, Float32Array>;
  /** The texts that the provider refuses by themselves. */
  rejected: Map<number, ProviderError>;
  /** What ended it early, if it was the provider. */
  failure: ProviderError | null;
  /** Whether any text was embedded, be it only the harmless one. */
  hasAnswered: boolean;
  usage: EmbeddingUsage;
}

/** If even this is refused, it is not for the sake of a text. */
export const HARMLESS_TEXT = "ok";

/**
 * Embeds any number of texts in the fewest requests that the embedder's limits allow, several at once, the same text
 * once. Where a request is refused for one of its texts, halves are tried until that text is alone; the others keep
 * their vectors. After a failure of the provider itself nothing new is asked.
 */
export async function embedAll(
  embedder: Embedder,
  texts: string[],
  options: EmbedAllOptions = {},
): Promise<EmbeddedAll> {
  return await new Run(embedder, options).embed(texts);
}

class Run {
  readonly #embedder: Embedder;
  readonly #options: EmbedAllOptions;
  readonly #inSlot: ReturnType<typeof createSlots>;
  readonly #vectors = new Map<string, Float32Array>();
  readonly #rejected = new Map<string, ProviderError>();
  readonly #usage: EmbeddingUsage = { requests: 0, tokens: 0, costUsd: 0 };
  #failure: ProviderError | null = null;
  #hasAnswered = false;
  #isBroken = false;
  #trial: Promise<boolean> | undefined;

  constructor(embedder: Embedder, options: EmbedAllOptions) {
    this.#embedder = embedder;
    this.#options = options;
    this.#inSlot = options.inSlot ?? createSlots(embedder.limits.concurrentRequests);
  }

  async embed(texts: string[]): Promise<EmbeddedAll> {
    const distinct = [...new Set(texts)];
    const batches = packBatches(distinct, (text) => this.#countTokens(text), this.#embedder.limits);
    await together(batches.map((batch) => this.#embedBatch(batch)));
    return {
      vectors: byIndex(texts, this.#vectors),
      rejected: byIndex(texts, this.#rejected),
      failure: this.#failure,
      hasAnswered: this.#hasAnswered,
      usage: this.#usage,
    };
  }

  async #embedBatch(batch: string[]): Promise<void> {
    const refusal = await this.#inSlot(() => this.#ask(batch));
    if (refusal === null) return;
    if (batch.length === 1) this.#rejected.set(batch[0] ?? "", refusal);
    else await together(halvesOf(batch).map((half) => this.#embedBatch(half)));
  }

  /**
   * Keeps the vectors, or what went wrong; a refusal for one of the texts is given back. All of it happens before the
   * slot is free again, so that whoever waits for the slot knows of it.
   */
  async #ask(batch: string[]): Promise<ProviderError | null> {
    if (!this.#mayGoOn() || !await this.#mayAsk(batch)) return null;
    try {
      const { vectors } = await this.#request(batch);
      for (const [i, vector] of vectors.entries()) this.#vectors.set(batch[i] ?? "", vector);
      return null;
    } catch (error) {
      const failure = this.#failureIn(error);
      if (failure?.scope === "input" && await this.#takesAnything()) return failure;
      if (failure?.scope === "provider") this.#failure ??= withoutTexts(failure, batch);
      return null;
    }
  }

  #mayGoOn(): boolean {
    return !this.#isBroken && this.#failure === null && this.#options.signal?.aborted !== true;
  }

  async #mayAsk(batch: string[]): Promise<boolean> {
    const { mayAsk } = this.#options;
    if (mayAsk === undefined) return true;
    const tokens = batch.reduce((sum, text) => sum + this.#countTokens(text), 0);
    // Others may have failed while this one waited.
    return await mayAsk({ inputs: batch.length, tokens }) && this.#mayGoOn();
  }

  #countTokens(text: string): number {
    return (this.#options.countTokens ?? this.#embedder.countTokens)(text);
  }

  async #request(texts: string[]): Promise<EmbedOutcome> {
    this.#usage.requests++;
    const outcome = await this.#embedder.embed(texts, { signal: this.#options.signal });
    this.#hasAnswered = true;
    this.#usage.tokens += outcome.tokens;
    this.#usage.costUsd += outcome.costUsd;
    return outcome;
  }

  /** None where the request was cancelled; whatever is not the provider's failure is a fault in the program. */
  #failureIn(error: unknown): ProviderError | null {
    if (this.#options.signal?.aborted === true) return null;
    if (error instanceof ProviderError) return error;
    this.#isBroken = true;
    throw error;
  }

  /**
   * Where the settings are wrong every text is refused, and every row would be charged for it. So before the first text
   * is blamed, one must have been embedded: a harmless one, if there is no other.
   */
  #takesAnything(): Promise<boolean> {
    if (this.#hasAnswered) return Promise.resolve(true);
    return this.#trial ??= this.#tryHarmlessText();
  }

  async #tryHarmlessText(): Promise<boolean> {
    try {
      await this.#request([HARMLESS_TEXT]);
      return true;
    } catch (error) {
      const failure = this.#failureIn(error);
      const why = "Harmless text is refused as well, so it is the settings: see ACCORD_MODEL and ACCORD_DIMENSIONS.";
      // What was said of the row's own text may repeat it, and this is read by whoever reads alerts.
      this.#failure ??= failure?.scope === "input"
        ? new ProviderError("misconfigured", `${failure.message} ${why}`, { cause: failure, details: failure.details })
        : failure;
      return false;
    }
  }
}

function byIndex<Value>(texts: string[], values: Map<string, Value>): Map<number, Value> {
  const found = new Map<number, Value>();
  for (const [index, text] of texts.entries()) {
    const value = values.get(text);
    if (value !== undefined) found.set(index, value);
  }
  return found;
}

/** Lets every one come to its end, then fails if one of them did: nothing goes on unseen. */
async function together(work: Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === "rejected") throw end.reason;
}

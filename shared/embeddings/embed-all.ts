import type { Embedder, EmbeddingUsage, EmbedOutcome } from "./embedder.ts";
import { halvesOf, packBatches } from "./batches.ts";
import { ProviderError } from "./provider-error.ts";
import { createSlots } from "./slots.ts";

export interface EmbedAllOptions {
  /** Once aborted, nothing new is asked and what is under way is cancelled. */
  signal?: AbortSignal | undefined;
  /** Asked before each request, for a deadline: what is under way is finished all the same. Default: always. */
  mayGoOn?: () => boolean;
}

export interface EmbeddedAll {
  /** By index of the text. A text in neither map was not reached, and nothing is known against it. */
  vectors: Map<number, Float32Array>;
  /** The texts that the provider refuses by themselves. */
  rejected: Map<number, ProviderError>;
  /** What ended it early, if it was the provider. */
  failure: ProviderError | null;
  usage: EmbeddingUsage;
}

/** If even this is refused, it is not for the sake of a text. */
const HARMLESS_TEXT = "ok";

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
  #isBroken = false;
  #acceptsAnything: Promise<boolean> | undefined;

  constructor(embedder: Embedder, options: EmbedAllOptions) {
    this.#embedder = embedder;
    this.#options = options;
    this.#inSlot = createSlots(embedder.limits.concurrentRequests);
  }

  async embed(texts: string[]): Promise<EmbeddedAll> {
    const distinct = [...new Set(texts)];
    const batches = packBatches(distinct, (text) => this.#embedder.countTokens(text), this.#embedder.limits);
    await together(batches.map((batch) => this.#embedBatch(batch)));
    return {
      vectors: byIndex(texts, this.#vectors),
      rejected: byIndex(texts, this.#rejected),
      failure: this.#failure,
      usage: this.#usage,
    };
  }

  async #embedBatch(batch: string[]): Promise<void> {
    try {
      const outcome = await this.#ask(batch);
      outcome?.vectors.forEach((vector, i) => this.#vectors.set(batch[i] ?? "", vector));
    } catch (error) {
      await this.#understand(batch, error);
    }
  }

  /** One request, unless it is too late for one. */
  #ask(batch: string[]): Promise<EmbedOutcome | undefined> {
    const { signal, mayGoOn = () => true } = this.#options;
    return this.#inSlot(async () => {
      const isOver = this.#isBroken || this.#failure !== null || signal?.aborted === true;
      if (isOver || !mayGoOn()) return undefined;
      this.#usage.requests++;
      const outcome = await this.#embedder.embed(batch, { signal });
      this.#usage.tokens += outcome.tokens;
      this.#usage.costUsd += outcome.costUsd;
      return outcome;
    });
  }

  async #understand(batch: string[], error: unknown): Promise<void> {
    if (this.#options.signal?.aborted === true) return;
    if (!(error instanceof ProviderError)) {
      this.#isBroken = true;
      throw error;
    }
    if (error.scope === "provider") this.#failure ??= error;
    else if (!await this.#isTheTextsFault(error)) return;
    else if (batch.length === 1) this.#rejected.set(batch[0] ?? "", error);
    else await together(halvesOf(batch).map((half) => this.#embedBatch(half)));
  }

  /**
   * Where the settings are wrong every text is refused, and every row would be charged for it. So unless one text has
   * been embedded already, a harmless one is tried once.
   */
  #isTheTextsFault(error: ProviderError): Promise<boolean> {
    if (this.#vectors.size > 0) return Promise.resolve(true);
    return this.#acceptsAnything ??= this.#ask([HARMLESS_TEXT]).then((outcome) => outcome !== undefined, (refusal) => {
      if (this.#options.signal?.aborted === true) return false;
      if (!(refusal instanceof ProviderError)) throw refusal;
      const why = "Harmless text is refused as well, so it is the settings: see ACCORD_MODEL and ACCORD_DIMENSIONS.";
      this.#failure ??= refusal.scope === "provider"
        ? refusal
        : new ProviderError("misconfigured", `${error.message} ${why}`, { cause: error, details: error.details });
      return false;
    });
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

/** Which vectors these are. Vectors of two profiles must never be compared, so the name says all that sets them apart. */
export interface Profile {
  /** Such as "openai:text-embedding-3-small:1536". */
  name: string;
  provider: "openai" | "gte-small" | "lexical";
  model: string;
  dimensions: number;
}

/** How much an embedder takes at once. Tokens are those that its own `countTokens` counts. */
export interface EmbedderLimits {
  inputsPerRequest: number;
  tokensPerRequest: number;
  tokensPerInput: number;
  concurrentRequests: number;
  /** How many texts one run of an Edge Function has the CPU time for; the rest is for the next run. */
  inputsPerInvocation: number;
  /** Whether it counts requests and tokens by the minute, so that all workers together have to keep to a rate. */
  isRated: boolean;
}

export interface EmbeddingUsage {
  requests: number;
  tokens: number;
  costUsd: number;
}

export interface EmbedOutcome extends EmbeddingUsage {
  /** One for each text, in the order of the texts. */
  vectors: Float32Array[];
}

export interface EmbedQueryOutcome extends EmbeddingUsage {
  vector: Float32Array;
}

export interface EmbedOptions {
  /** Cancels the request; the promise is then rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Turns texts into vectors. What a provider cannot or will not do is a `ProviderError`; nothing is retried in here,
 * because the queue decides who waits and for how long.
 */
export interface Embedder {
  readonly profile: Profile;
  readonly limits: EmbedderLimits;
  /** 0 where it costs nothing, or nothing that is known here. */
  readonly usdPerMillionTokens: number;
  /** Cheap, and rather too high than too low. */
  countTokens(text: string): number;
  /** One request: all of the texts or none. */
  embed(texts: string[], options?: EmbedOptions): Promise<EmbedOutcome>;
  /** Embeds what someone asks, where `embed` is for what is searched. */
  embedQuery(text: string, options?: EmbedOptions): Promise<EmbedQueryOutcome>;
}

export function profileOf(provider: Profile["provider"], model: string, dimensions: number): Profile {
  return { name: `${provider}:${model}:${dimensions}`, provider, model, dimensions };
}

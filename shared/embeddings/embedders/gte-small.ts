import { type Embedder, type EmbedOptions, type EmbedOutcome, profileOf } from "../embedder.ts";
import { ProviderError } from "../provider-error.ts";
import { estimateTokens } from "../token-estimate.ts";
import { checkedVector } from "../vectors.ts";

const DIMENSIONS = 384;

/** `Supabase.ai.Session("gte-small")`, asked for the mean of a text's tokens in length 1. */
export type RunGteSmall = (text: string) => Promise<ArrayLike<number>>;

/** The model inside Supabase's Edge Functions: English, short texts, no key. */
export function gteSmallEmbedder(run: RunGteSmall): Embedder {
  async function embed(texts: string[], { signal }: EmbedOptions = {}): Promise<EmbedOutcome> {
    const vectors: Float32Array[] = [];
    for (const text of texts) {
      signal?.throwIfAborted();
      vectors.push(checkedVector(await run(text).catch(rejected), DIMENSIONS, "gte-small"));
    }
    return { vectors, requests: 1, tokens: 0, costUsd: 0 };
  }

  return {
    profile: profileOf("gte-small", "gte-small", DIMENSIONS),
    // Five texts take about the two seconds of CPU that the platform gives one request to a function; the model reads
    // no more than 512 tokens of each, of which two mark its ends.
    limits: {
      inputsPerRequest: 5,
      tokensPerRequest: 5 * 510,
      tokensPerInput: 510,
      concurrentRequests: 1,
      inputsPerInvocation: 5,
      isRated: false,
    },
    usdPerMillionTokens: 0,
    countTokens: estimateTokens,
    embed,
    embedQuery: async (text, options) => {
      const { vectors: [vector], ...usage } = await embed([text], options);
      if (vector === undefined) throw new ProviderError("bad_response", "gte-small gave no vector.");
      return { vector, ...usage };
    },
  };
}

/** The model says no more than that it failed; `embedAll` finds out whether it fails for every text. */
function rejected(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new ProviderError("input_rejected", `gte-small could not embed a text: ${reason}`, { cause });
}

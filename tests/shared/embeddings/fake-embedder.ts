import { setImmediate } from "node:timers/promises";
import {
  type Embedder,
  type EmbedderLimits,
  type EmbedOptions,
  type EmbedOutcome,
  profileOf,
} from "../../../shared/embeddings/embedder.ts";
import { ProviderError } from "../../../shared/embeddings/provider-error.ts";

export interface FakeEmbedder extends Embedder {
  /** The texts of each request, in the order in which they were asked. */
  readonly requests: string[][];
  /** The most requests that were under way at once. */
  readonly mostAtOnce: number;
}

interface FakeOptions {
  limits?: Partial<EmbedderLimits>;
  /** What happens to a request before it is answered; it may wait, or throw. */
  meet?: (texts: string[], options: EmbedOptions) => void | Promise<void>;
}

/** An embedder without a network: a text's vector is its length, a token is a letter. */
export function fakeEmbedder({ limits = {}, meet = () => {} }: FakeOptions = {}): FakeEmbedder {
  const requests: string[][] = [];
  let underWay = 0;
  let mostAtOnce = 0;

  async function embed(texts: string[], options: EmbedOptions = {}): Promise<EmbedOutcome> {
    requests.push(texts);
    mostAtOnce = Math.max(mostAtOnce, ++underWay);
    try {
      // Others are let in, as a network would let them.
      await setImmediate();
      await meet(texts, options);
      const tokens = texts.reduce((sum, text) => sum + text.length, 0);
      return { vectors: texts.map((text) => Float32Array.of(text.length)), requests: 1, tokens, costUsd: tokens / 8 };
    } finally {
      underWay--;
    }
  }

  return {
    requests,
    get mostAtOnce() {
      return mostAtOnce;
    },
    profile: profileOf("openai", "fake", 1),
    limits: {
      inputsPerRequest: 10,
      tokensPerRequest: 1_000,
      tokensPerInput: 100,
      concurrentRequests: 3,
      inputsPerInvocation: Number.POSITIVE_INFINITY,
      isRated: false,
      ...limits,
    },
    usdPerMillionTokens: 125_000,
    countTokens: (text) => text.length,
    embed,
    embedQuery: async (text, options) => {
      const { vectors: [vector], ...usage } = await embed([text], options);
      return { vector: vector ?? new Float32Array(1), ...usage };
    },
  };
}

/** Refuses a request for the sake of the texts in it that are poison. */
export function refusing(isPoison: (text: string) => boolean): (texts: string[]) => void {
  return (texts) => {
    const poison = texts.filter(isPoison);
    if (poison.length > 0) throw new ProviderError("input_rejected", `cannot take ${poison.join(", ")}`);
  };
}

/** Numbers that look random and are the same in every run: a failing test can be run again. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

import { APIConnectionTimeoutError, APIError, OpenAI } from "openai";
import { type Embedder, type EmbedOptions, type EmbedOutcome, profileOf } from "../embedder.ts";
import { ProviderError, refusalError } from "../provider-error.ts";
import { estimateTokens } from "../token-estimate.ts";
import { OPENAI_MODELS } from "./models.ts";
import { paidTokensOf, vectorsOf } from "./openai-answer.ts";

export const OPENAI_URL = "https://api.openai.com/v1";

export interface OpenAiSettings {
  apiKey: string;
  /** Of OpenAI, or of any server that speaks as it does. */
  baseUrl?: string | undefined;
  model: string;
  dimensions: number;
  fetch: typeof fetch;
  /** From the first byte sent to the last byte read. Default 30 seconds. */
  timeoutMs?: number | undefined;
}

/** OpenAI's models, or those of any compatible server, through the official client. */
export function openAiEmbedder(settings: OpenAiSettings): Embedder {
  const { apiKey, baseUrl = OPENAI_URL, model, dimensions, timeoutMs = 30_000 } = settings;
  const known = OPENAI_MODELS[model];
  const who = `${model} at ${new URL(baseUrl).host}`;
  // All that the client would otherwise look up in the environment is given. It never retries: the queue decides.
  const client = new OpenAI({
    apiKey,
    baseURL: baseUrl,
    organization: null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    logLevel: "off",
    maxRetries: 0,
    timeout: timeoutMs,
    fetch: settings.fetch,
  });

  async function embed(texts: string[], { signal }: EmbedOptions = {}): Promise<EmbedOutcome> {
    // The client's own time-out ends with the headers; a body that never comes would hold the request for ever.
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const answer: unknown = await client.embeddings.create(
        // With an encoding of our own choice the client hands the answer over as it came.
        { model, input: texts, encoding_format: "base64", ...(known?.shortens === true ? { dimensions } : {}) },
        { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) },
      );
      const vectors = vectorsOf(answer, { count: texts.length, dimensions, who });
      const tokens = paidTokensOf(answer) ?? texts.reduce((sum, text) => sum + estimateTokens(text), 0);
      return { vectors, requests: 1, tokens, costUsd: tokens * (known?.usdPerMillionTokens ?? 0) / 1_000_000 };
    } catch (error) {
      signal?.throwIfAborted();
      throw providerErrorOf(error, { who, apiKey, timedOut: timeout.aborted, timeoutMs });
    }
  }

  return {
    profile: profileOf("openai", model, dimensions),
    // The API allows 2,048 texts, 300,000 tokens a request and 8,192 tokens a text. A request this size comes back in a
    // few seconds with 2 MB, costs little when it fails, and eight halvings find the one bad text in it.
    limits: {
      inputsPerRequest: 256,
      tokensPerRequest: 200_000,
      tokensPerInput: 8_000,
      concurrentRequests: 4,
      // To ask for a thousand, check and write them takes about 0.35 s of the platform's 2; to cut a book before, 0.8.
      inputsPerInvocation: 2_048,
      isRated: true,
    },
    usdPerMillionTokens: known?.usdPerMillionTokens ?? 0,
    countTokens: estimateTokens,
    embed,
    embedQuery: async (text, options) => {
      const { vectors: [vector], ...usage } = await embed([text], options);
      if (vector === undefined) throw new ProviderError("bad_response", `${who} gave no vector.`);
      return { vector, ...usage };
    },
  };
}

interface Circumstances {
  who: string;
  apiKey: string;
  timedOut: boolean;
  timeoutMs: number;
}

function providerErrorOf(error: unknown, { who, apiKey, timedOut, timeoutMs }: Circumstances): ProviderError {
  if (error instanceof ProviderError) return error;
  if (timedOut || error instanceof APIConnectionTimeoutError) {
    return new ProviderError("timed_out", `${who} did not answer within ${timeoutMs} ms.`);
  }
  if (error instanceof APIError && error.status !== undefined) {
    return refusalError(who, {
      status: error.status,
      code: error.code ?? error.type ?? null,
      message: withoutKey(messageOf(error), apiKey),
      headers: error.headers ?? new Headers(),
    });
  }
  if (error instanceof SyntaxError) {
    return new ProviderError("bad_response", `${who} gave an answer that is not JSON.`, { cause: error });
  }
  const reason = withoutKey(rootOf(error), apiKey);
  const message =
    `The connection to ${who} failed: ${reason}. The queue tries again; see OPENAI_BASE_URL if it goes on.`;
  return new ProviderError("connection_failed", message, { cause: error });
}

/** The provider's own words, without the status that the client puts before them. */
function messageOf({ message, status }: APIError): string {
  return message === `${status} status code (no body)` ? "" : message.replace(`${status} `, "");
}

/** Providers repeat a key, whole or in part, to say what is wrong with it. */
function withoutKey(text: string, apiKey: string): string {
  return text.replaceAll(apiKey, "(the key)").replace(/\b(?:sk|sess)-[\w*.-]{4,}/g, "(a key)");
}

/** `fetch` only says that it failed; why is in the cause of the cause. */
function rootOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return rootOf(error.cause);
  return error.message || ("code" in error ? String(error.code) : error.name);
}

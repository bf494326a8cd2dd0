import { z } from "zod";
import { type Embedding, encoded, tokensOfText, vectorOfText } from "./embedding.ts";

/** The models on sale, and whether their vectors may be asked for shorter. */
const MODELS: Record<string, { dimensions: number; shortens: boolean }> = {
  "text-embedding-3-small": { dimensions: 1536, shortens: true },
  "text-embedding-3-large": { dimensions: 3072, shortens: true },
  "text-embedding-ada-002": { dimensions: 1536, shortens: false },
  "sentence-encoder": { dimensions: 768, shortens: false },
};

export function modelNames(): string[] {
  return Object.keys(MODELS);
}

const MOST_INPUTS = 2_048;
const MOST_TOKENS_PER_INPUT = 8_192;
const MOST_TOKENS_PER_REQUEST = 300_000;

const Body = z.object({
  model: z.string(),
  input: z.union([z.string().transform((text) => [text]), z.array(z.string())]),
  encoding_format: z.enum(["float", "base64"]).default("float"),
  dimensions: z.int().optional(),
});

/** A request that the provider will answer. */
export interface Accepted {
  model: string;
  inputs: string[];
  encoding: "float" | "base64";
  dimensions: number;
  tokens: number;
}

export interface Refusal {
  status: number;
  code: string | null;
  type?: string;
  message: string;
  param?: string | null;
  headers?: Record<string, string>;
}

export interface Answer {
  object: "list";
  model: string;
  data: { object: "embedding"; index: number; embedding: Embedding }[];
  usage?: { prompt_tokens: number; total_tokens: number };
}

/** The rules of the real API: what it takes, and what it says to the rest. */
export function judge(body: unknown, { poison }: { poison: string }): Accepted | Refusal {
  const parsed = Body.safeParse(body);
  if (!parsed.success) return invalid(`'$.input' is invalid: ${z.prettifyError(parsed.error)}`);
  const { model, input: inputs, encoding_format: encoding, dimensions: asked } = parsed.data;
  const known = MODELS[model];
  if (known === undefined) return unknownModel(model);
  if (asked !== undefined && !known.shortens) return invalid("This model does not support specifying dimensions.");
  if (asked !== undefined && (asked < 1 || asked > known.dimensions)) {
    return invalid(`Invalid value for 'dimensions' = ${asked}. Must be less than or equal to ${known.dimensions}.`);
  }
  if (inputs.length === 0 || inputs.some((text) => text === "")) return invalid("'$.input' is invalid.");
  if (inputs.length > MOST_INPUTS) {
    const message = `Invalid 'input': array too long. Expected an array with maximum length ${MOST_INPUTS}, ` +
      `but got an array with length ${inputs.length} instead.`;
    return { ...invalid(message), code: "array_above_max_length", param: "input" };
  }
  const tokensOfInputs = inputs.map(tokensOfText);
  const long = tokensOfInputs.findIndex((tokens) => tokens > MOST_TOKENS_PER_INPUT);
  if (long !== -1) return invalid(`Invalid 'input[${long}]': maximum input length is ${MOST_TOKENS_PER_INPUT} tokens.`);
  const tokens = tokensOfInputs.reduce((sum, count) => sum + count, 0);
  if (tokens > MOST_TOKENS_PER_REQUEST) {
    const message = `Requested ${tokens} tokens, max ${MOST_TOKENS_PER_REQUEST} tokens per request`;
    return { ...invalid(message), code: "max_tokens_per_request" };
  }
  if (inputs.some((text) => text.includes(poison))) return invalid("'$.input' is invalid: this text is not accepted.");
  return { model, inputs, encoding, dimensions: asked ?? known.dimensions, tokens };
}

export function answerTo({ model, inputs, encoding, dimensions, tokens }: Accepted): Answer {
  return {
    object: "list",
    model,
    data: inputs.map((text, index) => {
      return { object: "embedding", index, embedding: encoded(vectorOfText(text, dimensions), encoding) };
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** What is said to a wrong key holds part of it, as the real one does. */
export function wrongKey(given: string): Refusal {
  const shown = given.length > 12 ? `${given.slice(0, 8)}${"*".repeat(12)}${given.slice(-4)}` : given;
  const message = `Incorrect API key provided: ${shown}. You can find your API key in your account's settings.`;
  return { status: 401, code: "invalid_api_key", message };
}

export function unknownModel(model: string): Refusal {
  const message = `The model \`${model}\` does not exist or you do not have access to it.`;
  return { status: 404, code: "model_not_found", message };
}

function invalid(message: string): Refusal {
  return { status: 400, code: null, type: "invalid_request_error", message };
}

import { ProviderError } from "../provider-error.ts";
import { checkedVector } from "../vectors.ts";

interface Expected {
  count: number;
  dimensions: number;
  /** Who answered, for messages. */
  who: string;
}

/**
 * The vectors in the order of the texts, or an error: where one thing in an answer is wrong, none of it is believed. A
 * server may answer in any order, so each vector says by its index whose it is.
 */
export function vectorsOf(answer: unknown, { count, dimensions, who }: Expected): Float32Array[] {
  const data = isRecord(answer) ? answer["data"] : undefined;
  if (!Array.isArray(data)) throw new ProviderError("bad_response", `${who} gave an answer without vectors.`);
  if (data.length !== count) {
    throw new ProviderError("bad_response", `${who} gave ${data.length} vectors for ${count} texts.`);
  }
  const vectors = new Map<number, Float32Array>();
  for (const entry of data as unknown[]) {
    const { index, embedding } = isRecord(entry) ? entry : {};
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count) {
      throw new ProviderError("bad_response", `${who} gave a vector with the index ${index} for ${count} texts.`);
    }
    vectors.set(index, checkedVector(numbersOf(embedding, who), dimensions, who));
  }
  return Array.from({ length: count }, (_, index) => {
    const vector = vectors.get(index);
    if (vector === undefined) throw new ProviderError("bad_response", `${who} gave no vector with the index ${index}.`);
    return vector;
  });
}

/** What was paid for; some compatible servers do not say. */
export function paidTokensOf(answer: unknown): number | null {
  const usage = isRecord(answer) ? answer["usage"] : undefined;
  const tokens = isRecord(usage) ? usage["total_tokens"] ?? usage["prompt_tokens"] : undefined;
  return typeof tokens === "number" && Number.isFinite(tokens) && tokens >= 0 ? tokens : null;
}

/** Base64 as asked for; servers that do not know it answer with plain numbers. */
function numbersOf(embedding: unknown, who: string): ArrayLike<number> {
  if (typeof embedding === "string") return float32FromBase64(embedding, who);
  if (Array.isArray(embedding) && embedding.every((number) => typeof number === "number")) return embedding;
  throw new ProviderError("bad_response", `${who} gave a vector that is neither base64 nor numbers.`);
}

function float32FromBase64(text: string, who: string): Float32Array {
  let characters: string;
  try {
    characters = atob(text);
  } catch (cause) {
    throw new ProviderError("bad_response", `${who} gave a vector that is not base64.`, { cause });
  }
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  // Little-endian, like every machine this runs on. Bytes of half a number are left out, and the count then tells.
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

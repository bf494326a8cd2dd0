import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** A vector as it travels: base64 of little-endian 32-bit numbers, or the numbers. */
export type Embedding = string | number[];

/** A vector of length 1 that depends on the text alone: the same text is found again, any other is far away. */
export function vectorOfText(text: string, dimensions: number): Float32Array {
  const seed = createHash("sha256").update(text).digest();
  let state = seed.readUInt32LE(0) | 1;
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let i = 0; i < dimensions; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const number = state / 0x80000000;
    vector[i] = number;
    squares += number * number;
  }
  return vector.map((number) => number / Math.sqrt(squares));
}

export function encoded(vector: Float32Array, encoding: "float" | "base64"): Embedding {
  return encoding === "base64" ? Buffer.from(vector.buffer).toString("base64") : Array.from(vector);
}

export function decoded(embedding: Embedding): number[] {
  if (typeof embedding !== "string") return embedding;
  const bytes = Buffer.from(embedding, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

/** About as many tokens as OpenAI counts in prose: a word has one for every four letters begun, a sign one. */
export function tokensOfText(text: string): number {
  let tokens = 0;
  for (const [part] of text.matchAll(/[\p{L}\p{M}]{1,4}|\p{N}{1,3}|[^\s\p{L}\p{M}\p{N}]/gu)) if (part) tokens++;
  return tokens;
}

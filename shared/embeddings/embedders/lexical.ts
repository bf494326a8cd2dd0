import { type Embedder, profileOf } from "../embedder.ts";
import { ProviderError } from "../provider-error.ts";
import { estimateTokens } from "../token-estimate.ts";
import { normalize } from "../vectors.ts";
import { STOP_WORDS } from "./stop-words.ts";

const DIMENSIONS = 1536;
/** The start of a word is what its forms have in common: as good here as a stemmer for each language. */
const STEM_LENGTH = 6;

/**
 * The default where there is neither a key nor Supabase's own model. It needs nothing, and matches words and their
 * forms, not meaning: stems and letter trigrams, hashed into signed counts, by the same rules in French and English.
 * `npm run bench lexical` compares it with BM25. Longer n-grams beside the trigrams cost time and gain nothing.
 */
export function lexicalEmbedder(): Embedder {
  return {
    // Another rule below gives other vectors: raise the number.
    profile: profileOf("lexical", "words-1", DIMENSIONS),
    limits: {
      inputsPerRequest: 100,
      tokensPerRequest: 200_000,
      tokensPerInput: 8_000,
      // This very process computes; two at once would only take turns.
      concurrentRequests: 1,
      inputsPerInvocation: 1_000,
      isRated: false,
    },
    usdPerMillionTokens: 0,
    countTokens: estimateTokens,
    embed: (texts, { signal } = {}) =>
      Promise.resolve().then(() => {
        signal?.throwIfAborted();
        return { vectors: texts.map(vectorOfContent), requests: 1, tokens: 0, costUsd: 0 };
      }),
    embedQuery: (text, { signal } = {}) =>
      Promise.resolve().then(() => {
        signal?.throwIfAborted();
        return { vector: vectorOf(text), requests: 1, tokens: 0, costUsd: 0 };
      }),
  };
}

/** A content's first line is its question or title, and says as much about it as all the rest. */
function vectorOfContent(content: string): Float32Array {
  const text = content.trim();
  const lineEnd = text.indexOf("\n");
  if (lineEnd === -1) return vectorOf(text);
  return normalize(sum(vectorOf(text.slice(0, lineEnd)), vectorOf(text.slice(lineEnd))));
}

function vectorOf(text: string): Float32Array {
  const stems = new Map<number, number>();
  const trigrams = new Map<number, number>();
  for (const word of wordsOf(text)) {
    count(stems, hash(word, 0, STEM_LENGTH));
    const marked = `<${word}>`;
    for (let at = 0; at + 3 <= marked.length; at++) count(trigrams, hash(marked, at, at + 3));
  }
  // Each in length 1 before they meet: there are far more trigrams than words.
  return normalize(sum(hashed(stems), hashed(trigrams)));
}

/** Words without their accents; an apostrophe ends one, so that "l'été" gives "ete" once the stop word is gone. */
function wordsOf(text: string): string[] {
  const folded = text.toLowerCase().normalize("NFKD").replace(/\p{M}+/gu, "").replaceAll("œ", "oe").replaceAll(
    "æ",
    "ae",
  );
  const words = folded.match(/[\p{L}\p{N}]+/gu) ?? [];
  const telling = words.filter((word) => !STOP_WORDS.has(word));
  if (telling.length > 0) return telling;
  if (words.length > 0) return words;
  const signs = folded.match(/\S/gu);
  if (signs !== null) return signs;
  throw new ProviderError("input_rejected", "There is nothing to embed in a blank text.");
}

function count(counts: Map<number, number>, feature: number): void {
  counts.set(feature, (counts.get(feature) ?? 0) + 1);
}

/** Every feature adds to one place, up or down by its hash, so that features that share a place cancel out on average. */
function hashed(counts: Map<number, number>): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  for (const [feature, times] of counts) {
    const place = feature % DIMENSIONS;
    const weight = 1 + Math.log(times);
    vector[place] = (vector[place] ?? 0) + (feature >= 0x80000000 ? weight : -weight);
  }
  return normalize(vector);
}

function sum(one: Float32Array, other: Float32Array): Float32Array {
  return one.map((number, i) => number + (other[i] ?? 0));
}

/** FNV-1a over a part of a word, its bits then mixed as MurmurHash3 ends. */
function hash(word: string, start: number, end: number): number {
  let h = 2166136261;
  for (let i = start; i < end && i < word.length; i++) h = Math.imul(h ^ word.charCodeAt(i), 16777619);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

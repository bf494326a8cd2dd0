import { expect } from "vitest";
import { type Chunk, chunk, type ChunkOptions } from "../../../../shared/embeddings/chunking/chunk.ts";
import { countTokens } from "../../../../shared/embeddings/chunking/tokens.ts";

export const letters = (text: string): number => text.length;

export function chunksOf(content: string, options: Partial<ChunkOptions> = {}): Chunk[] {
  return chunk(content, { targetTokens: 64, overlapTokens: 0, countTokens, ...options });
}

export function textsOf(content: string, options: Partial<ChunkOptions> = {}): string[] {
  return chunksOf(content, options).map(({ text }) => text);
}

/** What holds for every text: all of it is there, in order, where it says, and no more of it at once than allowed. */
export function keepsItsPromises(content: string, options: Partial<ChunkOptions> = {}): Chunk[] {
  const { targetTokens = 64, countTokens: count = countTokens, overlapTokens = 0 } = options;
  const chunks = chunksOf(content, options);
  let [before, covered] = [-1, 0];
  for (const { start, end, text, tokens } of chunks) {
    expect(start).toBeGreaterThan(before);
    expect(end).toBeGreaterThan(covered);
    if (overlapTokens === 0) expect(start).toBeGreaterThanOrEqual(covered);
    expect(content.slice(covered, Math.max(covered, start)).trim()).toBe("");
    expect(content.slice(start, end)).toBe(text);
    expect(text.trim()).not.toBe("");
    expect(tokens).toBe(count(text));
    if (!isOneCharacter(text)) expect(tokens).toBeLessThanOrEqual(targetTokens);
    expect(splitsPairAt(content, start) || splitsPairAt(content, end)).toBe(false);
    [before, covered] = [start, end];
  }
  expect(content.slice(covered).trim()).toBe("");
  return chunks;
}

function splitsPairAt(content: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(content.slice(at - 1, at + 1));
}

function isOneCharacter(text: string): boolean {
  return [...text].length === 1;
}

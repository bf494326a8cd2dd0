import { type Measure, measureOf, type Range, rangeOf } from "./measure.ts";
import { overlapStart } from "./overlap.ts";
import { pack } from "./pack.ts";
import { type Part, partsOf } from "./parts.ts";
import { type Section, sectionsOf } from "./sections.ts";

/** A part of a content that is embedded by itself. */
export interface Chunk {
  /** `content.slice(start, end)` is its text; offsets count UTF-16 units, as strings do. */
  start: number;
  end: number;
  text: string;
  /** The titles that it stands under, from the outermost. */
  headings: string[];
  tokens: number;
}

export interface ChunkOptions {
  /** No chunk has more, unless it is a single character that has. */
  targetTokens: number;
  /** How much of the end of the chunk before a chunk begins with, where both are of one section. */
  overlapTokens: number;
  countTokens(text: string): number;
}

/**
 * Cuts a content, Markdown or any other text, where a reader would. Sections are cut each by itself, and a long one at
 * places that its words choose: after an edit all chunks are what they were but those near it. The same content always
 * gives the same chunks, and blank content none.
 */
export function chunk(content: string, { targetTokens, overlapTokens, countTokens }: ChunkOptions): Chunk[] {
  if (!(targetTokens >= 1)) throw new RangeError(`targetTokens must be at least 1: it is ${targetTokens}.`);
  if (!(overlapTokens >= 0 && overlapTokens < targetTokens / 2)) {
    throw new RangeError(
      `overlapTokens must be from 0 to less than half of targetTokens: it is ${overlapTokens}, of ${targetTokens}.`,
    );
  }
  const measure = measureOf(content, targetTokens, countTokens);
  const chunks: Chunk[] = [];
  for (const section of sectionsOf(content)) chunks.push(...chunksOf(section, overlapTokens, measure));
  return chunks;
}

function* chunksOf({ headings, blocks }: Section, overlapTokens: number, measure: Measure): Generator<Chunk> {
  const range = rangeOf(measure.content, blocks[0]?.start ?? 0, blocks.at(-1)?.end ?? 0);
  if (range === undefined) return;
  const tokens = measure.countIfFits(range);
  if (tokens !== undefined) return yield chunkOf(range, headings, tokens, measure);

  let before: Part[] = [];
  for (const group of pack(partsOf(blocks, measure), measure.limit - overlapTokens, measure)) {
    for (const fit of fitting(group, measure)) {
      const { range, tokens } = withOverlap(fit, before, overlapTokens, measure);
      yield chunkOf(range, headings, tokens, measure);
      before = fit.parts;
    }
  }
}

interface Fit {
  parts: Part[];
  range: Range;
  tokens: number;
}

/** The parts as one, or in halves where together they have more tokens than apart, which a tokenizer is free to do. */
function* fitting(parts: Part[], measure: Measure): Generator<Fit> {
  const [first, last] = [parts[0], parts.at(-1)];
  if (first === undefined || last === undefined) return;
  const range = { start: first.start, end: last.end };
  const tokens = parts.length === 1 ? first.tokens : measure.count(range);
  if (parts.length === 1 || tokens <= measure.limit) return yield { parts, range, tokens };
  const middle = Math.floor(parts.length / 2);
  yield* fitting(parts.slice(0, middle), measure);
  yield* fitting(parts.slice(middle), measure);
}

function withOverlap({ range, tokens }: Fit, before: Part[], most: number, measure: Measure): Omit<Fit, "parts"> {
  const start = most === 0 ? undefined : overlapStart(before, Math.min(most, measure.limit - tokens), measure);
  if (start === undefined) return { range, tokens };
  const longer = { start, end: range.end };
  const tokensOfBoth = measure.count(longer);
  return tokensOfBoth <= measure.limit ? { range: longer, tokens: tokensOfBoth } : { range, tokens };
}

function chunkOf({ start, end }: Range, headings: string[], tokens: number, { content }: Measure): Chunk {
  return { start, end, text: content.slice(start, end), headings, tokens };
}

import { sha256 } from "../platform/sha256.ts";
import { chunk } from "./chunking/chunk.ts";
import { wordsOf } from "./chunking/words.ts";
import type { CopiedChunk, Copy, Job } from "./queue.ts";
import { render } from "./template.ts";

/** A chunk with the text that is embedded for it. */
export interface PlannedChunk extends CopiedChunk {
  input: string;
}

/** What is to be written for a row in one profile. */
export interface Plan {
  job: Job;
  copy: Omit<Copy, "chunks"> & { chunks: PlannedChunk[] };
  /** Those that have to be paid for. */
  missing: PlannedChunk[];
}

export interface Recipe {
  name: string;
  template: string;
  chunkTokens: number;
  chunkOverlap: number;
}

interface Measures {
  /** The most that the embedder takes at once. */
  tokensPerInput: number;
  countTokens(text: string): number;
}

/** Cuts a row's text for a profile. Nothing is known yet of what was paid for: all of it is missing. */
export async function planOf(
  job: Job,
  target: Job["targets"][number],
  recipe: Recipe,
  measures: Measures,
): Promise<Plan> {
  const { profile, fingerprint, isUnchanged } = target;
  const chunks = isUnchanged || job.content === null ? [] : await chunksOf(job, job.content, recipe, measures);
  return { job, copy: { profile, fingerprint, isUnchanged, chunks }, missing: chunks };
}

async function chunksOf(
  { chunkTokens, chunkOverlap, fields }: Job,
  content: string,
  recipe: Recipe,
  { tokensPerInput, countTokens }: Measures,
): Promise<PlannedChunk[]> {
  const targetTokens = Math.min(chunkTokens ?? recipe.chunkTokens, tokensPerInput);
  const overlap = chunkOverlap ?? (chunkTokens === null ? recipe.chunkOverlap : 0);
  const overlapTokens = Math.min(overlap, Math.ceil(targetTokens / 2) - 1);
  const occurrences = new Map<string, number>();
  const planned: PlannedChunk[] = [];
  for (const { start, end, text, headings } of chunk(content, { targetTokens, overlapTokens, countTokens })) {
    const words = wordsOf(text);
    // Nothing but images without a word, say.
    if (words === "") continue;
    const dressed = render(recipe.template, { chunk: words, headings, fields: fields ?? {} });
    const dressedTokens = countTokens(dressed);
    // Headings and columns are a help and not the text: where they make it too long, the chunk goes alone.
    const [input, inputTokens] = dressedTokens <= tokensPerInput
      ? [dressed, dressedTokens]
      : [words, countTokens(words)];
    const hash = await sha256(`${recipe.name}\n${input}`);
    const occurrence = occurrences.get(hash) ?? 0;
    occurrences.set(hash, occurrence + 1);
    planned.push({ content: text, hash, occurrence, tokens: inputTokens, metadata: { start, end, headings }, input });
  }
  return planned;
}

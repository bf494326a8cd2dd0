import { readFileSync } from "node:fs";
import { extname } from "node:path";
import {
  type Budget,
  extractSlice,
  type Progress,
  type Slice,
  type SourceFile,
} from "../../../../../shared/files/extract/extract.ts";

const FIXTURES = new URL("../../fixtures/", import.meta.url);

const MIME_TYPES: Record<string, string> = {
  ".pdf": "application/pdf",
  ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ".html": "text/html",
  ".md": "text/markdown",
  ".csv": "text/csv",
  ".json": "application/json",
  ".txt": "text/plain",
};

/** A file as it was uploaded, with the type that a browser gives to its name. */
export function fixture(name: string): SourceFile {
  return {
    name,
    mimeType: MIME_TYPES[extname(name)] ?? null,
    bytes: new Uint8Array(readFileSync(new URL(name, FIXTURES))),
  };
}

export function expectedText(name: string): string {
  return readFileSync(new URL(`${name}.expected.txt`, FIXTURES), "utf8");
}

export function textFile(name: string, text: string, mimeType: string | null = null): SourceFile {
  return { name, mimeType, bytes: new TextEncoder().encode(text) };
}

export const ENDLESS: Budget = { isSpent: () => false };
export const SPENT: Budget = { isSpent: () => true };

/** All slices of a file, one page each where it has pages. */
export async function slicesOf(file: SourceFile, budget: Budget): Promise<Slice[]> {
  const slices: Slice[] = [];
  let from: Progress | null = null;
  do {
    // Progress waits in a jsonb between slices.
    const slice: Slice = await extractSlice(file, from === null ? null : JSON.parse(JSON.stringify(from)), budget);
    slices.push(slice);
    if (slices.length > MOST_SLICES) throw new Error(`${file.name} was not read in ${MOST_SLICES} slices.`);
    from = slice.next;
  } while (from !== null);
  return slices;
}

const MOST_SLICES = 200;

/** The whole of a file that is read in one slice. */
export async function read(file: SourceFile): Promise<Slice & { content: string }> {
  const slice = await extractSlice(file, null, ENDLESS);
  if (slice.next !== null) throw new Error(`${file.name} was not read as a whole.`);
  return { ...slice, content: slice.parts.map(({ content }) => content).join("\n\n") };
}

/** Words as nobody would dispute them: without case, punctuation, marks of Markdown and hyphens. */
export function wordsOf(text: string): string[] {
  const whole = text.normalize("NFKC").replace(/[-\u2010\u00AD]\n\s*(?=\p{L})/gu, "").replace(
    /[-\u2010\u2011\u00AD]/g,
    "",
  );
  return whole.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** How much of both is the same words in the same order, from 0 to 1. */
export function likeness(one: string[], other: string[]): number {
  let before = new Uint32Array(other.length + 1);
  for (const word of one) {
    const row = new Uint32Array(other.length + 1);
    for (let at = 1; at <= other.length; at++) {
      row[at] = word === other[at - 1] ? (before[at - 1] ?? 0) + 1 : Math.max(before[at] ?? 0, row[at - 1] ?? 0);
    }
    before = row;
  }
  return (before[other.length] ?? 0) / Math.max(one.length, other.length, 1);
}

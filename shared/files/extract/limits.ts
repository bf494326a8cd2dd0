import { FileError } from "./file-error.ts";

/**
 * What a file may be at most. Each of these is far above what people write, and low enough that a function of 256 MB
 * lives through it.
 */
export const LIMITS = {
  /** Of text taken from one file: some 3,000 printed pages. */
  characters: 10_000_000,
  /** Of a text file before it is read; markup and quotes take their share of it. */
  textBytes: 32 * 1024 * 1024,
  /** Elements within elements, or values within values. */
  depth: 512,
  pages: 20_000,
  /** Pieces of text on one page of a PDF; a dense page has 5,000. */
  runs: 50_000,
  /**
   * What the parts of a Word file that are read may come to when unpacked; a thousand pages are some 10 MB, or 30 where
   * each word has a format of its own.
   */
  unpackedBytes: 32 * 1024 * 1024,
  /** Of the XML of a Word file that cannot but be read at once: some 2 KB of memory each, as it was measured. */
  elements: 60_000,
  stretchBytes: 8 * 1024 * 1024,
  /** Entries of an archive. */
  entries: 20_000,
  columns: 500,
} as const;

export function refuseTooManyCharacters(characters: number): void {
  if (characters <= LIMITS.characters) return;
  throw new FileError(
    "too_large",
    `The file has more than ${LIMITS.characters.toLocaleString("en-US")} characters of text: ` +
      "split it into several files and upload those.",
  );
}

import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FileError, type SourceFile } from "../../../../shared/files/extract/extract.ts";
import { isOfPdfJs } from "../../../../shared/files/extract/pdfjs.ts";
import { fixture, slicesOf, SPENT } from "./support/files.ts";

const FILES = [
  "guide-fr.libreoffice.pdf",
  "guide-en.weasyprint.pdf",
  "colonnes.groff.pdf",
  "encrypted.pdf",
  "owner-only.pdf",
  "streams.pdf",
  "scan.pdf",
  "guide-fr.pandoc.docx",
  "guide-fr.libreoffice.docx",
  "encrypted.docx",
  "guide-fr.pandoc.html",
  "page.html",
  "source/guide-fr.md",
  "code.json",
  "tarifs.csv",
  "windows-1252.txt",
  "utf-16le.txt",
  "utf-16be-bom.txt",
  "book.epub",
  "old.doc",
];
const VARIANTS = 12;

// Node has no event for what PDF.js forgets, as Deno has; all else that nobody takes is vitest's to report.
const reporters = process.listeners("unhandledRejection");
const report: NodeJS.UnhandledRejectionListener = (reason, promise) => {
  if (!isOfPdfJs(reason)) { for (const reporter of reporters) reporter(reason, promise); }
};
beforeAll(() => {
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", report);
});
afterAll(() => {
  process.removeAllListeners("unhandledRejection");
  for (const reporter of reporters) process.on("unhandledRejection", reporter);
});

describe("files that were damaged at random", () => {
  for (const name of FILES) {
    test(`${name}: each of its damaged copies has a text or a reason`, async () => {
      const file = fixture(name);
      let [texts, reasons] = [0, 0];
      for (let seed = 1; seed <= VARIANTS; seed++) {
        const damaged = { ...file, bytes: damage(file.bytes, randomFrom(seed)) };
        const copy = damaged.bytes.slice();
        const result = await outcomeOf(damaged);
        expect(damaged.bytes, `seed ${seed} of ${name}: the caller's bytes`).toEqual(copy);
        if (result instanceof FileError) {
          expect(result.message, `seed ${seed} of ${name}`).toMatch(/^(The|A part of the) .+[.:] ?.+\.$/s);
          reasons++;
        } else {
          expect(result.trim(), `seed ${seed} of ${name}`).not.toBe("");
          expect(result).not.toMatch(/[^\P{Control}\t\n]|\p{Surrogate}/u);
          texts++;
        }
      }
      expect(texts + reasons).toBe(VARIANTS);
    });
  }

  test("bytes at random have a reason, whatever they say they are", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomFrom(seed);
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 5_000) }, () => Math.floor(random() * 256));
      const name = ["a.pdf", "a.docx", "a.html", "a.md", "a.csv", "a.json", "a.txt", "a"][seed % 8] ?? "a";
      const result = await outcomeOf({ name, mimeType: null, bytes });
      if (bytes.length > 200) expect(result, `seed ${seed}`).toBeInstanceOf(FileError);
    }
  });
});

/** All text, or the error that says why there is none; any other error is a failure of the test. */
async function outcomeOf(file: SourceFile): Promise<string | FileError> {
  try {
    const slices = await slicesOf(file, SPENT);
    return slices.flatMap(({ parts }) => parts.map(({ content }) => content)).join("\n");
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
}

/** Bytes changed, cut off, moved elsewhere or blanked, in places that the seed chooses. */
function damage(bytes: Uint8Array, random: () => number): Uint8Array {
  const place = () => Math.floor(random() * bytes.length);
  const damaged = bytes.slice();
  switch (Math.floor(random() * 5)) {
    case 0:
      for (let flips = 1 + Math.floor(random() * 40); flips > 0; flips--) damaged[place()] = Math.floor(random() * 256);
      return damaged;
    case 1:
      return damaged.slice(0, 1 + place());
    case 2: {
      const [from, to] = [place(), place()];
      damaged.copyWithin(to, from, from + Math.floor(random() * 2_000));
      return damaged;
    }
    case 3: {
      const from = place();
      return damaged.fill(0, from, from + Math.floor(random() * 2_000));
    }
    default: {
      const from = place();
      const without = new Uint8Array([
        ...damaged.subarray(0, from),
        ...damaged.subarray(from + Math.floor(random() * 500)),
      ]);
      return without.length === 0 ? damaged : without;
    }
  }
}

/** The same numbers from 0 to 1 for the same seed, on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

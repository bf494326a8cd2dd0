import { describe, expect, it } from "vitest";
import type { Chunk } from "../../../../shared/embeddings/chunking/chunk.ts";
import { countTokens } from "../../../../shared/embeddings/chunking/tokens.ts";
import { chunksOf } from "./promises.ts";
import { below, paragraph, randomFrom, section, sentence } from "./random-texts.ts";

const keysOf = (chunks: Chunk[]) =>
  chunks.map(({ headings, text, tokens }) => JSON.stringify([headings, text, tokens]));

/** How many of the chunks after an edit were not there before. */
function changed(before: Chunk[], after: Chunk[]): number {
  const known = new Set(keysOf(before));
  return keysOf(after).filter((key) => !known.has(key)).length;
}

describe("an edit", () => {
  it("in one section leaves the chunks of all others what they were", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = randomFrom(seed);
      // All of one level: the titles of some are not above others.
      const sections = Array.from({ length: 3 + below(5, random) }, () => `${section(random, 3)}\n\n`);
      const at = below(sections.length, random);
      const edited = sections.with(at, `${sections[at]}${paragraph(random)}\n\n`);
      const options = { targetTokens: 30 + below(100, random) };
      const before = chunksOf(sections.join(""), options);
      const after = chunksOf(edited.join(""), options);

      const start = sections.slice(0, at).join("").length;
      const length = (sections[at] ?? "").length;
      const added = (edited[at] ?? "").length - length;
      expect(after.filter(({ end }) => end <= start)).toEqual(before.filter(({ end }) => end <= start));
      expect(after.filter((chunk) => chunk.start >= start + length + added)).toEqual(
        before.filter((chunk) => chunk.start >= start + length)
          .map((chunk) => ({ ...chunk, start: chunk.start + added, end: chunk.end + added })),
      );
    }
  });

  it.each([
    ["paragraphs", (random: () => number) => `${paragraph(random)}\n\n`, 4],
    ["sentences of one paragraph", (random: () => number) => `${sentence(random)} `, 4],
    ["rows of one table", (random: () => number) => `| ${sentence(random)} | ${below(1_000, random)} |\n`, 4],
    ["items of one list", (random: () => number) => `- ${sentence(random)}\n`, 4],
    ["words without an end", (random: () => number) => `word${below(10_000, random)} `, 4],
    ["letters without a gap", (random: () => number) => below(1e9, random).toString(36), 4],
  ])("in a long section of %s changes a few chunks near it", (name, make, most) => {
    const counts: number[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomFrom(seed);
      const top = name.startsWith("rows") ? "# Title\n\n| a | b |\n| - | - |\n" : "# Title\n\n";
      const parts = Array.from({ length: 400 }, () => make(random));
      const at = below(parts.length, random);
      const isDeletion = random() < 0.5;
      const edited = isDeletion ? parts.toSpliced(at, 1) : parts.toSpliced(at, 0, make(random));
      const before = chunksOf(top + parts.join(""), { targetTokens: 100 });
      const after = chunksOf(top + edited.join(""), { targetTokens: 100 });
      expect(before.length).toBeGreaterThan(10);
      counts.push(changed(before, after));
      // Never more than so many, in any one case.
      expect(counts.at(-1)).toBeLessThanOrEqual(12);
    }
    const mean = counts.reduce((sum, count) => sum + count) / counts.length;
    expect(mean).toBeLessThanOrEqual(most);
  });

  it("of one word in a long text costs the tokens of one or two chunks", () => {
    const random = randomFrom(7);
    const parts = Array.from({ length: 300 }, () => paragraph(random));
    const before = chunksOf(parts.join("\n\n"), { targetTokens: 256 });
    const known = new Set(keysOf(before));
    for (let at = 0; at < parts.length; at += 10) {
      const edited = parts.with(at, `${parts[at]} really`).join("\n\n");
      const after = chunksOf(edited, { targetTokens: 256 });
      const paid = after.filter((_, i) => !known.has(keysOf(after)[i] ?? "")).reduce(
        (sum, { tokens }) => sum + tokens,
        0,
      );
      expect(paid).toBeLessThanOrEqual(2 * 256);
      expect(paid).toBeLessThan(countTokens(edited) / 20);
    }
  });
});

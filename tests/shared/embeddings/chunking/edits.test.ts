import { describe, expect, it } from "vitest";
import type { Chunk } from "../../../../shared/embeddings/chunking/chunk.ts";
import { countTokens } from "../../../../shared/embeddings/chunking/tokens.ts";
import { chunksOf } from "./promises.ts";
import { below, paragraph, type Random, randomFrom, section, sentence } from "./random-texts.ts";

const keysOf = (chunks: Chunk[]) =>
  chunks.map(({ headings, text, tokens }) => JSON.stringify([headings, text, tokens]));

/** Which of the chunks after an edit were not there before. */
function changed(before: Chunk[], after: Chunk[]): number[] {
  const known = new Set(keysOf(before));
  return keysOf(after).flatMap((key, i) => known.has(key) ? [] : i);
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
    ["paragraphs", (random: Random) => `${paragraph(random)}\n\n`],
    ["sentences of one paragraph", (random: Random) => `${sentence(random)} `],
    ["rows of one table", (random: Random) => `| ${sentence(random)} | ${below(1_000, random)} |\n`],
    ["items of one list", (random: Random) => `- ${sentence(random)}\n`],
    ["words without an end", (random: Random) => `word${below(10_000, random)} `],
    ["letters without a gap", (random: Random) => below(1e9, random).toString(36)],
  ])(
    "in a long section of %s changes less than two chunks on average, and never more than eight in a row",
    (name, make) => {
      let total = 0;
      const rounds = 40;
      for (let seed = 1; seed <= rounds; seed++) {
        const random = randomFrom(seed);
        const top = name.startsWith("rows") ? "# Title\n\n| a | b |\n| - | - |\n" : "# Title\n\n";
        const parts = Array.from({ length: 400 }, () => make(random));
        const at = below(parts.length, random);
        const edited = random() < 0.5 ? parts.toSpliced(at, 1) : parts.toSpliced(at, 0, make(random));
        const before = chunksOf(top + parts.join(""), { targetTokens: 100 });
        const after = chunksOf(top + edited.join(""), { targetTokens: 100 });
        expect(before.length).toBeGreaterThan(10);

        const indices = changed(before, after);
        total += indices.length;
        const [first, last] = [indices[0], indices.at(-1)];
        if (first === undefined || last === undefined) continue;
        expect(last - first).toBeLessThan(8);
        const offset = top.length + parts.slice(0, at).join("").length;
        // None is further from the edit than the neighbour of the one that it is in.
        expect(after[first - 1]?.start ?? 0).toBeLessThanOrEqual(offset);
        expect(after[last + 1]?.end ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(offset);
      }
      expect(total / rounds).toBeLessThan(2);
    },
  );

  it("of one word in a long text costs the tokens of two chunks at most", () => {
    const random = randomFrom(7);
    const parts = Array.from({ length: 300 }, () => paragraph(random));
    const before = chunksOf(parts.join("\n\n"), { targetTokens: 256 });
    for (let at = 0; at < parts.length; at += 10) {
      const edited = parts.with(at, `${parts[at]} really`).join("\n\n");
      const after = chunksOf(edited, { targetTokens: 256 });
      const paid = changed(before, after).reduce((sum, i) => sum + (after[i]?.tokens ?? 0), 0);
      expect(paid).toBeLessThanOrEqual(2 * 256);
      expect(paid).toBeLessThan(countTokens(edited) / 20);
    }
  });
});

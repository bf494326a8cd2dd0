import { describe, expect, it } from "vitest";
import { chunk } from "../../../../shared/embeddings/chunking/chunk.ts";

const MB = 1_000_000;

/** How often a letter of the text is counted, and how often something is counted for each letter. */
function workOn(content: string, overlapTokens = 0): { letters: number; calls: number; chunks: number } {
  let [letters, calls] = [0, 0];
  const countTokens = (text: string) => {
    letters += text.length;
    calls++;
    return Math.ceil(text.length / 4);
  };
  const { length: chunks } = chunk(content, { targetTokens: 256, overlapTokens, countTokens });
  return { letters: letters / content.length, calls: calls / content.length, chunks };
}

const page =
  "# Title\n\nA sentence, and a second one. Then a third!\n\n- an item\n- another\n\n```\ncode\n```\n\n| a |\n| - |\n\n";

describe("the work that a text makes", () => {
  it("grows with its length and no more, up to twenty megabytes", () => {
    const [small, large] = [workOn(page.repeat(MB / page.length)), workOn(page.repeat(20 * MB / page.length))];
    expect(large.letters).toBeLessThanOrEqual(1.2);
    expect(large.letters / small.letters).toBeCloseTo(1, 1);
    expect(large.calls / small.calls).toBeCloseTo(1, 1);
    expect(large.chunks).toBeGreaterThan(100_000);
  });

  it.each([
    ["paragraphs", "A sentence, and a second one. Then a third!\n\n"],
    ["sentences", "A sentence, and a second one. Then a third! "],
    ["lines", "a line of words without an end\n"],
    ["words", "words without any end to them "],
    ["one word", "abcdefghijklmnopqrstuvwxyz"],
    ["items", "- an item of a list\n"],
    ["items in items", "- one\n  - two\n    - three\n"],
    ["rows", "| one | two |\n"],
    ["a fence that is never closed", "```\ncode and code\n"],
    ["quotes in quotes", "> "],
    ["front matter that is never closed", "---\ntitle: a"],
    ["comments that are never closed", "<!-- a comment\n"],
    ["titles", "Title\n---\n"],
    ["full stops", '." '],
    ["characters of several code points", "👍🏽"],
  ])("is of the same order for nothing but %s", (_, pattern) => {
    const content = pattern.repeat(MB / pattern.length);
    for (const overlapTokens of [0, 64]) {
      const { letters, calls } = workOn(content, overlapTokens);
      expect(letters).toBeLessThanOrEqual(5);
      expect(calls).toBeLessThanOrEqual(1);
    }
  });

  it("is none for blanks", () => {
    for (const blank of [" ", "\n", "\t", "\r\n", "\u2028"]) expect(workOn(blank.repeat(MB)).calls).toBe(0);
  });
});

import { countTokens as exactly } from "gpt-tokenizer/encoding/cl100k_base";
import { describe, expect, it } from "vitest";
import { countTokens } from "../../../../shared/embeddings/chunking/tokens.ts";
import { garbage, markdown, randomFrom } from "./random-texts.ts";

const AS_TEXT = { disallowedSpecial: new Set<string>() };

describe("the tokens of a text", () => {
  // What tiktoken's cl100k_base counts.
  it.each([
    ["", 0],
    ["hello world", 2],
    ["tiktoken is great!", 6],
    ["antidisestablishmentarianism", 6],
    ["お誕生日おめでとう", 9],
    ["2 + 2 = 4", 7],
  ])("are those of OpenAI's models: %j", (text, tokens) => {
    expect(countTokens(text)).toBe(tokens);
  });

  it("are those that the tokenizer counts, whatever the text", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = randomFrom(seed);
      for (const text of [markdown(random), garbage(random)]) expect(countTokens(text)).toBe(exactly(text, AS_TEXT));
    }
  });

  it("are counted where a text has what is a special token to others", () => {
    expect(countTokens("<|endoftext|>")).toBe(7);
    expect(countTokens("See <|fim_prefix|> and <|endofprompt|>.")).toBeGreaterThan(10);
  });

  it.each([
    ["letters", (i: number) => String.fromCharCode(97 + (Math.imul(i, 2_654_435_761) >>> 13) % 26)],
    ["signs", (i: number) => "-=*#"[(Math.imul(i, 2_654_435_761) >>> 13) % 4] ?? ""],
    ["blanks", (i: number) => " \t"[(Math.imul(i, 2_654_435_761) >>> 13) % 2] ?? ""],
    ["characters of two halves", () => "🦥"],
  ])("without a gap between thousands of %s are counted in parts, a few too many at most", (_, character) => {
    const text = Array.from({ length: 4_100 }, (_, i) => character(i)).join("");
    const exact = exactly(text, AS_TEXT);
    expect(countTokens(text)).toBeGreaterThanOrEqual(exact);
    expect(countTokens(text)).toBeLessThanOrEqual(exact + 16);
  });

  it("of two million letters without a gap take the tokenizer no word longer than a thousand", () => {
    // Whole, it would be under way for hours.
    expect(countTokens("abcdefghij".repeat(200_000))).toBeGreaterThan(200_000);
  });
});

import { describe, expect, it } from "vitest";
import { wordsOf } from "../../../../shared/embeddings/chunking/words.ts";

describe("what is embedded of a chunk", () => {
  it.each([
    ["plain text stays as it is", "Un piano.\n\nDeux pianos.", "Un piano.\n\nDeux pianos."],
    ["a paragraph is one line, however it is wrapped", "One sentence\nthat goes\n  on.", "One sentence that goes on."],
    ["blank lines are one", "a\n\n\n \nb", "a\n\nb"],
    ["a link is its label", 'See [the guide](https://x.test/a "t") and [this][ref].', "See the guide and this."],
    ["an image is its description", "![a piano](./p.png)", "a piano"],
    ["an image without one is nothing", "![](./p.png)", ""],
    ["definitions of links are nothing", "a\n\n[ref]: https://x.test", "a"],
    ["bold marks are nothing", "a **loud** word", "a loud word"],
    ["names of code keep their underscores", "call __init__ now", "call __init__ now"],
    ["code in a line is left alone", "use `a **b** [c](d)` so", "use `a **b** [c](d)` so"],
    ["items stay items", "- one\n  more of it\n- two", "- one more of it\n- two"],
    ["numbers stay numbers", "1. one\n2) two", "1. one\n2) two"],
    ["a table is its cells", "| a   | b |\n|:----|---|\n| c | d   |", "| a | b |\n| c | d |"],
    ["a rule between paragraphs stays", "a\n\n---\n\nb", "a\n\n---\n\nb"],
    ["comments are nothing", "a <!-- not this --> b", "a b"],
    [
      "code is left as it is",
      "```ts\n  const a = [b](c);\n\n\n  **\n```\nafter",
      "```ts\n  const a = [b](c);\n\n\n  **\n```\nafter",
    ],
    ["a longer fence holds a shorter one", "````\n```\na\n  b\n````\nc\nd", "````\n```\na\n  b\n````\nc d"],
    ["blank text is nothing", " \n\t\n", ""],
  ])("%s", (_, chunk, words) => expect(wordsOf(chunk)).toBe(words));

  it("is the same again of itself, so that nothing is lost twice", () => {
    for (const chunk of ["# T\n\na [b](c)\nd\n\n- e\n- f", "| a |\n|---|\n| b |\n\n```\nx\n```"]) {
      expect(wordsOf(wordsOf(chunk))).toBe(wordsOf(chunk));
    }
  });

  it("takes a time that grows with the length alone", () => {
    // Each of these would hold up a careless expression for minutes.
    for (const part of ["[", "](", "![", "|-", "<!--", "`", "**", "[a](", "[]: "]) {
      expect(wordsOf(part.repeat(20_000)).length).toBeGreaterThanOrEqual(0);
    }
  });
});

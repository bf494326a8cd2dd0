import { describe, expect, it } from "vitest";
import { chunksOf, letters, textsOf } from "./promises.ts";

const headingsOf = (content: string, options = {}) => chunksOf(content, options).map(({ headings }) => headings);
const inLetters = (targetTokens: number) => ({ targetTokens, countTokens: letters });

describe("a section", () => {
  it("is a chunk of its own, which knows the titles that it stands under", () => {
    const content = "Hello.\n\n# Guide\n\nText.\n\n### Deep ###\n\nMore.\n\n## C#\n\nEnd.\n";
    expect(chunksOf(content).map(({ start, text, headings }) => ({ start, text, headings }))).toEqual([
      { start: 0, text: "Hello.", headings: [] },
      { start: 8, text: "# Guide\n\nText.", headings: ["Guide"] },
      { start: 24, text: "### Deep ###\n\nMore.", headings: ["Guide", "Deep"] },
      { start: 45, text: "## C#\n\nEnd.", headings: ["Guide", "C#"] },
    ]);
  });

  it("may have its title underlined", () => {
    expect(headingsOf("Guide\n=====\n\nText.\n\nTwo\nlines\n---\n\nMore.")).toEqual([["Guide"], [
      "Guide",
      "Two lines",
    ]]);
  });

  it("without a text stands with the first of those under it, and else alone", () => {
    expect(textsOf("# A\n\n## B\n\nText.\n\n## C\n\n## D\n\nMore.")).toEqual([
      "# A\n\n## B\n\nText.",
      "## C",
      "## D\n\nMore.",
    ]);
  });

  it("keeps its titles in every chunk that it is cut into", () => {
    const content = `# A\n\n## B\n\n${"A sentence of some words. ".repeat(60)}`;
    const headings = headingsOf(content);
    expect(headings.length).toBeGreaterThan(3);
    expect(new Set(headings.map((path) => path.join()))).toEqual(new Set(["A,B"]));
  });

  it.each([
    ["a line that only begins like one", "#hashtag\n\n#######\n\n    # code\n\n\\# no"],
    ["a line in a fence", "```sh\n# comment\n```\n\n~~~\nTitle\n===\n~~~"],
    ["a line in a longer fence with a shorter one in it", "````md\n```\n# a\n```\n# b\n````"],
    ["a line in a fence with another mark in it", "~~~\n```\n# a\n~~~"],
    ["a line in a fence of a list", "- item\n\n  ```sh\n  # a\n  ```\n\n1. item\n\n    ```sh\n# a\n    ```"],
    ["a line in a fence right behind the mark of an item", "- ```sh\n  # a\n  ```"],
    ["a line in a fence that is never closed", "```\n# a\n\n# b\n\nTitle\n===\n"],
    ["a line in HTML that is no Markdown", "<!--\n# a\n\n# b\n-->\n\n<pre>\n# c\n</pre>"],
    ["a line in a quote", "> # a\n> text"],
    ["an item or a row above a line", "- item\n---\n\n| a |\n| - |\n| b |\n\n***\n---"],
  ])("does not begin at %s", (_, content) => {
    expect(headingsOf(content, { targetTokens: 500 })).toEqual([[]]);
  });

  it("begins again behind a fence in a quote, which ends with the quote", () => {
    expect(headingsOf("> ```\n> # a\n\n# Title")).toEqual([[], ["Title"]]);
  });

  it("has a title of some hundred characters at most, and no half of one", () => {
    const [path] = headingsOf(`# ${"x".repeat(299)}🦥 and so on\n\nText.`, { targetTokens: 1_000 });
    expect(path).toEqual(["x".repeat(299)]);
  });
});

describe("front matter", () => {
  it("stands alone and has no headings", () => {
    expect(
      chunksOf("---\ntitle: a\n# no: heading\n---\n# Title\n\nText.").map(({ text, headings }) => [text, headings]),
    )
      .toEqual([["---\ntitle: a\n# no: heading\n---", []], ["# Title\n\nText.", ["Title"]]]);
    expect(textsOf("\uFEFF+++\r\ntitle = 'a'\r\n+++\r\nText.")).toEqual(["+++\r\ntitle = 'a'\r\n+++", "Text."]);
  });

  it("is only what is at the very top, and closed", () => {
    expect(textsOf("---\n\nText.\n\n---\n")).toHaveLength(1);
    expect(textsOf("---\ntitle: a\n\nText.")).toHaveLength(1);
    expect(textsOf("Text.\n\n---\ntitle: a\n---\n")).toHaveLength(2);
  });
});

describe("what belongs together stays together where it fits", () => {
  const words = "Some words. ".repeat(3).trim();

  it("a fence", () => {
    const fence = "```ts\nconst a = 1;\n\nconst b = 2;\n```";
    expect(textsOf(`${words}\n\n${fence}\n\n${words}`, inLetters(42))).toEqual([words, fence, words]);
  });

  it("a fence, but for one that is too long by itself: that is cut between its lines", () => {
    const texts = textsOf(`\`\`\`\n${"const a = 1;\n".repeat(9)}\`\`\``, inLetters(40));
    expect(texts.length).toBeGreaterThan(2);
    for (const line of texts.flatMap((text) => text.split("\n"))) expect(["```", "const a = 1;"]).toContain(line);
  });

  it("a line and the blanks that indent it", () => {
    const texts = textsOf(`~~~\n${"if (a)\n    return b;\n".repeat(9)}~~~`, inLetters(40));
    for (const line of texts.flatMap((text) => text.split("\n"))) {
      expect(["~~~", "if (a)", "    return b;"]).toContain(line);
    }
  });

  it("a list", () => {
    const list = "- one\n- two\n  - deeper\n\n- three\nlazily";
    expect(textsOf(`${words}\n\n${list}\n\n${words}`, inLetters(42))).toEqual([words, list, words]);
  });

  it("a list, but for one that is too long: that is cut between its items", () => {
    const item = "- An item. It goes on\n  in a second line.";
    expect(new Set(textsOf(`${item}\n`.repeat(9), inLetters(50)))).toEqual(new Set([item]));
  });

  it("a table", () => {
    const table = "| a | b |\n| - | - |\n| 1. A | 2 |";
    expect(textsOf(`${words}\n\n${table}\n\n${words}`, inLetters(40))).toEqual([words, table, words]);
  });

  it("a table, but for one that is too long: that is cut between its rows", () => {
    const texts = textsOf(`| a | b |\n| - | - |\n${"| One. Two | 2 |\n".repeat(9)}`, inLetters(50));
    expect(texts.length).toBeGreaterThan(2);
    for (const row of texts.flatMap((text) => text.split("\n"))) expect(row).toMatch(/^\|.*\|$/);
  });

  it("a line that announces something and what it announces", () => {
    const filler = "Words and words and words, so many words that it is nearly full.";
    for (const announcement of ["For example:", ":::note"]) {
      for (let seed = 0; seed < 20; seed++) {
        const texts = textsOf(`${filler}\n\n${filler} ${seed}.\n\n${announcement}\n\n${words} ${seed}`, inLetters(140));
        expect(texts.filter((text) => text.endsWith(announcement))).toEqual([]);
      }
    }
  });

  it("a heading and what it is about", () => {
    const [first] = textsOf(`# Title\n\n${words}\n\n${words}\n\n${words}`, inLetters(60));
    expect(first).toBe(`# Title\n\n${words}`);
  });
});

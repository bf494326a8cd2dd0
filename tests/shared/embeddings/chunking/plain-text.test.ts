import { describe, expect, it } from "vitest";
import { chunksOf, letters, textsOf } from "./promises.ts";

const inLetters = (targetTokens: number) => ({ targetTokens, countTokens: letters });

describe("a text", () => {
  it.each(["", " ", "\n\t \r\n\u00a0", "\uFEFF", "\u2028\n"])("that is blank has no chunks: %j", (content) => {
    expect(chunksOf(content)).toEqual([]);
  });

  it("that is short is one chunk, without the blanks around it", () => {
    expect(chunksOf("\n\nWhere is it?\n\nThere. \n", inLetters(100))).toEqual([
      { start: 2, end: 22, text: "Where is it?\n\nThere.", headings: [], tokens: 20 },
    ]);
  });

  it("is cut between paragraphs, where they fit", () => {
    expect(textsOf("one one.\n\ntwo two.\r\n \r\nthree three.", inLetters(30))).toEqual([
      "one one.\n\ntwo two.",
      "three three.",
    ]);
  });

  it("is cut between sentences, where a paragraph does not fit", () => {
    const one = (content: string) => new Set(textsOf(content, inLetters(20)));
    expect(one("It is so very late. Is it late enough? ".repeat(2)))
      .toEqual(new Set(["It is so very late.", "Is it late enough?"]));
    expect(one("« Est-ce bien ça ? » C’est vraiment ça… Encore une fois !"))
      .toEqual(new Set(["« Est-ce bien ça ? »", "C’est vraiment ça…", "Encore une fois !"]));
    expect(one("今日はとても寒い日です。「明日も寒いですか？」昨日も寒かったのですね。"))
      .toEqual(new Set(["今日はとても寒い日です。", "「明日も寒いですか？」", "昨日も寒かったのですね。"]));
    expect(one("Take a town, e.g. Lyon. Or Nice."))
      .toEqual(new Set(["Take a town, e.g.", "Lyon. Or Nice."]));
  });

  it("is not cut where a sentence goes on behind a full stop", () => {
    expect(textsOf("Tous les fruits. Une poire, etc. et plus", inLetters(25))).toEqual([
      "Tous les fruits.",
      "Une poire, etc. et plus",
    ]);
  });

  it("is cut between lines, where no sentence ends", () => {
    expect(textsOf("GET /index 200\nGET /about 404\nGET /other 200", inLetters(20))).toEqual([
      "GET /index 200",
      "GET /about 404",
      "GET /other 200",
    ]);
  });

  it("is cut between words, where a line does not fit", () => {
    const texts = textsOf("these are eight words without any sentence end", inLetters(16));
    expect(texts.join(" ")).toBe("these are eight words without any sentence end");
  });

  it("is cut inside a word only where the word does not fit", () => {
    expect(textsOf("so abcdefgh so", inLetters(8))).toEqual(["so", "abcdefgh", "so"]);
    const texts = textsOf("abcdefghijkl", inLetters(8));
    expect(texts.length).toBeGreaterThan(1);
    expect(texts.join("")).toBe("abcdefghijkl");
  });

  it("is never cut inside of what a reader takes for one character, where that fits", () => {
    const graphemes = ["👨‍👩‍👧‍👦", "🇫🇷", "e\u0301", "👍🏽", "🦥", "a"];
    const content = graphemes.join("").repeat(5);
    const ends = new Set([0]);
    for (const { index, segment } of new Intl.Segmenter().segment(content)) ends.add(index + segment.length);
    for (const limit of [11, 12, 20, 50]) {
      for (const { start, end } of chunksOf(content, inLetters(limit))) {
        expect(ends).toContain(start);
        expect(ends).toContain(end);
      }
    }
  });

  it("is cut inside of such a character between its code points, where it does not fit", () => {
    for (const limit of [1, 2, 3, 5]) {
      const texts = textsOf("👨‍👩‍👧‍👦🇫🇷", inLetters(limit));
      expect(texts.join("")).toBe("👨‍👩‍👧‍👦🇫🇷");
      for (const text of texts) expect(text).not.toMatch(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/);
    }
  });

  it("with halves of characters keeps them where they are", () => {
    const content = "a\ud800b \udc00\n\n# \ud83e\n\ud83e\ud83e\udda5";
    const chunks = chunksOf(content, { targetTokens: 5 });
    expect(chunks.map(({ start, end }) => content.slice(start, end))).toEqual(chunks.map(({ text }) => text));
    expect(chunks.map(({ text }) => text).join("").replace(/\s/g, "")).toBe(content.replace(/\s/g, ""));
  });
});

describe("an overlap", () => {
  const sentences = Array.from({ length: 40 }, (_, i) => `This is sentence number ${i + 1}.`);
  const options = { targetTokens: 60, overlapTokens: 20 };

  it("repeats whole sentences of the end of the chunk before", () => {
    const chunks = chunksOf(sentences.join(" "), options);
    expect(chunks.length).toBeGreaterThan(5);
    for (const [i, { start, text }] of chunks.entries()) {
      expect(text).toMatch(/^This.*\.$/);
      const before = chunks[i - 1];
      if (before === undefined) continue;
      expect(start).toBeGreaterThan(before.start);
      expect(start).toBeLessThan(before.end);
      expect(before.end - start).toBeLessThan(options.overlapTokens * 6);
    }
  });

  it("does not reach into another section", () => {
    const chunks = chunksOf(`# A\n\n${sentences.join(" ")}\n\n# B\n\nText.`, options);
    expect(chunks.at(-1)?.text).toBe("# B\n\nText.");
  });

  it.each([[10, 5], [10, 7.5], [10, -1], [10, Number.NaN]])(
    "of a chunk of %d must be less than half of it: %d is not",
    (targetTokens, overlapTokens) => {
      expect(() => chunksOf("Text.", { targetTokens, overlapTokens })).toThrow(RangeError);
      expect(() => chunksOf("Text.", { targetTokens, overlapTokens }))
        .toThrow(`it is ${overlapTokens}, of ${targetTokens}`);
    },
  );
});

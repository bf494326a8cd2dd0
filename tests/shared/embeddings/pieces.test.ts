import { describe, expect, it } from "vitest";
import { cutIntoPieces, hashOfPiece } from "../../../shared/embeddings/pieces.ts";
import { estimateTokens } from "../../../shared/embeddings/token-estimate.ts";
import { randomNumbers } from "./fake-embedder.ts";

const letters = (text: string) => text.length;
const textsOf = (content: string, tokensPerPiece: number, countTokens = letters) =>
  cutIntoPieces(content, { tokensPerPiece, countTokens }).map(({ text }) => text);

describe("a content", () => {
  it("that is short enough is one piece, without the blanks around it", () => {
    expect(cutIntoPieces("\n  Where is it?\n\nThere. \n", { tokensPerPiece: 100, countTokens: letters })).toEqual([
      { start: 3, end: 23, text: "Where is it?\n\nThere.", tokens: 20 },
    ]);
  });

  it.each(["", " ", "\n\t \r\n\u00a0"])("that is blank has no pieces: %j", (content) => {
    expect(textsOf(content, 10)).toEqual([]);
  });

  it("is cut between paragraphs, where they fit", () => {
    expect(textsOf("one one.\n\ntwo two.\r\n \r\nthree three.", 25)).toEqual(["one one.\n\ntwo two.", "three three."]);
  });

  it("is cut between sentences, where a paragraph does not fit", () => {
    expect(textsOf("It is late. Is it? « Oui ! » Very late!", 19)).toEqual([
      "It is late. Is it?",
      "« Oui ! »",
      "Very late!",
    ]);
    expect(textsOf("今日は寒い。明日も寒い。", 6)).toEqual(["今日は寒い。", "明日も寒い。"]);
  });

  it("is cut between words, where a sentence does not fit", () => {
    expect(textsOf("these are eight words without any sentence end", 16)).toEqual([
      "these are eight",
      "words without",
      "any sentence end",
    ]);
  });

  it("is cut inside a word only where the word does not fit", () => {
    expect(textsOf("abcdefghijkl", 6)).toEqual(["abcdef", "ghijkl"]);
    expect(textsOf("so abcdef so", 6)).toEqual(["so", "abcdef", "so"]);
  });

  it("is never cut inside a character, even where a character does not fit", () => {
    for (const limit of [1, 2, 3, 5, 7]) {
      const pieces = textsOf("😀🦥👍🏽🇫🇷a😀b", limit);
      expect(pieces.join("")).toBe("😀🦥👍🏽🇫🇷a😀b");
      for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
    }
  });

  it("loses no word, and every piece is where it says and no larger than allowed, whatever the content", () => {
    const alphabet = [
      "a",
      "word ",
      "long_word_without_end",
      ". ",
      "! ",
      "\n",
      "\n\n",
      "  ",
      "é",
      "語",
      "。",
      "🦥",
      "1,2",
      "\t",
    ];
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomNumbers(seed);
      const content = Array.from(
        { length: Math.floor(random() * 200) },
        () => alphabet[Math.floor(random() * alphabet.length)],
      )
        .join("");
      const tokensPerPiece = 4 + Math.floor(random() * 60);
      const pieces = cutIntoPieces(content, { tokensPerPiece, countTokens: estimateTokens });
      let from = 0;
      for (const { start, end, text, tokens } of pieces) {
        expect(content.slice(from, start).trim()).toBe("");
        expect(content.slice(start, end)).toBe(text);
        expect(text).toBe(text.trim());
        expect(tokens).toBe(estimateTokens(text));
        expect(tokens).toBeLessThanOrEqual(tokensPerPiece);
        from = end;
      }
      expect(content.slice(from).trim()).toBe("");
      expect(cutIntoPieces(content, { tokensPerPiece, countTokens: estimateTokens })).toEqual(pieces);
    }
  });

  it.each([
    ["paragraphs", "One sentence, and a second one. Then a third!\n\n"],
    ["sentences", "One sentence, and a second one. Then a third! "],
    ["words", "words without any end to them "],
    ["one word", "abcdefghijklmnopqrstuvwxyz"],
    ["blanks", " "],
    ["line ends", "\n"],
  ])("of 5 MB costs little of the two seconds that a function has: %s", (_, pattern) => {
    const content = pattern.repeat(Math.ceil(5_000_000 / pattern.length));
    const startedAt = performance.now();
    const pieces = cutIntoPieces(content, { tokensPerPiece: 8_000, countTokens: estimateTokens });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    expect(pieces.every(({ tokens }) => tokens <= 8_000)).toBe(true);
  });
});

describe("the hash of a piece", () => {
  it("is the SHA-256 of profile and text, which Postgres can compute as well", async () => {
    // encode(sha256(convert_to('openai:m:8' || e'\n' || 'été', 'utf8')), 'hex')
    expect(await hashOfPiece("openai:m:8", "été")).toBe(
      "955d72b347339ffdd983ca96f3855c67ac96b4dabff293dcb076cf350d1f5aed",
    );
  });

  it("is another for another profile or text", async () => {
    const hashes = [await hashOfPiece("a", "text"), await hashOfPiece("b", "text"), await hashOfPiece("a", "text.")];
    expect(new Set(hashes).size).toBe(3);
  });
});

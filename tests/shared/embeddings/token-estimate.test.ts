import { describe, expect, it } from "vitest";
import { estimateTokens } from "../../../shared/embeddings/token-estimate.ts";

/** Texts with the tokens that OpenAI's cl100k_base makes of them, as its own tokenizer counted them. */
const COUNTED: [string, number, string][] = [
  [
    "English",
    25,
    'How do I delete all my mail from my Gmail account? Go to your All mail view, and click "Select all".',
  ],
  [
    "French",
    34,
    "Qu'est-ce que le RGPD apporte de nouveau ? Il renforce les droits des personnes et responsabilise les entreprises traitant des données à caractère personnel.",
  ],
  [
    "Markdown with code",
    52,
    '## Install\n\n```sh\nnpm install --save-exact openai@6.49.0 && npm start\n```\n\n- [Docs](https://example.com/docs?page=2#top)\n- `await db.query("select 1")`\n',
  ],
  [
    "JSON",
    60,
    '{"id":"3f2a9c1e-77b0-4d19-9a55-0c8e1f6b2d43","count":12345,"tags":["a","b","c"],"ok":true,"ratio":0.8571}',
  ],
  ["base64", 62, "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz+/k3Zx9QwLrT0=="],
  ["hexadecimal", 43, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
  ["random letters", 37, "qzxvkjwpfhgbtnmycdlrseoiauqzxjvkwpyfmhgbtn xqj zvk wpy fgh btn mcd lrs"],
  ["single letters", 29, "a,b,c,d,e,f,g\nh\ni\nj k l m n o p q r s t u v w x y z"],
  ["Chinese", 24, "这是一个关于数据库同步的常见问题。我们如何保证数据一致性?"],
  ["Japanese", 23, "これはデータベースの同期に関するよくある質問です。"],
  ["Korean", 24, "데이터베이스 동기화에 대한 자주 묻는 질문입니다."],
  ["Russian", 24, "Это часто задаваемый вопрос о синхронизации базы данных."],
  ["Arabic", 29, "هذا سؤال شائع حول مزامنة قاعدة البيانات."],
  ["Greek", 50, "Αυτή είναι μια συχνή ερώτηση σχετικά με τη βάση δεδομένων."],
  ["Hindi", 51, "यह डेटाबेस सिंक्रनाइज़ेशन के बारे में एक प्रश्न है।"],
  ["emoji", 44, "👩‍👩‍👧‍👦🏳️‍🌈🫠🦥🧿🪬 👍🏽"],
  ["signs", 27, '!"#$%&()*+,-./:;<=>?@[]^_`{|}~!?!?;;::<<>>'],
  ["blanks", 6, "                    \n\n\n\t\t\t   \n  x"],
  ["rare letters", 52, "ƀƁƂƃƄƅƆƇƈƉƊƋƌƍƎƏƐƑƒƓƔƕƖƗƘƙ"],
];

describe("the estimate of tokens", () => {
  it.each(COUNTED)("is never too low for %s", (_, tokens, text) => {
    expect(estimateTokens(text)).toBeGreaterThanOrEqual(tokens);
  });

  it("is two to three times too high for prose", () => {
    for (const [, tokens, text] of COUNTED.slice(0, 2)) expect(estimateTokens(text)).toBeLessThan(3.1 * tokens);
  });

  it("counts no less for parts than for the whole, so that pieces may be added up", () => {
    for (const [, , text] of COUNTED) {
      for (let cut = 0; cut <= text.length; cut++) {
        const parts = estimateTokens(text.slice(0, cut)) + estimateTokens(text.slice(cut));
        expect(parts).toBeGreaterThanOrEqual(estimateTokens(text));
      }
    }
  });

  it("is nothing for nothing", () => expect(estimateTokens("")).toBe(0));
});

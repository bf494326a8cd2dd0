import { countTokens as countOfTokenizer } from "gpt-tokenizer/encoding/cl100k_base";

/**
 * How many tokens a text has for OpenAI's embedding models (cl100k). Exact, but for runs of more than a thousand
 * letters, signs or blanks: those count a few tokens too many.
 */
export function countTokens(text: string): number {
  if (text.length <= LONGEST_RUN) return countOfTokenizer(text, AS_PLAIN_TEXT);
  let tokens = 0;
  let from = 0;
  for (const { index, 0: run } of text.matchAll(RUN)) {
    for (let cut = index + LONGEST_RUN; cut < index + run.length; cut += LONGEST_RUN) {
      // The halves of one character would count as two broken ones.
      if (isLowSurrogate(text.charCodeAt(cut))) cut--;
      tokens += countOfTokenizer(text.slice(from, cut), AS_PLAIN_TEXT);
      from = cut;
    }
  }
  return tokens + countOfTokenizer(text.slice(from), AS_PLAIN_TEXT);
}

/** Text such as <|endoftext|> in a document is what its author wrote, and means nothing to anyone. */
const AS_PLAIN_TEXT = { disallowedSpecial: new Set<string>() };

/**
 * What the tokenizer takes as one word costs it the square of the word's length: a hundred thousand letters without a
 * gap would hold it up for minutes. So a run is cut before it gets there.
 */
const LONGEST_RUN = 1_000;
const RUN = /\p{L}+|[^\s\p{L}\p{N}]+|\s+/gu;

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

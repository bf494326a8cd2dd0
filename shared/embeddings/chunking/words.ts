import { isBlank } from "./marks.ts";

/**
 * What of a chunk is embedded: its words, without what only says how they look or where a link goes. So a text that is
 * wrapped anew, a table that is aligned and a link that moves are the same text as before, and nobody pays for addresses.
 * Code is left as it is.
 */
export function wordsOf(chunk: string): string {
  const said: string[] = [];
  let fence = "";
  /** Whether the next line goes on with what the last one says. */
  let isOpen = false;
  for (const line of chunk.split("\n")) {
    const mark = /^[\s>]*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== "" || mark !== undefined) {
      said.push(line.trimEnd());
      if (fence === "") fence = mark ?? "";
      else if (mark?.startsWith(fence) === true) fence = "";
      isOpen = false;
      continue;
    }
    const words = wordsOfLine(line);
    // A blank line stays one; a line of which nothing is left goes.
    if (words === "" && !(isBlank(line) && said.at(-1) !== "")) continue;
    if (isOpen && words !== "" && !BEGINS_ANEW.test(words)) said[said.length - 1] += ` ${words}`;
    else said.push(words);
    isOpen = words !== "";
  }
  return said.join("\n").trim();
}

const BEGINS_ANEW = /^(?:[-*+] |\d{1,9}[.)] |#{1,6} |[|>]|:::|<)/;
const TABLE_RULE = /^\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?\s*)?$/;
const REFERENCE = /^\[[^\]]{1,300}\]:\s/;
/** Code first, so that nothing in it is taken for a mark; then links and images, bold marks, comments. */
const MARKS = /(`[^`]*`)|!?\[([^[\]]*)\](?:\([^()]*\)|\[[^[\]]*\])|\*\*|<!--.*?-->|<\/?a(?:\s[^>]*)?>/g;

function wordsOfLine(line: string): string {
  const trimmed = line.trim();
  if (REFERENCE.test(trimmed) || TABLE_RULE.test(trimmed)) return "";
  return trimmed
    .replace(MARKS, (_, code: string | undefined, label: string | undefined) => code ?? label ?? "")
    .replace(/\s+/g, " ")
    .trim();
}

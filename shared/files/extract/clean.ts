/**
 * What no reader sees and Postgres may refuse: control characters (a NUL fits neither text nor jsonb), halves of
 * surrogate pairs, soft hyphens and marks of no width. What ends a line becomes a line feed.
 */
export function cleanText(text: string): string {
  return text
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, "\n")
    .replace(/[^\P{Control}\t\n]|[\u00AD\u200B\u2060\uFEFF\uFFFE\uFFFF]/gu, "")
    .replace(/\p{Surrogate}/gu, "\uFFFD")
    .normalize("NFC");
}

const LONGEST_LINE = 300;

/** For a title, an author: one line of bearable length, or null where nothing is left. */
export function cleanLine(text: unknown): string | null {
  if (typeof text !== "string") return null;
  const line = cleanText(text.slice(0, 10 * LONGEST_LINE)).replace(/\s+/g, " ").trim();
  if (line.length <= LONGEST_LINE) return line === "" ? null : line;
  return `${cleanText(line.slice(0, LONGEST_LINE - 1)).replace(/\uFFFD$/, "").trimEnd()}…`;
}

export function isBlank(text: string): boolean {
  return !/\S/.test(text);
}

/** Lines of one paragraph as one text, with the words made whole that are divided at the ends of lines. */
export function joinedLines(lines: string[]): string {
  const pieces: string[] = [];
  lines.forEach((line, index) => {
    const next = lines[index + 1];
    pieces.push(next === undefined ? line : joinable(line, next));
  });
  return pieces.join("");
}

const LAST_WORD = /(\p{L}+)(-|\u2010|\u00AD)$/u;

/** The line with what has to stand between it and the next one. */
function joinable(line: string, next: string): string {
  const [, before = "", hyphen = ""] = LAST_WORD.exec(line.slice(-60)) ?? [];
  if (hyphen === "") return `${line} `;
  const whole = line.slice(0, -1);
  if (hyphen === "\u00AD") return whole;
  const after = /^\p{Ll}+/u.exec(next)?.[0];
  // "Seine-" goes on with "Maritime", "COVID-" with "19".
  if (after === undefined) return /^[\p{L}\d]/u.test(next) ? line : `${line} `;
  return isCompound(whole, before, after) ? `${whole}-` : whole;
}

/** What French joins to a verb with a hyphen, and ends of words that are written with one. */
const ENDINGS = new Set(
  "il elle ils elles on je tu nous vous ce ci là lui leur leurs moi toi soi même mêmes t être dessus dessous dire"
    .split(" "),
);

/** Beginnings of words that are written with a hyphen, in French and in English. */
const BEGINNINGS = new Set(
  ("non self well demi quasi avant après peut rendez celui celle ceux celles arrière là dix vingt trente quarante " +
    "cinquante soixante quatre twenty thirty forty fifty sixty seventy eighty ninety half").split(" "),
);

/** Whether the hyphen is the word's own: an approximation, for the words that are most often met at the end of a line. */
function isCompound(line: string, before: string, after: string): boolean {
  if (ENDINGS.has(after) || BEGINNINGS.has(before.toLowerCase())) return true;
  // "c'est-à-" goes on with "dire"; what is written in capitals is not divided.
  const rest = line.slice(0, -before.length);
  return /\p{L}[-\u2010]$/u.test(rest.slice(-3)) || (before.length > 1 && before === before.toUpperCase());
}

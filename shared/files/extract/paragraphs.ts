import type { Line } from "./pdf-lines.ts";

/** The size of letters that most of a page is written in. */
export function bodySize(lines: Line[]): number {
  const letters = new Map<number, number>();
  for (const { size, text } of lines) {
    const rounded = Math.round(size * 2) / 2;
    letters.set(rounded, (letters.get(rounded) ?? 0) + text.length);
  }
  let [body, most] = [1, 0];
  for (const [size, count] of letters) if (count > most) [body, most] = [size, count];
  return Math.max(body, 0.5);
}

const USUAL_LEADING = 1.2;

/** From one line of a paragraph to the next, in sizes of its letters: the middle of what the page has. */
export function leadingOf(lines: Line[]): number {
  const leadings: number[] = [];
  for (let at = 1; at < lines.length; at++) {
    const [above, line] = [lines[at - 1], lines[at]];
    if (above === undefined || line === undefined || !line.isLevel || !isSameSize(above, line)) continue;
    const leading = (above.y - line.y) / line.size;
    if (leading > 0.8 && leading < 2.5) leadings.push(leading);
  }
  leadings.sort((a, b) => a - b);
  return leadings[Math.floor(leadings.length / 2)] ?? USUAL_LEADING;
}

/** Whether the line belongs to the paragraph whose lines are `open`. */
export function goesOn(open: Line[], line: Line, next: Line | undefined, leading: number): boolean {
  const [first, above] = [open[0], open.at(-1)];
  if (first === undefined || above === undefined) return false;
  if (!above.isLevel || !line.isLevel) return !above.isLevel && !line.isLevel && isSameSize(above, line);
  if (!isSameSize(above, line)) return false;
  const drop = (above.y - line.y) / line.size;
  if (above.cells !== null || line.cells !== null) return false;
  // On one baseline, as words are that are drawn one by one.
  if (Math.abs(drop) < 0.3) return Math.abs(line.x - above.right) < line.size;
  if (drop < 0) return goesOnInNextColumn(above, line);
  if (drop > leading * 1.25 + 0.1 || line.x > above.right || line.right < above.x) return false;
  return !startsItem(line.text) && !isIndented(first, above, line, next) && !endedBefore(open, above, line);
}

const ITEM = /^(?:[•◦▪▫‣⁃●○■□➢➤✓·\uF0A7\uF0B7\uF0D8\uF0FC]|[-–—*]\s|\(?\d{1,3}[.)]\s|\(?[a-z]\)\s)/;

export function startsItem(text: string): boolean {
  return ITEM.test(text);
}

function isSameSize(one: Line, other: Line): boolean {
  return Math.abs(one.size - other.size) <= 0.1 * Math.max(one.size, other.size);
}

/** A paragraph that the end of a column cuts stops within a sentence. */
function goesOnInNextColumn(above: Line, line: Line): boolean {
  return /[\p{Ll},\u2010\u00AD-]$/u.test(above.text) && /^\p{Ll}/u.test(line.text);
}

/** A first line that is set in: the line after it begins again where the one before it did. */
function isIndented(first: Line, above: Line, line: Line, next: Line | undefined): boolean {
  if (startsItem(first.text) || line.x < above.x + 0.6 * line.size) return false;
  return next === undefined || Math.abs(next.x - above.x) < 0.4 * line.size;
}

/** Of a paragraph, how many lines tell how wide it is: one of thousands is not measured anew at each. */
const MOST_MEASURED = 50;

/** The line before ends a sentence, and early: nothing else shows a paragraph where none is spaced or set in. */
function endedBefore(open: Line[], above: Line, line: Line): boolean {
  if (!/[.!?:;…»”"]$/.test(above.text) || !/^[\p{Lu}\d«“"]/u.test(line.text)) return false;
  let [left, right] = [line.x, line.right];
  for (const other of open.slice(-MOST_MEASURED)) {
    [left, right] = [Math.min(left, other.x), Math.max(right, other.right)];
  }
  return above.right < right - 0.25 * (right - left);
}

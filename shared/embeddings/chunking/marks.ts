/**
 * What a line of Markdown is by itself. Each takes a line without its end, and a time that grows with its length only:
 * a line may be twenty megabytes long.
 */

export interface Fence {
  mark: "`" | "~";
  length: number;
  indent: number;
  /** Ends with the quote it is in. */
  isQuoted: boolean;
}

export interface AtxHeading {
  level: number;
  title: string;
}

/** A tab is more than a heading or a quote may be indented by. */
export function indentOf(line: string): number {
  let indent = 0;
  for (; line[indent] === " " || line[indent] === "\t"; indent++) if (line[indent] === "\t") return indent + 4;
  return indent;
}

export function isBlank(line: string): boolean {
  return !/\S/.test(line);
}

export function atxHeading(line: string): AtxHeading | undefined {
  const [opening, { length: level } = ""] = /^ {0,3}(#{1,6})(?![^ \t])/.exec(line) ?? [];
  if (opening === undefined) return undefined;
  return { level, title: titleOf(withoutClosing(line.slice(opening.length).trim())) };
}

/** The level of the heading that the line makes of the paragraph above it. */
export function setextLevel(line: string): number | undefined {
  const underline = line.trim();
  if (indentOf(line) > 3 || underline === "") return undefined;
  if (isRunOf("=", underline)) return 1;
  return isRunOf("-", underline) ? 2 : undefined;
}

/** A title is repeated for every chunk below it: one that goes on and on is cut. */
export function titleOf(text: string): string {
  if (text.length <= LONGEST_TITLE) return text;
  const cut = text.slice(0, LONGEST_TITLE);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}

const LONGEST_TITLE = 300;

/** `## Title ##` is "Title", and `# C#` is "C#". */
function withoutClosing(title: string): string {
  let end = title.length;
  while (title[end - 1] === "#") end--;
  if (end === 0) return "";
  return end < title.length && /[ \t]/.test(title[end - 1] ?? "") ? title.slice(0, end).trimEnd() : title;
}

export function isThematicBreak(line: string): boolean {
  return indentOf(line) <= 3 && /^\s*(?:-[ \t]*){3,}$|^\s*(?:\*[ \t]*){3,}$|^\s*(?:_[ \t]*){3,}$/.test(line.trimEnd());
}

export function isQuote(line: string): boolean {
  return /^ {0,3}>/.test(line);
}

/** How far the item is indented, if the line begins one. */
export function itemIndent(line: string): number | undefined {
  const marker = /^[ \t]*(?:[-*+]|\d{1,9}[.)])(?![^ \t])/.exec(line);
  return marker === null ? undefined : indentOf(line);
}

/** A fence may stand behind the marks of quotes and list items; with four blanks before it, only in a list. */
export function openingFence(line: string, isInList: boolean): Fence | undefined {
  const found = /^((?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t])))*[ \t]*)(`{3,}|~{3,})/.exec(line);
  if (found === null) return undefined;
  const [opening, before = "", { length } = ""] = found;
  const mark = opening.endsWith("`") ? "`" : "~";
  // What looks like ```this``` is a piece of code in a line of text.
  if (mark === "`" && line.includes("`", opening.length)) return undefined;
  const isBare = before.trim() === "";
  if (isBare && !isInList && indentOf(line) > 3) return undefined;
  return { mark, length, indent: before.length, isQuoted: isQuote(line) };
}

export function closesFence(line: string, { mark, length, indent, isQuoted }: Fence): boolean {
  const inside = isQuoted ? line.replace(/^[ \t]*(?:>[ \t]*)+/, "") : line;
  const closing = inside.trim();
  return closing.length >= length && isRunOf(mark, closing) && (isQuoted || indentOf(inside) <= indent + 3);
}

/** The mark that ends a block of HTML in which nothing is Markdown, if the line begins one. */
export function endOfVerbatimHtml(line: string): string | undefined {
  const [, opening, tag] = /^ {0,3}<(?:(!--)|(pre|script|style|textarea)(?![^\s>]))/i.exec(line) ?? [];
  if (opening !== undefined) return "-->";
  return tag === undefined ? undefined : `</${tag.toLowerCase()}>`;
}

/** The line between a table's head and its rows. */
export function isDelimiterRow(line: string): boolean {
  return line.includes("-") && line.includes("|") && /^[ \t|:-]+$/.test(line.trim());
}

function isRunOf(mark: string, text: string): boolean {
  for (const character of text) if (character !== mark) return false;
  return text !== "";
}

import * as marks from "./marks.ts";

/** How strongly two neighbouring blocks belong together, from not at all to parts of one list item. */
export type Bond = "none" | "list" | "item";

/** What is kept in one piece where it fits: a paragraph, a fence, a table, an item of a list, a heading. */
export interface Block {
  kind: "heading" | "front matter" | "text" | "code" | "table";
  /** Where its first line begins and its last one ends; blank lines are between blocks. */
  start: number;
  end: number;
  /** What ties it to the block before it. */
  bond: Bond;
  /** Of a heading. */
  level: number;
  title: string;
}

interface Line {
  start: number;
  /** Where its text ends, and where the next line begins. */
  end: number;
  next: number;
  text: string;
}

/** The blocks of a Markdown text, in order and without gaps other than blank lines. Any text is some Markdown. */
export function* blocksOf(content: string): Generator<Block> {
  const start = content.startsWith(BYTE_ORDER_MARK) ? 1 : 0;
  const reader = new BlockReader(content);
  const frontMatter = endOfFrontMatter(content, start);
  if (frontMatter !== undefined) yield newBlock("front matter", start, frontMatter, "none");
  for (const line of linesOf(content, frontMatter ?? start)) yield* reader.read(line);
  yield* reader.end();
}

const BYTE_ORDER_MARK = "\uFEFF";

class BlockReader {
  readonly #content: string;
  #open: Block | undefined;
  /** How the open block ends, other than by what comes after it. */
  #fence: marks.Fence | undefined;
  #htmlEnd: string | undefined;
  /** How far the outermost items of the list are indented that the lines are in. */
  #listIndent: number | undefined;

  constructor(content: string) {
    this.#content = content;
  }

  *read(line: Line): Generator<Block> {
    if (this.#goesOn(line)) return;
    if (marks.isBlank(line.text)) {
      yield* this.end();
      return;
    }
    yield* this.#readMarked(line);
  }

  *end(): Generator<Block> {
    if (this.#open !== undefined) yield this.#open;
    this.#open = this.#fence = this.#htmlEnd = undefined;
  }

  /** Whether the line is inside of what only a certain line ends. */
  #goesOn({ text, end }: Line): boolean {
    if (this.#open === undefined) return false;
    if (this.#fence !== undefined) {
      if (this.#fence.isQuoted && !marks.isQuote(text)) {
        this.#fence = undefined;
        return false;
      }
      // A blank line at the end of a fence that nobody closes is no part of it.
      if (!marks.isBlank(text)) this.#open.end = end;
      if (marks.closesFence(text, this.#fence)) this.#fence = undefined;
      return true;
    }
    if (this.#htmlEnd === undefined) return false;
    if (!marks.isBlank(text)) this.#open.end = end;
    if (text.toLowerCase().includes(this.#htmlEnd)) this.#htmlEnd = undefined;
    return true;
  }

  *#readMarked(line: Line): Generator<Block> {
    const { text } = line;
    const open = this.#open;
    const fence = marks.openingFence(text, this.#listIndent !== undefined);
    const heading = marks.atxHeading(text);
    const setext = this.#canBeTitle() ? marks.setextLevel(text) : undefined;
    const item = marks.isThematicBreak(text) ? undefined : marks.itemIndent(text);
    if (open !== undefined && setext !== undefined) {
      const title = marks.titleOf(this.#content.slice(open.start, open.end).trim().replace(/\s+/g, " "));
      Object.assign(open, { kind: "heading", end: line.end, level: setext, title });
      yield* this.end();
    } else if (heading !== undefined) {
      this.#listIndent = undefined;
      yield* this.#begin("heading", line);
      Object.assign(this.#open ?? {}, heading);
      yield* this.end();
    } else if (fence !== undefined) {
      yield* this.#begin("code", line, item);
      this.#fence = fence;
    } else if (marks.endOfVerbatimHtml(text) !== undefined) {
      yield* this.#begin("code", line);
      const end = marks.endOfVerbatimHtml(text) ?? "";
      if (!text.toLowerCase().includes(end, marks.indentOf(text) + 4)) this.#htmlEnd = end;
    } else if (this.#begins(line, item)) {
      yield* this.#begin(this.#beginsTable(line) ? "table" : "text", line, item);
      if (marks.isThematicBreak(text)) yield* this.end();
    } else if (open !== undefined) open.end = line.end;
  }

  /** Whether the line is no more of the open block. */
  #begins(line: Line, item: number | undefined): boolean {
    const open = this.#open;
    if (open === undefined || item !== undefined) return true;
    if (open.kind === "table") return marks.isQuote(line.text);
    if (open.kind !== "text") return true;
    if (marks.isThematicBreak(line.text) || this.#beginsTable(line)) return true;
    return marks.isQuote(line.text) && !marks.isQuote(this.#content.slice(open.start, open.start + 4));
  }

  *#begin(kind: Block["kind"], line: Line, item?: number): Generator<Block> {
    yield* this.end();
    this.#open = newBlock(kind, line.start, line.end, this.#bondOf(line, item));
  }

  #bondOf({ text }: Line, item: number | undefined): Bond {
    const indent = marks.indentOf(text);
    if (item !== undefined) {
      const outermost = this.#listIndent;
      if (outermost !== undefined && indent > outermost + 1) return "item";
      // An item that is indented like code is one, where no list is: it does no harm to take it for a list.
      this.#listIndent = indent;
      return outermost === undefined ? "none" : "list";
    }
    if (this.#listIndent === undefined) return "none";
    if (indent > this.#listIndent + 1) return "item";
    this.#listIndent = undefined;
    return "none";
  }

  #canBeTitle(): boolean {
    if (this.#open?.kind !== "text" || this.#listIndent !== undefined) return false;
    const beginning = this.#content.slice(this.#open.start, this.#open.start + 4);
    return !marks.isQuote(beginning) && marks.indentOf(beginning) <= 3;
  }

  #beginsTable({ text, next }: Line): boolean {
    if (!text.includes("|")) return false;
    return marks.isDelimiterRow(lineAt(this.#content, next).text);
  }
}

function newBlock(kind: Block["kind"], start: number, end: number, bond: Bond): Block {
  return { kind, start, end, bond, level: 0, title: "" };
}

/** Where the metadata at the very top ends that many tools put there, if there are some. */
function endOfFrontMatter(content: string, start: number): number | undefined {
  const { text: mark, next } = lineAt(content, start);
  const opening = mark.trimEnd();
  if (opening !== "---" && opening !== "+++") return undefined;
  // What stands after a line drawn across the page is apart from it.
  if (marks.isBlank(lineAt(content, next).text)) return undefined;
  for (const { text, end } of linesOf(content, next)) if (text.trimEnd() === opening) return end;
  return undefined;
}

function* linesOf(content: string, from: number): Generator<Line> {
  for (let start = from; start < content.length;) {
    const line = lineAt(content, start);
    yield line;
    start = line.next;
  }
}

function lineAt(content: string, start: number): Line {
  const feed = content.indexOf("\n", start);
  const next = feed === -1 ? content.length : feed + 1;
  let end = feed === -1 ? content.length : feed;
  if (end > start && content[end - 1] === "\r") end--;
  return { start, end, next, text: content.slice(start, end) };
}

import { HTML_LIMITS, tooManyCells } from "./html-limits.ts";
import { type Attributes, BLOCKS, languageOfCode, textOfImage } from "./html-rules.ts";
import type { Cell } from "./markdown-table.ts";
import { MarkdownWriter } from "./markdown-writer.ts";

interface Table {
  rows: Cell[][];
  /** Whose text goes on between the cells and after the table. */
  outer: MarkdownWriter;
  /** The cell that is open. */
  cell: Pick<Cell, "isHeader" | "columns" | "rows"> | null;
}

const WIDEST_CELL = 50;
const LONGEST_CELL = 1_000;
/** Tables in tables deeper than this are no tables: what is in them would be copied from each to the next. */
const DEEPEST_TABLE = 12;
const INLINE_CODE = new Set(["code", "kbd", "samp", "tt"]);

/** Writes a page as Markdown from its tags as they open and close, each inside of the one before it. */
export class HtmlWriter {
  /** Of the page, or of the cell that is open. */
  #writer = new MarkdownWriter();
  readonly #tables: Table[] = [];
  #cells = 0;
  /** For each open definition list, whether an item of it is. */
  readonly #definitions: boolean[] = [];
  readonly #codeMarks: number[] = [];
  readonly #superscriptMarks: number[] = [];
  /** What stands in the `pre` that is open. */
  #code: { text: string[]; language: string } | null = null;
  /** Of all text that was given. */
  length = 0;
  firstHeading: string | null = null;

  text(text: string): void {
    this.length += text.length;
    if (this.#code === null) this.#writer.text(text);
    else this.#code.text.push(text);
  }

  toString(): string {
    return this.#writer.toString();
  }

  open(tag: string, attributes: Attributes): void {
    if (this.#code !== null) {
      if (tag === "code") this.#code.language ||= languageOfCode(attributes);
      if (tag === "br") this.#code.text.push("\n");
      return;
    }
    if (BLOCKS.has(tag) || tag === "hr" || levelOf(tag) !== null) this.#writer.endBlock();
    switch (tag) {
      case "br":
        return this.#writer.lineBreak();
      case "img":
        return this.#writer.text(` ${textOfImage(attributes)} `);
      case "pre":
        this.#code = { text: [], language: languageOfCode(attributes) };
        return;
      case "ul":
      case "menu":
        return this.#writer.openList(false);
      case "ol":
        return this.#writer.openList(true, startOf(attributes));
      case "li":
        return this.#writer.openItem();
      case "blockquote":
        return this.#writer.openQuote();
      case "dl":
        this.#definitions.push(false);
        return this.#writer.openList(false);
      case "dt":
      case "dd":
        return this.#openDefinition(tag === "dt");
      case "table":
        this.#writer.endBlock();
        this.#tables.push({ rows: [], outer: this.#writer, cell: null });
        return;
      case "tr":
        this.#tables.at(-1)?.rows.push([]);
        return;
      case "td":
      case "th":
        return this.#openCell(tag === "th", attributes);
    }
    if (INLINE_CODE.has(tag)) this.#codeMarks.push(this.#writer.mark);
    if (tag === "sup") this.#superscriptMarks.push(this.#writer.mark);
  }

  close(tag: string): void {
    if (tag === "pre") return this.#closeCode();
    if (this.#code !== null) return;
    const level = levelOf(tag);
    if (level !== null) {
      const heading = this.#writer.endHeading(level);
      if (heading !== "") this.firstHeading ??= heading;
      return;
    }
    if (BLOCKS.has(tag)) this.#writer.endBlock();
    switch (tag) {
      case "ul":
      case "ol":
      case "menu":
        return this.#writer.closeList();
      case "li":
      case "blockquote":
        return this.#writer.closeContainer();
      case "dl":
        if (this.#definitions.pop() === true) this.#writer.closeContainer();
        return this.#writer.closeList();
      case "dt":
      case "dd":
        return this.#writer.endBlock();
      case "td":
      case "th":
        return this.#closeCell();
      case "table": {
        const table = this.#tables.pop();
        return table?.outer.table(table.rows);
      }
    }
    if (INLINE_CODE.has(tag)) this.#writer.codeFrom(this.#codeMarks.pop() ?? this.#writer.mark);
    if (tag === "sup") this.#writer.superscriptFrom(this.#superscriptMarks.pop() ?? this.#writer.mark);
  }

  /** A term is an item, and what it means goes on in it. */
  #openDefinition(isTerm: boolean): void {
    const last = this.#definitions.length - 1;
    if (last === -1) return this.#writer.endBlock();
    const isOpen = this.#definitions[last] === true;
    if (isOpen && !isTerm) return this.#writer.endBlock();
    if (isOpen) this.#writer.closeContainer();
    this.#writer.openItem();
    this.#definitions[last] = true;
  }

  #openCell(isHeader: boolean, attributes: Attributes): void {
    const table = this.#tables.at(-1);
    if (table === undefined || table.cell !== null || this.#tables.length > DEEPEST_TABLE) {
      return this.#writer.endBlock();
    }
    if (++this.#cells > HTML_LIMITS.cells) throw tooManyCells();
    const { colspan, rowspan } = attributes;
    table.cell = { isHeader, columns: spanOf(colspan, WIDEST_CELL), rows: spanOf(rowspan, LONGEST_CELL) };
    if (table.rows.length === 0) table.rows.push([]);
    this.#writer = new MarkdownWriter();
  }

  #closeCell(): void {
    const table = this.#tables.at(-1);
    if (table === undefined || table.cell === null) return this.#writer.endBlock();
    table.rows.at(-1)?.push({ ...this.#writer.toCell(), ...table.cell });
    table.cell = null;
    this.#writer = table.outer;
  }

  #closeCode(): void {
    if (this.#code !== null) this.#writer.code(this.#code.text.join(""), this.#code.language);
    this.#code = null;
  }
}

function levelOf(tag: string): number | null {
  return tag.length === 2 && tag >= "h1" && tag <= "h6" ? Number(tag[1]) : null;
}

function spanOf(said: string | undefined, most: number): number {
  return Math.min(Math.max(1, Number.parseInt(said ?? "1", 10) || 1), most);
}

function startOf({ start }: Attributes): number {
  const number = Number.parseInt(start ?? "1", 10);
  return number >= 0 && number < 1_000_000 ? number : 1;
}

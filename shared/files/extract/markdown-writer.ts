import { type Cell, tableOf } from "./markdown-table.ts";

/** A list item or a quotation that blocks are written in. */
type Container =
  | { kind: "quote" }
  | { kind: "item"; list: List; marker: string; isFresh: boolean };

interface List {
  isOrdered: boolean;
  next: number;
}

/** Deeper than this, lists and quotations go on at the same depth: nobody reads more. */
const DEEPEST = 12;

const SUPERSCRIPTS: Record<string, string> = {
  ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].map((sign, digit) => [`${digit}`, sign])),
  "+": "⁺",
  "-": "⁻",
  "−": "⁻",
  "–": "⁻",
};

/** Puts Markdown together from what a document has, block by block. */
export class MarkdownWriter {
  readonly #out: string[] = [];
  readonly #containers: Container[] = [];
  /** For each that was opened, whether it is written like what is outside of it. */
  readonly #plain: boolean[] = [];
  readonly #lists: List[] = [];
  /** Which list each of the blocks before is part of, outermost: items of one list stand close together. */
  #listBefore: List | undefined;
  #quotesBefore = 0;
  /** The paragraph under way, in pieces: a string that grows by every entity of a long one would be copied each time. */
  #pieces: string[] = [];
  #endsBlank = true;
  /** Whether there is more than paragraphs, which a cell of a table could not hold. */
  #hasStructure = false;

  /** Text of the paragraph that is under way; white space counts as one blank. */
  text(text: string): void {
    const words = text.replace(/\s+/g, " ");
    this.#push(this.#endsBlank && words.startsWith(" ") ? words.slice(1) : words);
  }

  lineBreak(): void {
    if (this.#pieces.length > 0) this.#push("\n");
  }

  #push(piece: string): void {
    if (piece === "") return;
    this.#pieces.push(piece);
    this.#endsBlank = piece.endsWith(" ") || piece.endsWith("\n");
  }

  /** Where in the paragraph the text is, for `codeFrom`. */
  get mark(): number {
    return this.#pieces.length;
  }

  /** Marks as code what was written since. */
  codeFrom(mark: number): void {
    if (mark >= this.#pieces.length) return;
    const code = this.#pieces.splice(mark).join("");
    const isMarkable = code.trim() !== "" && !code.includes("`") && !code.includes("\n");
    this.#push(isMarkable ? `\`${code.trim()}\`${code.endsWith(" ") ? " " : ""}` : code);
  }

  /** Raises what was written since, where it is an exponent or a note: 10⁶ is not 106. */
  superscriptFrom(mark: number): void {
    const before = this.#pieces[mark - 1] ?? "";
    const raised = this.#pieces.slice(mark).join("");
    if (!/[\p{L}\p{N})]$/u.test(before) || !/^[-+−–]?\d{1,10}$/.test(raised)) return;
    this.#pieces.length = mark;
    this.#push(raised.replace(/./g, (sign) => SUPERSCRIPTS[sign] ?? sign));
  }

  /** Ends the paragraph that is under way. */
  endBlock(): void {
    // Where a page breaks the line twice, it means a paragraph.
    for (const text of this.#takeInline().split(/\n{2,}/)) if (text !== "") this.#write(escapedStart(text));
  }

  /** Ends what is under way as a heading, and gives its text. */
  endHeading(level: number): string {
    const text = this.#takeInline().replace(/\n+/g, " ");
    if (text === "") return "";
    this.#hasStructure = true;
    this.#write(`${"#".repeat(level)} ${text}`);
    return text;
  }

  code(text: string, language: string): void {
    this.endBlock();
    const lines = text.replace(/^\n/, "").trimEnd();
    if (lines === "") return;
    this.#hasStructure = true;
    let longest = 2;
    for (const [run] of lines.matchAll(/`{3,}/g)) longest = Math.max(longest, run.length);
    const fence = "`".repeat(longest + 1);
    this.#write(`${fence}${language}\n${lines}\n${fence}`);
  }

  openList(isOrdered: boolean, start = 1): void {
    this.endBlock();
    this.#lists.push({ isOrdered, next: start });
  }

  closeList(): void {
    this.endBlock();
    this.#lists.pop();
  }

  /** An item outside of any list is a paragraph. */
  openItem(): void {
    this.endBlock();
    const list = this.#lists.at(-1);
    const isPlain = list === undefined || this.#containers.length >= DEEPEST;
    this.#plain.push(isPlain);
    if (isPlain) return;
    const marker = list.isOrdered ? `${list.next++}. ` : "- ";
    this.#containers.push({ kind: "item", list, marker, isFresh: true });
  }

  openQuote(): void {
    this.endBlock();
    const isPlain = this.#containers.length >= DEEPEST;
    this.#plain.push(isPlain);
    if (!isPlain) this.#containers.push({ kind: "quote" });
  }

  /** Ends the item or quotation that was opened last. */
  closeContainer(): void {
    this.endBlock();
    if (this.#plain.pop() === false) this.#containers.pop();
  }

  /** Rows of cells, each with what another writer made of it. */
  table(rows: Cell[][]): void {
    this.endBlock();
    const table = tableOf(rows);
    if (table !== null) {
      this.#hasStructure = true;
      this.#write(table);
    } else {
      for (const cell of rows.flat()) if (cell.markdown !== "") this.#write(cell.markdown);
    }
  }

  /** Markdown that stands by itself. */
  block(markdown: string): void {
    this.endBlock();
    if (markdown !== "") this.#write(markdown);
  }

  /** As the cell of a table, which keeps it on one line if it is nothing but paragraphs. */
  toCell(): Pick<Cell, "markdown" | "isPlain"> {
    return { markdown: this.toString(), isPlain: !this.#hasStructure };
  }

  toString(): string {
    this.endBlock();
    return this.#out.join("");
  }

  #takeInline(): string {
    const text = this.#pieces.join("");
    this.#pieces = [];
    this.#endsBlank = true;
    return text.includes("\n") ? text.split("\n").map((line) => line.trim()).join("\n").trim() : text.trim();
  }

  #write(block: string): void {
    const [first, rest] = this.#prefixes();
    const quotes = this.#containers.filter(({ kind }) => kind === "quote").length;
    const innermost = this.#containers.at(-1);
    const outermost = this.#containers.find((container) => container.kind === "item");
    const list = outermost?.kind === "item" ? outermost.list : undefined;
    const isFresh = innermost?.kind === "item" && innermost.isFresh;
    const isClose = isFresh && list === this.#listBefore;
    const between = Math.min(quotes, this.#quotesBefore) > 0 ? rest.trimEnd() : "";
    const separator = this.#out.length === 0 ? "" : isClose ? "\n" : `\n${between}\n`;
    const lines = block.split("\n").map((line, index) => `${index === 0 ? first : rest}${line}`.trimEnd()).join("\n");
    this.#out.push(separator, lines);
    if (this.#containers.length > 0) this.#hasStructure = true;
    this.#listBefore = list;
    this.#quotesBefore = quotes;
    for (const container of this.#containers) if (container.kind === "item") container.isFresh = false;
  }

  /** What stands before the first line of a block, and before its others. */
  #prefixes(): [string, string] {
    let [first, rest] = ["", ""];
    for (const container of this.#containers) {
      if (container.kind === "quote") {
        first += "> ";
        rest += "> ";
      } else {
        const indent = " ".repeat(container.marker.length);
        first += container.isFresh ? container.marker : indent;
        rest += indent;
      }
    }
    return [first, rest];
  }
}

/** Words that Markdown would take for the mark of a heading, a fence or a line; a hyphen or number means a list anyway. */
export function escapedStart(text: string): string {
  return text.replace(/^(#{1,6}(?=\s|$)|`{3}|~{3}|(?:-{3,}|={3,})$)/gm, "\\$1");
}

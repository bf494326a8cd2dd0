import { joinedLines } from "./hyphens.ts";
import { type Cell, tableOf } from "./markdown-table.ts";
import { escapedStart } from "./markdown-writer.ts";
import { bodySize, goesOn, leadingOf, startsItem } from "./paragraphs.ts";
import { type Line, linesOf, type Run } from "./pdf-lines.ts";
import { inReadingOrder } from "./reading-order.ts";

/** The text of a page as Markdown: headings by the size of their letters, paragraphs, items, rows of tables. */
export function pageText(runs: Run[]): string {
  const lines = inReadingOrder(linesOf(runs));
  const layout = { bodySize: bodySize(lines), leading: leadingOf(lines) };
  const blocks: Block[] = [];
  let open: Line[] = [];
  lines.forEach((line, index) => {
    if (open.length > 0 && !goesOn(open, line, lines[index + 1], layout.leading)) {
      blocks.push(blockOf(open, layout.bodySize));
      open = [];
    }
    open.push(line);
  });
  if (open.length > 0) blocks.push(blockOf(open, layout.bodySize));
  const whole = withTables(blocks);
  return whole.map(({ text, isTight }, index) => {
    const before = whole[index - 1];
    return before === undefined ? text : `${isTight && before.isTight ? "\n" : "\n\n"}${text}`;
  }).join("");
}

interface Block {
  text: string;
  /** Rows and items stand close to each other. */
  isTight: boolean;
  cells: string[] | null;
}

/** Rows of as many cells, one after the other, are a table. */
function withTables(blocks: Block[]): Block[] {
  const whole: Block[] = [];
  for (let at = 0; at < blocks.length;) {
    const columns = blocks[at]?.cells?.length;
    let end = at + 1;
    while (columns !== undefined && blocks[end]?.cells?.length === columns) end++;
    const rows = blocks.slice(at, end);
    const table = tableOf(rows.map(({ cells }) => (cells ?? []).map(asCell)));
    if (table !== null) whole.push({ text: table, isTight: false, cells: null });
    else for (const row of rows) whole.push(row);
    at = end;
  }
  return whole;
}

function asCell(markdown: string): Cell {
  return { markdown, isHeader: false, columns: 1, isPlain: true };
}

const LONGEST_HEADING = 200;

function blockOf(lines: Line[], bodySize: number): Block {
  const text = joinedLines(lines.map((line) => line.text)).replace(/\s+/g, " ").trim();
  const [first] = lines;
  const level = first === undefined ? null : headingLevel(first.size / bodySize);
  const isHeading = level !== null && text.length <= LONGEST_HEADING && /\p{L}{2}/u.test(text);
  if (isHeading) return { text: `${"#".repeat(level)} ${text}`, isTight: false, cells: null };
  if (startsItem(text)) return { text: text.replace(BULLET, "- "), isTight: true, cells: null };
  return { text: escapedStart(text), isTight: first?.cells !== null, cells: first?.cells ?? null };
}

/** Signs that programs put before an item, those of fonts of signs among them. */
const BULLET = /^[•◦▪▫‣⁃●○■□➢➤✓·\uF0A7\uF0B7\uF0D8\uF0FC]\s*/;

function headingLevel(ratio: number): number | null {
  if (ratio >= 1.7) return 1;
  if (ratio >= 1.35) return 2;
  return ratio >= 1.12 ? 3 : null;
}

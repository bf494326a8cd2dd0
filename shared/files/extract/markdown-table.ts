import { LIMITS } from "./limits.ts";

/** A cell, with what its content is in Markdown. */
export interface Cell {
  markdown: string;
  isHeader: boolean;
  /** How many columns it goes over. */
  columns: number;
  /** How many rows it goes down; one where that is not said. */
  rows?: number;
  /** Whether it is nothing but paragraphs. */
  isPlain: boolean;
}

/**
 * The rows as a table of Markdown. Null where they are none: many pages arrange headings, lists or whole columns of
 * text in tables, and what is in them reads better one after the other.
 */
export function tableOf(rows: Cell[][]): string | null {
  // A few wide rows must not make thousands of narrow ones wide.
  const most = 8 * rows.reduce((sum, row) => sum + row.length, 0) + 1_000;
  const filled = withRepeats(rows, most).filter((row) => row.some(({ markdown }) => markdown !== ""));
  const width = filled.reduce((widest, row) => Math.max(widest, widthOf(row)), 0);
  if (filled.length < 2 || width < 2 || width > LIMITS.columns) return null;
  if (filled.length * width > most) return null;
  if (filled.some((row) => row.some(({ isPlain }) => !isPlain))) return null;
  const lines = filled.map((row) => lineOf(row, width));
  lines.splice(1, 0, `|${" --- |".repeat(width)}`);
  return lines.join("\n");
}

/** What is repeated from cells that go down several rows may come to so many characters in one table. */
const MOST_REPEATED = 200_000;

/** What stands for cells that a row does not have. */
const EMPTY: Cell = { markdown: "", isHeader: false, columns: 1, isPlain: true };

/** A cell that goes down several rows stands in each of them: so a row makes sense alone, and its cells are in place. */
function withRepeats(rows: Cell[][], most: number): Cell[][] {
  const repeated: Cell[][] = [];
  let [cells, characters] = [0, 0];
  // By the column that it begins in, what goes on from above, and for how many rows.
  let fromAbove = new Map<number, { cell: Cell; left: number }>();
  for (const row of rows) {
    const line: Cell[] = [];
    const below: typeof fromAbove = new Map();
    let [taken, unseen] = [0, fromAbove.size];
    for (let column = 0; taken < row.length || unseen > 0; column += line.at(-1)?.columns ?? 1) {
      if (++cells > most) return rows;
      const above = fromAbove.get(column)?.cell;
      const cell = above ?? row[taken++] ?? EMPTY;
      if (above !== undefined) characters += cell.markdown.length;
      else if (cell.rows !== undefined && cell.rows > 1) below.set(column, { cell, left: cell.rows - 1 });
      // A wide cell may lie over others that go on from above.
      for (let covered = column; covered < column + cell.columns; covered++) {
        const over = fromAbove.get(covered);
        if (over === undefined) continue;
        unseen--;
        if (over.left > 1) below.set(covered, { cell: over.cell, left: over.left - 1 });
      }
      line.push(above !== undefined && characters > MOST_REPEATED ? { ...cell, markdown: "" } : cell);
    }
    repeated.push(row.length === 0 ? [] : line);
    fromAbove = below;
  }
  return repeated;
}

function widthOf(row: Cell[]): number {
  return row.reduce((sum, { columns }) => sum + columns, 0);
}

function lineOf(row: Cell[], width: number): string {
  const texts: string[] = [];
  for (const { markdown, columns } of row) {
    texts.push(markdown.replace(/\s*\n\s*/g, " ").replaceAll("|", "\\|"));
    for (let more = 1; more < columns; more++) texts.push("");
  }
  while (texts.length < width) texts.push("");
  return `| ${texts.join(" | ")} |`;
}

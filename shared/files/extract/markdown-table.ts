import { LIMITS } from "./limits.ts";

/** A cell, with what its content is in Markdown. */
export interface Cell {
  markdown: string;
  isHeader: boolean;
  /** How many columns it goes over. */
  columns: number;
  /** Whether it is nothing but paragraphs. */
  isPlain: boolean;
}

/**
 * The rows as a table of Markdown. Null where they are none: many pages arrange headings, lists or whole columns of
 * text in tables, and what is in them reads better one after the other.
 */
export function tableOf(rows: Cell[][]): string | null {
  const filled = rows.filter((row) => row.some(({ markdown }) => markdown !== ""));
  const width = filled.reduce((widest, row) => Math.max(widest, widthOf(row)), 0);
  if (filled.length < 2 || width < 2 || width > LIMITS.columns) return null;
  // A few wide rows must not make thousands of narrow ones wide.
  const cells = filled.reduce((sum, row) => sum + row.length, 0);
  if (filled.length * width > 8 * cells + 1_000) return null;
  if (filled.some((row) => row.some(({ isPlain }) => !isPlain))) return null;
  const lines = filled.map((row) => lineOf(row, width));
  lines.splice(1, 0, `|${" --- |".repeat(width)}`);
  return lines.join("\n");
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

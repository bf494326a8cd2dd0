import process from "node:process";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { rows: { type: "string" } },
  allowPositionals: true,
});

/** The benchmarks that are asked for; none means all. */
export const names: string[] = positionals;

/** How many rows a benchmark works on: --rows, or the number its aims are meant for. */
export function rowsOr(standard: number): number {
  if (values.rows === undefined) return standard;
  const rows = Number(values.rows);
  if (Number.isInteger(rows) && rows > 0) return rows;
  console.error(`--rows takes a whole number above 0, not "${values.rows}".`);
  process.exit(1);
}

import process from "node:process";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { rows: { type: "string" }, data: { type: "string" } },
  allowPositionals: true,
});

/** The benchmarks that are asked for; none means all. */
export const names: string[] = positionals;

/** Where the data is that is measured on, for benchmarks that need some: --data. */
export const dataPath: string | undefined = values.data;

/** How many rows a benchmark works on: --rows, or the number its aims are meant for. */
export function rowsOr(standard: number): number {
  if (values.rows === undefined) return standard;
  const rows = Number(values.rows);
  if (Number.isInteger(rows) && rows > 0) return rows;
  console.error(`--rows takes a whole number above 0, not "${values.rows}".`);
  process.exit(1);
}

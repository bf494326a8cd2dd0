import type { Field, JsonStep } from "../grammar/names.ts";
import type { Table } from "../schema/facts.ts";
import { name, nothing, type Sql, sql, trusted, value } from "./sql.ts";

/** Rows to take fields from: how SQL refers to them, and the table they are of, where that is known. */
export interface Source {
  reference: Sql;
  table: Table | undefined;
}

export function column(source: Source, column: string): Sql {
  return column === "*" ? sql`${source.reference}.*` : sql`${source.reference}.${name(column)}`;
}

export function fieldOf(source: Source, { name: columnName, path }: Field): Sql {
  const whole = column(source, columnName);
  if (path.length === 0) return whole;
  const type = source.table?.columns.get(columnName)?.type;
  // Arrows work on any column. JSON is left as it is, so that an index on the expression is used.
  const json = type === "json" || type === "jsonb" ? whole : sql`to_jsonb(${whole})`;
  return path.reduce((inner, step) => sql`${inner}${trusted(step.arrow)}${operandOf(step)}`, json);
}

/** Whether full-text search must still make words of this field. */
export function isSearchVector(source: Source, { name, path }: Field): boolean {
  return path.length === 0 && source.table?.columns.get(name)?.type === "tsvector";
}

/** The name under which a field is answered when no alias was given: the last key of its path. */
export function labelOf({ name, path }: Field): string | undefined {
  if (path.length === 0) return undefined;
  const last = path.findLast(({ operand }) => "key" in operand)?.operand;
  return last !== undefined && "key" in last ? last.key : name;
}

export function as(label: string | undefined): Sql {
  return label === undefined ? nothing : sql` as ${name(label)}`;
}

function operandOf({ operand }: JsonStep): Sql {
  return "key" in operand ? value(operand.key) : sql`${value(operand.index)}::int`;
}

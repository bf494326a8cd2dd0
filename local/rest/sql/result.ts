import type { MediaType } from "../media-type.ts";
import type { ReturnType } from "../schema/facts.ts";
import { list, name, nothing, type Sql, sql, value } from "./sql.ts";

/** The one row that every statement of this service gives. */
export interface Result {
  /** All rows there are, when they were counted. */
  total: string | null;
  /** The rows in this answer. */
  rows: string;
  body: string | null;
  /** Of an insertion: how many rows it added. */
  inserted: number | null;
  /** Where the one row inserted is found: `["id=eq.1"]`. */
  location: string[] | null;
  responseHeaders: string | null;
  responseStatus: string | null;
}

interface Wrapped {
  source: Sql;
  /** What is answered: `source` itself, or a selection from it. */
  rows: Sql;
  body: Sql;
  count?: Sql | undefined;
  inserted?: Sql | undefined;
  location?: Sql | undefined;
}

/** Gathers the rows of a statement into one answer, made by Postgres so that every type is written as it writes it. */
export function gather({ source, rows, body, count, inserted, location }: Wrapped): Sql {
  const counted = count === undefined ? nothing : sql`, pgrst_source_count as (${count})`;
  const results = [
    sql`${count === undefined ? sql`null` : sql`(select count(*) from pgrst_source_count)`} as total`,
    sql`count(pgrst_row) as rows`,
    sql`${body} as body`,
    sql`${inserted ?? sql`null`} as inserted`,
    sql`${location ?? sql`null`} as location`,
    sql`nullif(current_setting('response.headers', true), '') as "responseHeaders"`,
    sql`nullif(current_setting('response.status', true), '') as "responseStatus"`,
  ];
  return sql`with pgrst_source as (${source})${counted} select ${list(results)} from (${rows}) as pgrst_row`;
}

export const noBody: Sql = sql`null`;

/** The rows in the form asked for. A function that returns no set has one answer, not a list of one. */
export function bodyOf({ form, withoutNulls }: MediaType, returns?: ReturnType): Sql {
  if (form === "csv") return csv;
  const row = returns !== undefined && returns.kind !== "row" ? sql`pgrst_row.pgrst_scalar` : sql`pgrst_row`;
  const all = withoutNulls ? sql`json_strip_nulls(json_agg(${row}))` : sql`json_agg(${row})`;
  const isSingle = form === "object" || (returns !== undefined && !returns.isSet);
  return isSingle ? sql`coalesce(${all} -> 0, 'null')::text` : sql`coalesce(${all}, '[]')::text`;
}

/** Names from the first row, as they are selected; rows as Postgres writes them, without their parentheses. */
const csv = sql`(
  select coalesce(string_agg(key, ','), '') from json_object_keys(json_agg(pgrst_row) -> 0) as key
) || E'\\n' || coalesce(string_agg(substring(pgrst_row::text, 2, length(pgrst_row::text) - 2), E'\\n'), '')`;

export function locationOf(primaryKey: readonly string[]): Sql {
  if (primaryKey.length === 0) return sql`null`;
  const keys = list(primaryKey.map((key) => value(key)));
  return sql`case when count(pgrst_row) = 1 then (
    select array_agg(key || '=' || coalesce('eq.' || value, 'is.null'))
    from (select row_to_json(inserted) as object from pgrst_source as inserted limit 1) as _
    cross join json_each_text(object)
    where key in (${keys})
  ) end`;
}

/** Stands for the rows of `source` under the name of the table that they are of. */
export function sourceNamed(table: string): { from: Sql; reference: Sql } {
  return { from: sql`pgrst_source as ${name(table)}`, reference: name(table) };
}

export const everyRow: Sql = sql`select * from pgrst_source`;

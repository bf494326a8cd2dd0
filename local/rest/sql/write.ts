import { noColumn } from "../errors.ts";
import type { Payload } from "../payload.ts";
import type { Preferences } from "../preferences.ts";
import type { Column, Table } from "../schema/facts.ts";
import { column } from "./fields.ts";
import { list, name, nothing, type Sql, sql, trusted, value, where } from "./sql.ts";

type JsonPayload = Extract<Payload, { kind: "json" }>;

interface Written {
  table: Table;
  /** The columns to return; none when the answer shows no rows. */
  returning: readonly string[];
}

interface Insertion extends Written {
  payload: JsonPayload;
  preferences: Preferences;
  resolution: Preferences["resolution"];
  /** The columns whose conflict is resolved. */
  conflict: readonly string[];
}

/** Counts the rows inserted, and those merely updated back out, in a setting that lives as long as the transaction. */
const COUNT_INSERTED = counting("+");
const COUNT_UPDATED = counting("-");
export const insertedRows: Sql = sql`coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0)`;

export function insertRows({ table, payload, preferences, resolution, conflict, returning }: Insertion): Sql {
  const columns = columnsOf(table, payload.keys);
  const target = columns.length === 0 ? nothing : sql` (${list(columns.map(([key]) => name(key)))})`;
  const rows = sql`select ${list(columns.map(([key]) => bodyColumn(key)))} ${fromBody(columns, payload, preferences)}`;
  const isMerge = resolution === "merge-duplicates";
  const counted = isMerge ? sql`${rows} where ${COUNT_INSERTED}` : rows;
  const resolved = resolution === undefined ? nothing : onConflict(conflict, columns, isMerge);
  return sql`insert into ${qualified(table)}${target} ${counted}${resolved}${returned(table, returning)}`;
}

interface Change extends Written {
  payload: JsonPayload;
  preferences: Preferences;
  conditions: readonly Sql[];
}

export function updateRows({ table, payload, preferences, conditions, returning }: Change): Sql {
  const columns = columnsOf(table, payload.keys);
  if (columns.length === 0) {
    // `set` needs a column. Nothing is updated, yet the names of the columns must be there to be selected.
    const shown = returning.length === 0 ? [sql`null`] : returning.map((key) => column(sourceOf(table), key));
    return sql`select ${list(shown)} from ${qualified(table)} where false`;
  }
  const assignments = list(columns.map(([key]) => sql`${name(key)} = ${bodyColumn(key)}`));
  return sql`update ${qualified(table)} set ${assignments} ${fromBody(columns, payload, preferences)}${
    where(conditions)
  }${returned(table, returning)}`;
}

export function deleteRows({ table, conditions, returning }: Written & { conditions: readonly Sql[] }): Sql {
  return sql`delete from ${qualified(table)}${where(conditions)}${returned(table, returning)}`;
}

export function qualified({ name: tableName }: { name: string }): Sql {
  return sql`"public".${name(tableName)}`;
}

/** `from` the objects of the body as rows of the types of their columns. */
export function fromBody(
  columns: readonly (readonly [string, Pick<Column, "type" | "default">])[],
  { text, isArray }: Pick<JsonPayload, "text" | "isArray">,
  { missing }: Preferences = {},
): Sql {
  const usesDefaults = missing === "default";
  const json = usesDefaults ? sql`jsonb` : sql`json`;
  const given = sql`(select ${value(text)}::${json} as body) as pgrst_payload`;
  const body = usesDefaults ? sql`pgrst_defaulted.body` : sql`pgrst_payload.body`;
  const rows = columns.length === 0
    // Objects without a key still are as many rows of defaults.
    ? isArray ? sql`select from ${json}_array_elements(${body})` : sql`select`
    : sql`select * from ${json}_to_record${trusted(isArray ? "set" : "")}(${body}) as _(${
      list(columns.map(([key, { type }]) => sql`${name(key)} ${trusted(type)}`))
    })`;
  return sql`from ${given}${
    usesDefaults ? sql`, lateral ${withDefaults(columns, isArray)}` : nothing
  }, lateral (${rows}) as pgrst_body`;
}

/** The body with the default of each column that an object leaves out. */
function withDefaults(columns: readonly (readonly [string, Pick<Column, "default">])[], isArray: boolean): Sql {
  const defaults = columns.flatMap(([key, { default: expression }]) =>
    expression === null ? [] : [sql`${value(key)}::text, ${trusted(expression)}`]
  );
  const filled = (object: Sql) => sql`jsonb_build_object(${list(defaults)}) || ${object}`;
  return isArray
    ? sql`(select jsonb_agg(${
      filled(sql`object`)
    }) as body from jsonb_array_elements(pgrst_payload.body) as object) as pgrst_defaulted`
    : sql`(select ${filled(sql`pgrst_payload.body`)} as body) as pgrst_defaulted`;
}

function onConflict(
  conflict: readonly string[],
  columns: readonly (readonly [string, Column])[],
  isMerge: boolean,
): Sql {
  const target = list(conflict.map(name));
  if (!isMerge || columns.length === 0) return sql` on conflict (${target}) do nothing`;
  const assignments = list(columns.map(([key]) => sql`${name(key)} = excluded.${name(key)}`));
  return sql` on conflict (${target}) do update set ${assignments} where ${COUNT_UPDATED}`;
}

function returned(table: Table, columns: readonly string[]): Sql {
  if (columns.length === 0) return sql` returning 1`;
  return sql` returning ${list(columns.map((key) => column(sourceOf(table), key)))}`;
}

function columnsOf(table: Table, keys: readonly string[]): [string, Column][] {
  return keys.map((key) => {
    const found = table.columns.get(key);
    if (found === undefined) throw noColumn(table.name, key);
    return [key, found];
  });
}

function sourceOf(table: Table) {
  return { reference: qualified(table), table };
}

function bodyColumn(key: string): Sql {
  return sql`pgrst_body.${name(key)}`;
}

function counting(sign: "+" | "-"): Sql {
  const next = trusted(`(coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) ${sign} 1)::text`);
  // Always true: what matters is that it runs once for each row.
  return sql`set_config('pgrst.inserted', ${next}, true) is not null`;
}

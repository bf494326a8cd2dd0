import { queryRefused } from "../errors.ts";
import { rangeOf, type RowRange } from "../range.ts";
import { type Filter, filterValue, logicKey, type LogicTree, logicTree } from "./filters.ts";
import { columnNames, fieldInTree } from "./names.ts";
import { ordering, type OrderTerm } from "./order.ts";
import { optional, parse, ParseFailure, type Parser } from "./parser.ts";
import { selection, type SelectItem } from "./select.ts";

/** Something said of the resource itself (empty path) or of one embedded in it. */
export type At<T> = T & { path: readonly string[] };

/** What the query string asks for. */
export interface Query {
  select: SelectItem[];
  filters: At<{ filter: Filter }>[];
  logic: At<{ tree: LogicTree }>[];
  order: At<{ terms: OrderTerm[] }>[];
  ranges: At<{ range: RowRange }>[];
  columns?: string[] | undefined;
  onConflict?: string[] | undefined;
  /** Arguments of a function called with GET: parameters whose value is no filter. */
  args: [name: string, value: string][];
  /** The parameters sorted, as the `Content-Location` header repeats them. */
  canonical: string;
}

const RESERVED = new Set(["select", "columns", "on_conflict"]);
const RESERVED_AT_ANY_LEVEL = new Set(["order", "limit", "offset", "and", "or"]);

export function parseQuery(parameters: URLSearchParams, options: { readsFunction: boolean }): Query {
  const all = [...parameters];
  const ending = (...words: string[]) => all.filter(([key]) => words.includes(lastWord(key)));
  const conditions = all.filter(([key]) => !RESERVED.has(key) && !RESERVED_AT_ANY_LEVEL.has(lastWord(key)));

  try {
    const order = ending("order").map(([key, text]) => ({
      path: treePath(key),
      terms: parse(ordering, text, `failed to parse order (${text})`),
    }));
    const logic = ending("and", "or").map(([key, text]) => parseLogic(key, text));
    const columns = parseColumns(parameters.get("columns"), "columns");
    const selected = parameters.get("select") ?? "*";
    const select = parse(selection, selected, `failed to parse select parameter (${selected})`);
    const { filters, args } = parseConditions(conditions, options.readsFunction);
    const onConflict = parseColumns(parameters.get("on_conflict"), "on_conflict");
    const ranges = rangesByLevel(ending("limit", "offset"));
    return { select, filters, logic, order, ranges, columns, onConflict, args, canonical: canonical(all) };
  } catch (error) {
    throw error instanceof ParseFailure ? queryRefused(error.message, error.details) : error;
  }
}

function parseLogic(key: string, text: string): At<{ tree: LogicTree }> {
  const { path, operator } = parse(logicKey, key, `failed to parse logic path (${key})`);
  return { path, tree: parse(logicTree, operator + text, `failed to parse logic tree (${text})`) };
}

function parseConditions(conditions: [string, string][], readsFunction: boolean): Pick<Query, "filters" | "args"> {
  const value: Parser<Omit<Filter, "field"> | undefined> = readsFunction ? optional(filterValue) : filterValue;

  const filters: Query["filters"] = [];
  const args: Query["args"] = [];
  for (const [key, text] of conditions) {
    const { path, field } = parse(fieldInTree, key, `failed to parse tree path (${key})`);
    const asserted = parse(value, text, `failed to parse filter (${text})`);
    if (asserted === undefined) args.push([field.name, text]);
    else filters.push({ path, filter: { field, ...asserted } });
  }
  return { filters, args };
}

function parseColumns(text: string | null, parameter: string): string[] | undefined {
  if (text === null) return undefined;
  return [...new Set(parse(columnNames, text, `failed to parse ${parameter} parameter (${text})`))];
}

function rangesByLevel(parameters: [string, string][]): Query["ranges"] {
  const levels = new Map<string, At<{ given: { limit?: string; offset?: string } }>>();
  for (const [key, text] of parameters) {
    const path = treePath(key);
    const level = path.join(".");
    levels.set(level, { path, given: { ...levels.get(level)?.given, [lastWord(key)]: text } });
  }
  return [...levels.values()].map(({ path, given }) => ({ path, range: rangeOf(given) }));
}

/** The resources that lead to a parameter such as `author.books.order`. */
function treePath(key: string): string[] {
  return parse(fieldInTree, key, `failed to parse tree path (${key})`).path;
}

function lastWord(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

function canonical(parameters: [string, string][]): string {
  const sorted = parameters.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  return sorted.map(([key, text]) => `${encodeURIComponent(key)}=${encodeURIComponent(text)}`).join("&");
}

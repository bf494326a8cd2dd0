import { rangeRefused } from "./errors.ts";

/** The rows asked for, by position, both ends included. `last` is Infinity where there is no limit. */
export interface RowRange {
  first: number;
  last: number;
}

/** PostgREST's `db-max-rows` on Supabase: no answer holds more rows. */
export const MAX_ROWS = 1000;

export const ALL_ROWS: RowRange = { first: 0, last: Infinity };

/** What `limit=0` asks for. It is the one empty range that is not a mistake. */
const NO_ROWS: RowRange = { first: 0, last: -1 };

export function rangeOf(given: { limit?: string; offset?: string }): RowRange {
  const first = integer(given.offset) ?? 0;
  const limit = integer(given.limit);
  if (limit === 0) return NO_ROWS;
  return { first, last: limit === undefined ? Infinity : first + limit - 1 };
}

/** The range of the whole request: the `limit` and `offset` parameters within the `Range` header of a GET. */
export function requestedRange(method: string, parameters: RowRange, header: string | null): RowRange {
  const given = method === "GET" ? rangeOfHeader(header) : ALL_ROWS;
  if (given.last < given.first) {
    throw rangeRefused("The lower boundary must be lower than or equal to the upper boundary in the Range header.");
  }
  if (parameters === NO_ROWS) return NO_ROWS;
  const both = { first: Math.max(given.first, parameters.first), last: Math.min(given.last, parameters.last) };
  if (both.last < both.first) throw rangeRefused("Limit should be greater than or equal to zero.");
  return both;
}

export function restricted(range: RowRange): RowRange {
  return { first: range.first, last: Math.min(range.last, range.first + MAX_ROWS - 1) };
}

export function limitOf(range: RowRange): number | undefined {
  return range.last === Infinity ? undefined : range.last - range.first + 1;
}

/** `0-9/*` when the total is not known, and an asterisk for the range where it holds no row. */
export function contentRange(first: number, last: number, total: number | undefined): string {
  const rows = total === 0 || first > last ? "*" : `${first}-${last}`;
  return `${rows}/${total ?? "*"}`;
}

function rangeOfHeader(header: string | null): RowRange {
  const [, first, last] = header?.match(/^(\d+)-(\d*)$/) ?? [];
  return { first: integer(first) ?? 0, last: integer(last) ?? Infinity };
}

function integer(text: string | undefined): number | undefined {
  if (text === undefined || !/^\s*-?\d+\s*$/.test(text)) return undefined;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number(text), Number.MAX_SAFE_INTEGER));
}

import { noTable, rangeRefused } from "../errors.ts";
import { contentRange } from "../range.ts";
import type { RestRequest } from "../request.ts";
import type { SchemaFacts, Table } from "../schema/facts.ts";
import type { Result } from "../sql/result.ts";
import type { Answer } from "../statement.ts";

export function tableNamed(facts: SchemaFacts, name: string): Table {
  const table = facts.tables.get(name);
  if (table === undefined) throw noTable(name, facts.tables.keys());
  return table;
}

/** The answer to whoever reads: 206 when there are known to be more rows, 416 when none are where they were sought. */
export function rowsAnswer({ range }: RestRequest, result: Result, headers: Answer["headers"]): Answer {
  const rows = Number(result.rows);
  const total = result.total === null ? undefined : Number(result.total);
  const shown = contentRange(range.first, range.first + rows - 1, total);
  if (total !== undefined && range.first > total) {
    const details = `An offset of ${range.first} was requested, but there are only ${total} rows.`;
    throw rangeRefused(details, { "Content-Range": shown });
  }
  return {
    status: total !== undefined && rows < total ? 206 : 200,
    body: result.body,
    headers: { "Content-Range": shown, "Content-Profile": "public", ...headers },
  };
}

import { negotiate } from "../media-type.ts";
import { preferencesApplied } from "../preferences.ts";
import { MAX_ROWS } from "../range.ts";
import type { RestRequest } from "../request.ts";
import type { SchemaFacts } from "../schema/facts.ts";
import { countRows, readRows } from "../sql/read.ts";
import { readTree } from "../sql/read-tree.ts";
import { bodyOf, everyRow, gather, noBody } from "../sql/result.ts";
import { type Sql, sql, value } from "../sql/sql.ts";
import { qualified } from "../sql/write.ts";
import type { Statement } from "../statement.ts";
import { rowsAnswer, tableNamed } from "./shared.ts";

export function readStatement(request: RestRequest, facts: SchemaFacts, tableName: string): Statement {
  const { query, range, preferences } = request;
  const table = tableNamed(facts, tableName);
  const tree = readTree(facts, query, {
    tableName,
    table,
    reference: qualified(table),
    from: qualified(table),
    range,
    isWritten: false,
  });
  const media = negotiate(request.headers.get("accept"));
  const rows = countRows(tree);
  const parameters = query.canonical === "" ? "" : `?${query.canonical}`;

  return {
    main: gather({
      source: readRows(tree),
      rows: everyRow,
      body: request.method === "HEAD" ? noBody : bodyOf(media),
      count: countOf(rows, preferences.count),
    }),
    media,
    isReadOnly: true,
    settings: {},
    estimated: preferences.count === "planned" || preferences.count === "estimated" ? rows : undefined,
    answer: (result) =>
      rowsAnswer(request, result, {
        "Content-Location": `/${encodeURIComponent(tableName)}${parameters}`,
        "Content-Type": media.contentType,
        "Preference-Applied": preferencesApplied(preferences, ["count", "handling"]),
      }),
  };
}

/** An estimate is worth more than a count only where there are many rows, so counting stops there. */
function countOf(rows: Sql, count: RestRequest["preferences"]["count"]): Sql | undefined {
  if (count === "exact") return rows;
  return count === "estimated" ? sql`${rows} limit ${value(String(MAX_ROWS + 1))}` : undefined;
}

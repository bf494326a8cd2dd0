import { RestError, tooManyAffected } from "../errors.ts";
import { negotiate } from "../media-type.ts";
import { preferencesApplied } from "../preferences.ts";
import { contentRange } from "../range.ts";
import type { RestRequest } from "../request.ts";
import type { SchemaFacts, Table } from "../schema/facts.ts";
import { filterCondition, logicCondition } from "../sql/conditions.ts";
import { readRows } from "../sql/read.ts";
import { neededColumns, readTree } from "../sql/read-tree.ts";
import { bodyOf, everyRow, gather, locationOf, noBody, type Result, sourceNamed } from "../sql/result.ts";
import type { Sql } from "../sql/sql.ts";
import { deleteRows, insertedRows, insertRows, qualified, updateRows } from "../sql/write.ts";
import type { Statement } from "../statement.ts";
import { tableNamed } from "./shared.ts";

/** How each verb writes, and what its answer says of it. */
export function writeStatement(request: RestRequest, facts: SchemaFacts, tableName: string): Statement {
  const { method, query, preferences, range } = request;
  const table = tableNamed(facts, tableName);
  const tree = readTree(facts, query, { tableName, table, ...sourceNamed(tableName), range, isWritten: true });
  const returning = preferences.return === undefined || preferences.return === "minimal"
    ? []
    : neededColumns(tree, table.primaryKey);
  const source = sourceOf(request, table, returning);
  const media = negotiate(request.headers.get("accept"));
  const isShown = preferences.return === "representation";

  return {
    main: gather({
      source,
      rows: isShown ? readRows(tree) : everyRow,
      body: isShown ? bodyOf(media) : noBody,
      inserted: resolutionOf(request, table) === "merge-duplicates" ? insertedRows : undefined,
      location: method === "POST" && preferences.return === "headers-only" ? locationOf(table.primaryKey) : undefined,
    }),
    media,
    isReadOnly: false,
    settings: {},
    refuse: (result) => {
      if (method !== "POST") refuseTooManyAffected(request, result);
    },
    answer: (result) => ({
      status: statusOf(request, result),
      body: result.body,
      headers: {
        "Content-Range": writtenRange(request, result),
        "Content-Type": isShown ? media.contentType : undefined,
        "Content-Profile": isShown ? "public" : undefined,
        "Location": locationHeader(tableName, result),
        "Preference-Applied": preferencesApplied(preferences, honoured(request, table)),
      },
    }),
  };
}

export function refuseTooManyAffected({ preferences }: RestRequest, { rows }: Result): void {
  const { handling, maxAffected } = preferences;
  if (handling === "strict" && maxAffected !== undefined && Number(rows) > maxAffected) {
    throw tooManyAffected(Number(rows));
  }
}

function sourceOf(request: RestRequest, table: Table, returning: readonly string[]): Sql {
  const { method, payload, preferences } = request;
  if (payload?.kind === "json" && method === "POST") {
    const resolution = resolutionOf(request, table);
    return insertRows({ table, payload, preferences, resolution, conflict: conflictOf(request, table), returning });
  }
  const conditions = conditionsOf(request, table);
  if (payload?.kind === "json") return updateRows({ table, payload, preferences, conditions, returning });
  return deleteRows({ table, conditions, returning });
}

function conditionsOf({ method, query }: RestRequest, table: Table): Sql[] {
  const source = { reference: qualified(table), table };
  const filters = query.filters.filter(({ path }) => path.length === 0).map(({ filter }) => filter);
  const logic = query.logic.filter(({ path }) => path.length === 0).map(({ tree }) => tree);
  if (filters.length + logic.length === 0) {
    // On Supabase the extension safeupdate refuses this, in these words.
    const verb = method === "PATCH" ? "UPDATE" : method;
    throw new RestError(400, "21000", `${verb} requires a WHERE clause`);
  }
  return [
    ...filters.map((filter) => filterCondition(source, filter)),
    ...logic.map((tree) => logicCondition(tree, (filter) => filterCondition(source, filter))),
  ];
}

/** The columns whose conflict an insertion resolves; none where the table has no key. */
function conflictOf({ query }: RestRequest, table: Table): readonly string[] {
  return query.onConflict ?? table.primaryKey;
}

function resolutionOf(request: RestRequest, table: Table): RestRequest["preferences"]["resolution"] {
  const canResolve = request.method === "POST" && conflictOf(request, table).length > 0;
  return canResolve ? request.preferences.resolution : undefined;
}

function statusOf({ method, preferences }: RestRequest, { inserted }: Result): number {
  if (method !== "POST") return preferences.return === "representation" ? 200 : 204;
  // A merge that only updated has created nothing.
  return inserted !== null && inserted <= 0 ? 200 : 201;
}

/** Updates tell how many rows they changed; the others only when asked to count. */
function writtenRange({ method, preferences }: RestRequest, { rows }: Result): string {
  const isCounted = preferences.count === "exact" || preferences.count === "estimated";
  const total = isCounted ? Number(rows) : undefined;
  return method === "PATCH" ? contentRange(0, Number(rows) - 1, total) : contentRange(1, 0, total);
}

function locationHeader(tableName: string, { location }: Result): string | undefined {
  if (location === null || location.length === 0) return undefined;
  const keys = location.map((pair) => {
    const equals = pair.indexOf("=");
    return `${encodeURIComponent(pair.slice(0, equals))}=${encodeURIComponent(pair.slice(equals + 1))}`;
  });
  return `/${encodeURIComponent(tableName)}?${keys.join("&")}`;
}

function honoured(request: RestRequest, table: Table): Parameters<typeof preferencesApplied>[1] {
  if (request.method === "DELETE") return ["return", "count", "handling", "maxAffected"];
  if (request.method === "PATCH") return ["missing", "return", "count", "handling", "maxAffected"];
  const resolves = resolutionOf(request, table) !== undefined;
  return [...(resolves ? ["resolution" as const] : []), "missing", "return", "count", "handling"];
}

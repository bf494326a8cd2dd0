import type pg from "pg";
import type { Caller, Database } from "../database/database.ts";
import { notSingular } from "./errors.ts";
import type { MediaType } from "./media-type.ts";
import { MAX_ROWS } from "./range.ts";
import type { RestRequest } from "./request.ts";
import type { SchemaFacts } from "./schema/facts.ts";
import { settingsOfRole } from "./schema/roles.ts";
import type { Result } from "./sql/result.ts";
import { type Sql, sql } from "./sql/sql.ts";

/** What an answer takes from the database, and what is made of it. */
export interface Statement {
  main: Sql;
  media: MediaType;
  isReadOnly: boolean;
  /** Settings beyond those of every request, such as a function's own time limit. */
  settings: Record<string, string>;
  /** The rows whose number the planner shall estimate. */
  estimated?: Sql | undefined;
  /** Refuses a result: nothing of the transaction stays then. */
  refuse?: (result: Result) => void;
  answer: (result: Result) => Answer;
}

export interface Answer {
  status: number;
  body: string | null;
  headers: Record<string, string | undefined>;
}

/** Runs a statement in one transaction as its caller. */
export async function run(
  database: Database,
  statement: Statement,
  caller: Caller,
  settings: Record<string, string>,
): Promise<Result> {
  return await database.as(caller, async (tx) => {
    const { text, values } = statement.main.compile();
    const { rows: [result] } = await tx.query<Result>(text, values);
    if (result === undefined) throw new Error("A statement of the REST service gave no result");
    if (statement.media.form === "object" && Number(result.rows) !== 1) throw notSingular(Number(result.rows));
    statement.refuse?.(result);
    return statement.estimated === undefined ? result : await withEstimate(tx, statement.estimated, result);
  }, settings);
}

/** The settings that functions and policies read, and the limits that hold for the role. */
export function settingsOf(
  request: RestRequest,
  caller: Caller,
  facts: SchemaFacts,
  statement: Statement,
): Record<string, string> {
  const headers = Object.fromEntries([...request.headers].filter(([name]) => name !== "cookie"));
  return {
    search_path: '"public", "extensions"',
    ...settingsOfRole(facts, caller.role),
    ...(statement.isReadOnly ? { transaction_read_only: "on" } : {}),
    "request.jwt.claims": JSON.stringify({ ...caller.claims, role: caller.role }),
    "request.method": request.method,
    "request.path": request.path,
    "request.headers": JSON.stringify(headers),
    "request.cookies": JSON.stringify(cookiesOf(request.headers.get("cookie"))),
    ...statement.settings,
  };
}

/** The planner's estimate, where no count was taken or the count stopped at the most that an answer holds. */
async function withEstimate(tx: pg.PoolClient, rows: Sql, result: Result): Promise<Result> {
  const counted = result.total === null ? 0 : Number(result.total);
  if (result.total !== null && counted <= MAX_ROWS) return result;
  const { text, values } = sql`explain (format json) ${rows}`.compile();
  const { rows: [plan] } = await tx.query<{ "QUERY PLAN": { Plan: { "Plan Rows": number } }[] }>(text, values);
  const planned = plan?.["QUERY PLAN"][0]?.Plan["Plan Rows"] ?? 0;
  return { ...result, total: String(Math.max(counted, planned)) };
}

function cookiesOf(header: string | null): Record<string, string> {
  const pairs = (header ?? "").split(";").map((pair) => pair.trim()).filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => {
    const [name = "", ...value] = pair.split("=");
    return [name, value.join("=")];
  }));
}

import pg from "pg";
import { raisedErrorRefused, RestError } from "./errors.ts";

/** Says in PostgREST's words what Postgres, or the way to it, refused. */
export function refusalOfDatabase(error: unknown, caller: { isAnonymous: boolean }): RestError | undefined {
  if (error instanceof pg.DatabaseError) {
    if (error.code === "PGRST") return raisedByHand(error);
    const { code = "XX000", detail, hint, message } = error;
    const status = statusOf(code, message, caller.isAnonymous);
    const headers: Record<string, string> = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
    return new RestError(status, code, message, { details: detail, hint, headers, cause: error });
  }
  if (!(error instanceof Error) || !isConnectionFailure(error)) return undefined;
  const details = error instanceof AggregateError ? error.errors.map(String).join(", ") : error.message;
  return new RestError(503, "PGRST000", "Database connection error. Retrying the connection.", {
    details,
    cause: error,
  });
}

/** Statuses by the beginning of the SQLSTATE: the longest that fits counts. */
const STATUS_BY_SQLSTATE: Record<string, number> = {
  "08": 503,
  "09": 500,
  "0L": 403,
  "0P": 403,
  "21000": 500,
  "23503": 409,
  "23505": 409,
  "25": 500,
  "25006": 405,
  "28": 403,
  "2D": 500,
  "38": 500,
  "39": 500,
  "3B": 500,
  "40": 500,
  "42883": 404,
  "42P01": 404,
  "42P17": 500,
  "53": 503,
  "53400": 500,
  "54": 500,
  "55": 500,
  "57": 500,
  "57P01": 503,
  "58": 500,
  "F0": 500,
  "HV": 500,
  "P0": 500,
  "P0001": 400,
  "XX": 500,
};

function statusOf(code: string, message: string, isAnonymous: boolean): number {
  // `raise sqlstate 'PT402'` chooses the status itself.
  if (code.startsWith("PT")) {
    const status = Number(code.slice(2));
    return status >= 200 && status <= 599 ? status : 500;
  }
  // Signing in may help where the caller is nobody in particular.
  if (code === "42501") return isAnonymous ? 401 : 403;
  if (code === "21000" && message.endsWith("requires a WHERE clause")) return 400;
  if (code === "22023" && /^role .* does not exist$/s.test(message)) return 401;
  return STATUS_BY_SQLSTATE[code] ?? STATUS_BY_SQLSTATE[code.slice(0, 2)] ?? 400;
}

/**
 * `raise sqlstate 'PGRST' using message = '{"code",…}', detail = '{"status",…}'` controls the whole answer.
 */
function raisedByHand({ message, detail }: pg.DatabaseError): RestError {
  const body = objectOf(message);
  if (typeof body?.code !== "string" || typeof body.message !== "string") {
    return raisedErrorRefused(
      `Invalid JSON value for MESSAGE: '${message}'`,
      "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.",
    );
  }
  const answer = objectOf(detail);
  const headers = typeof answer?.headers === "object" ? answer.headers : null;
  if (typeof answer?.status !== "number" || answer.status < 200 || answer.status > 599 || headers === null) {
    return raisedErrorRefused(
      detail === undefined ? "DETAIL is missing in the RAISE statement" : `Invalid JSON value for DETAIL: '${detail}'`,
      "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.",
    );
  }
  const hint = typeof body.hint === "string" ? body.hint : null;
  const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  return new RestError(answer.status, body.code, body.message, { details: body.details, hint, headers: named });
}

function objectOf(json: string | undefined): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(json ?? "null");
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The driver tells by system code, or in words alone, that it cannot reach Postgres or has lost it. */
function isConnectionFailure(error: Error): boolean {
  const code = "code" in error ? error.code : undefined;
  return (typeof code === "string" && /^E[A-Z]+$/.test(code)) ||
    /^Connection terminated|connection error|timeout exceeded/.test(error.message);
}

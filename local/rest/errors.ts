import type { Routine } from "./schema/facts.ts";
import { hintForFunction, hintForRelationship, hintForTable } from "./hints.ts";

/** A refusal as PostgREST words it: the body of the answer, its status and headers. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly code: string;
  readonly status: number;
  readonly details: unknown;
  readonly hint: string | null;
  readonly headers: Record<string, string>;
  /** What is missing may have been created since the schema was read. */
  readonly mayBeStale: boolean;

  constructor(status: number, code: string, message: string, more: ErrorDetails = {}) {
    super(message, { cause: more.cause });
    this.code = code;
    this.status = status;
    this.details = more.details ?? null;
    this.hint = more.hint ?? null;
    this.headers = more.headers ?? {};
    this.mayBeStale = more.mayBeStale ?? code.startsWith("PGRST2");
  }

  toResponse(): Response {
    const { code, details, hint, message } = this;
    const isBodiless = [204, 205, 304].includes(this.status);
    return new Response(isBodiless ? null : JSON.stringify({ code, details, hint, message }), {
      status: this.status,
      headers: {
        "Content-Type": "application/json; charset=utf-8",
        "Proxy-Status": `PostgREST; error=${code}`,
        ...this.headers,
      },
    });
  }
}

interface ErrorDetails extends ErrorOptions {
  details?: unknown;
  hint?: string | null | undefined;
  headers?: Record<string, string>;
  mayBeStale?: boolean;
}

export const queryRefused = (message: string, details: string): RestError =>
  new RestError(400, "PGRST100", message, { details });

export const methodRefusedOnFunction = (method: string): RestError =>
  new RestError(405, "PGRST101", `Cannot use the ${method} method on RPC`);

export const bodyRefused = (message: string): RestError => new RestError(400, "PGRST102", message);

export const rangeRefused = (details: string, headers: Record<string, string> = {}): RestError =>
  new RestError(416, "PGRST103", "Requested range not satisfiable", { details, headers });

export const schemaRefused = (schema: string, exposed: readonly string[]): RestError =>
  new RestError(406, "PGRST106", `Invalid schema: ${schema}`, {
    hint: `Only the following schemas are exposed: ${exposed.join(", ")}`,
  });

export const mediaTypeRefused = (accepted: readonly string[]): RestError =>
  new RestError(406, "PGRST107", `None of these media types are available: ${accepted.join(", ")}`);

export const notEmbedded = (resource: string): RestError =>
  new RestError(400, "PGRST108", `'${resource}' is not an embedded resource in this request`, {
    hint: `Verify that '${resource}' is included in the 'select' query parameter.`,
  });

export const responseHeadersRefused = (): RestError =>
  new RestError(
    500,
    "PGRST111",
    "response.headers guc must be a JSON array composed of objects with a single key and a string value",
  );

export const responseStatusRefused = (): RestError =>
  new RestError(500, "PGRST112", "response.status guc must be a valid status code");

export const notSingular = (rows: number): RestError =>
  new RestError(406, "PGRST116", "Cannot coerce the result to a single JSON object", {
    details: `The result contains ${rows} rows`,
  });

export const methodRefused = (method: string): RestError =>
  new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);

export const relatedOrderRefused = (origin: string, target: string): RestError =>
  new RestError(400, "PGRST118", `A related order on '${target}' is not possible`, {
    details: `'${origin}' and '${target}' do not form a many-to-one or one-to-one relationship`,
  });

export const raisedErrorRefused = (details: string, hint: string): RestError =>
  new RestError(500, "PGRST121", `Could not parse JSON in the "RAISE SQLSTATE 'PGRST'" error`, { details, hint });

export const preferencesRefused = (unknown: readonly string[]): RestError =>
  new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", {
    details: `Invalid preferences: ${unknown.join(", ")}`,
  });

export const aggregatesRefused = (): RestError =>
  new RestError(400, "PGRST123", "Use of aggregate functions is not allowed");

export const tooManyAffected = (rows: number): RestError =>
  new RestError(400, "PGRST124", "Query result exceeds max-affected preference constraint", {
    details: `The query affects ${rows} rows`,
  });

export const pathRefused = (): RestError => new RestError(404, "PGRST125", "Invalid path specified in request URL");

export const notImplemented = (details: string): RestError =>
  new RestError(400, "PGRST127", "Feature not implemented", { details });

export const maxAffectedNeedsSet = (): RestError =>
  new RestError(
    400,
    "PGRST128",
    "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
  );

export function noRelationship(
  origin: string,
  target: string,
  hint: string | undefined,
  related: Iterable<string>,
): RestError {
  const usingHint = hint === undefined ? "" : `' using the hint '${hint}`;
  return new RestError(
    400,
    "PGRST200",
    `Could not find a relationship between '${origin}' and '${target}' in the schema cache`,
    {
      details: `Searched for a foreign key relationship between '${origin}' and '${target}${usingHint}' in the ` +
        "schema 'public', but no matches were found.",
      hint: hintForRelationship(target, related),
    },
  );
}

export function ambiguousRelationship(
  origin: string,
  target: string,
  found: readonly { details: unknown; hint: string }[],
): RestError {
  return new RestError(
    300,
    "PGRST201",
    `Could not embed because more than one relationship was found for '${origin}' and '${target}'`,
    {
      details: found.map(({ details }) => details),
      hint: `Try changing '${target}' to one of the following: ${found.map(({ hint }) => hint).join(", ")}. ` +
        "Find the desired relationship in the 'details' key.",
    },
  );
}

export interface MissingFunction {
  name: string;
  args: readonly string[];
  /** The type of the single unnamed parameter that would also have taken the body of this POST. */
  bodyType: "json/jsonb" | "text" | "xml" | "bytea" | undefined;
  namesakes: readonly Routine[];
  others: Iterable<string>;
}

export function noFunction(missing: MissingFunction): RestError {
  const name = `public.${missing.name}`;
  const takesBodyAlone = missing.bodyType !== undefined && missing.bodyType !== "json/jsonb";
  const args = missing.args.toSorted().join(", ");
  const shown = takesBodyAlone ? "" : args === "" ? " without parameters" : `(${args})`;
  const byName = args === "" ? " without parameters" : ` with parameter${missing.args.length > 1 ? "s" : ""} ${args}`;
  const byBody = missing.bodyType === undefined ? "" : ` with a single unnamed ${missing.bodyType} parameter`;
  const searched = takesBodyAlone ? byBody : byBody === "" ? byName : `${byName} or${byBody}`;
  return new RestError(404, "PGRST202", `Could not find the function ${name}${shown} in the schema cache`, {
    details: `Searched for the function ${name}${searched}, but no matches were found in the schema cache.`,
    hint: takesBodyAlone ? null : hintForFunction(missing),
  });
}

export function ambiguousFunction(candidates: readonly Routine[]): RestError {
  const signatures = candidates.map(({ name, parameters }) =>
    `public.${name}(${parameters.map((parameter) => `${parameter.name} => ${parameter.type}`).join(", ")})`
  );
  return new RestError(
    300,
    "PGRST203",
    `Could not choose the best candidate function between: ${signatures.join(", ")}`,
    {
      hint:
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    },
  );
}

export const noColumn = (table: string, column: string): RestError =>
  new RestError(400, "PGRST204", `Could not find the '${column}' column of '${table}' in the schema cache`);

export const noTable = (table: string, others: Iterable<string>): RestError =>
  new RestError(404, "PGRST205", `Could not find the table 'public.${table}' in the schema cache`, {
    hint: hintForTable(table, others),
  });

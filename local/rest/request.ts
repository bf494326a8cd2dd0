import { methodRefused, methodRefusedOnFunction, pathRefused, schemaRefused } from "./errors.ts";
import { parseQuery, type Query } from "./grammar/query.ts";
import { type Payload, readPayload } from "./payload.ts";
import { parsePreferences, type Preferences } from "./preferences.ts";
import { ALL_ROWS, requestedRange, type RowRange } from "./range.ts";

/** A request, understood as far as that is possible without knowing the schema. */
export interface RestRequest {
  resource: Resource;
  method: Method;
  /** Without `/rest/v1`, as PostgREST sees it behind the platform's gateway. */
  path: string;
  headers: Headers;
  preferences: Preferences;
  query: Query;
  range: RowRange;
  payload: Payload | undefined;
}

export type Resource = { kind: "root" } | { kind: "table"; name: string } | { kind: "function"; name: string };
export type Method = "GET" | "HEAD" | "POST" | "PATCH" | "DELETE";

const PREFIX = "/rest/v1";
const EXPOSED_SCHEMAS = ["public"];

const METHODS: Record<Resource["kind"], readonly string[]> = {
  root: ["GET", "HEAD"],
  table: ["GET", "HEAD", "POST", "PATCH", "DELETE"],
  function: ["GET", "HEAD", "POST"],
};

export async function understand(request: Request): Promise<RestRequest> {
  const { headers } = request;
  const url = new URL(request.url);
  const path = url.pathname.startsWith(PREFIX) ? url.pathname.slice(PREFIX.length) : url.pathname;
  const resource = resourceAt(path);
  refuseOtherSchemas(request);
  const method = methodOn(resource, request.method);

  const isRead = method === "GET" || method === "HEAD";
  const query = parseQuery(url.searchParams, { readsFunction: resource.kind === "function" && isRead });
  const parameters = query.ranges.find(({ path }) => path.length === 0)?.range ?? ALL_ROWS;
  const range = requestedRange(method, parameters, headers.get("range"));
  const payload = method === "POST" || method === "PATCH"
    ? await readPayload(request, { columns: query.columns, callsFunction: resource.kind === "function" })
    : undefined;
  const preferences = parsePreferences(headers.get("prefer"));
  return { resource, method, path: path || "/", headers, preferences, query, range, payload };
}

function resourceAt(path: string): Resource {
  const [first, second, ...others] = path.split("/").filter((part) => part !== "").map(decoded);
  if (first === undefined) return { kind: "root" };
  if (second === undefined && first !== "rpc") return { kind: "table", name: first };
  if (first === "rpc" && second !== undefined && others.length === 0) return { kind: "function", name: second };
  throw pathRefused();
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) throw pathRefused();
    throw error;
  }
}

function refuseOtherSchemas({ method, headers }: Request): void {
  const header = method === "GET" || method === "HEAD" ? "accept-profile" : "content-profile";
  const schema = headers.get(header) ?? EXPOSED_SCHEMAS[0] ?? "";
  if (!EXPOSED_SCHEMAS.includes(schema)) throw schemaRefused(schema, EXPOSED_SCHEMAS);
}

function methodOn(resource: Resource, method: string): Method {
  if (METHODS[resource.kind].includes(method)) return method as Method;
  throw resource.kind === "function" ? methodRefusedOnFunction(method) : methodRefused(method);
}

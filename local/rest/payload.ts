import { bodyRefused } from "./errors.ts";

/** The body of a request that writes or calls. */
export type Payload =
  /** JSON as it came, for Postgres to read: parsing it here would round large numbers. */
  | { kind: "json"; text: string; isArray: boolean; keys: readonly string[] }
  /** Form fields, for the arguments of a function. */
  | { kind: "form"; fields: [name: string, value: string][] }
  /** For a function whose single parameter takes the body as it is. */
  | { kind: "raw"; type: "text" | "xml" | "bytea"; body: string | Uint8Array };

const RAW_TYPES = new Map(
  [["text/plain", "text"], ["text/xml", "xml"], ["application/octet-stream", "bytea"]] as const,
);

interface Wanted {
  /** The `columns` parameter: with it, the objects of the body need not have the same keys. */
  columns: readonly string[] | undefined;
  callsFunction: boolean;
}

export async function readPayload(request: Request, wanted: Wanted): Promise<Payload> {
  const contentType = request.headers.get("content-type") ?? "application/json";
  const mediaType = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";

  if (mediaType === "application/json") return jsonPayload(await request.text(), wanted);
  if (mediaType === "application/x-www-form-urlencoded") {
    const fields = [...new URLSearchParams(await request.text())];
    if (wanted.callsFunction) return { kind: "form", fields };
    return jsonPayload(JSON.stringify(Object.fromEntries(fields)), wanted);
  }
  const rawType = RAW_TYPES.get(mediaType as "text/plain");
  if (rawType !== undefined && wanted.callsFunction) {
    const body = rawType === "bytea" ? new Uint8Array(await request.arrayBuffer()) : await request.text();
    return { kind: "raw", type: rawType, body };
  }
  throw bodyRefused(`Content-Type not acceptable: ${mediaType}`);
}

function jsonPayload(text: string, { columns, callsFunction }: Wanted): Payload {
  const isArray = !text.trimStart().startsWith("{");
  if (columns !== undefined) return { kind: "json", text, isArray, keys: columns };
  if (text === "" && callsFunction) return { kind: "json", text: "{}", isArray: false, keys: [] };

  const parsed = parseJson(text);
  if (Array.isArray(parsed)) return { kind: "json", text, isArray: true, keys: sharedKeys(parsed) };
  if (isObject(parsed)) return { kind: "json", text, isArray: false, keys: Object.keys(parsed) };
  // PostgREST takes any other value for no rows at all.
  return { kind: "json", text: "[]", isArray: true, keys: [] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw Object.assign(bodyRefused("Empty or invalid json"), { cause });
  }
}

function sharedKeys(rows: readonly unknown[]): string[] {
  const [first] = rows;
  if (rows.length === 0) return [];
  const keys = isObject(first) ? Object.keys(first) : [];
  const uniform = rows.every((row) =>
    isObject(row) && Object.keys(row).length === keys.length && keys.every((key) => Object.hasOwn(row, key))
  );
  if (!uniform) throw bodyRefused("All object keys must match");
  return keys;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

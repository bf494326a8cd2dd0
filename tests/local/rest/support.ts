import { createClient, type SupabaseClient, type WebSocketLikeConstructor } from "@supabase/supabase-js";
import pg from "pg";
import { signLegacy } from "../../../local/auth/tokens.ts";
import { stack } from "../../support/stack.ts";

/** supabase-js wants one at hand, which Node has since version 22 only; nothing here ever opens it. */
const transport = EventTarget as unknown as WebSocketLikeConstructor;

function client(key: string, token?: string): SupabaseClient {
  return createClient(stack().url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport },
    ...(token === undefined ? {} : { accessToken: () => Promise.resolve(token) }),
  });
}

export function service(): SupabaseClient {
  return client(stack().secretKey);
}

export function anyone(): SupabaseClient {
  return client(stack().publishableKey);
}

/** Somebody signed in, with these claims beside those that every session has. */
export async function signedIn(claims: Record<string, unknown>): Promise<SupabaseClient> {
  return client(stack().publishableKey, await signLegacy({ role: "authenticated", ...claims }));
}

/** A request as it is, for what supabase-js does not show or would not send. */
export async function raw(path: string, { json, ...init }: RequestInit & { json?: unknown } = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("apikey")) headers.set("apikey", stack().secretKey);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  const body = json === undefined ? init.body ?? null : JSON.stringify(json);
  return await fetch(`${stack().url}/rest/v1${path}`, { ...init, headers, body });
}

/** What a refusal says, with its status. */
export async function refusal(response: Response): Promise<Record<string, unknown>> {
  return { status: response.status, ...(await response.json() as object) };
}

/** Runs SQL as the owner of the project. */
export async function sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
  const owner = new pg.Client(stack().databaseUrl);
  await owner.connect();
  try {
    const results = await owner.query<Row>(text);
    return Array.isArray(results) ? results.at(-1).rows : results.rows;
  } finally {
    await owner.end();
  }
}

/** Makes tables and functions, and tells the service as the event trigger does where one can be. */
export async function define(text: string): Promise<void> {
  await sql(`${text}; notify pgrst, 'reload schema';`);
}

import { randomUUID } from "node:crypto";
import { createClient, type SupabaseClient, type WebSocketLikeConstructor } from "@supabase/supabase-js";
import pg from "pg";
import { onTestFinished } from "vitest";
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

export function service(): SupabaseClient["storage"] {
  return client(stack().secretKey).storage;
}

export function anon(): SupabaseClient["storage"] {
  return client(stack().publishableKey).storage;
}

/** Somebody who is signed in. */
export async function person(id: string = randomUUID()): Promise<SupabaseClient["storage"]> {
  const now = Math.floor(Date.now() / 1000);
  const token = await signLegacy({ role: "authenticated", sub: id, aud: "authenticated", iat: now, exp: now + 600 });
  return client(stack().publishableKey, token).storage;
}

/** A bucket for one test; it goes when the test ends. */
export async function newBucket(
  options: Parameters<SupabaseClient["storage"]["createBucket"]>[1] = { public: false },
): Promise<string> {
  const id = bucketName();
  const { error } = await service().createBucket(id, options);
  if (error !== null) throw error;
  onTestFinished(() => dropBucket(id));
  return id;
}

export function bucketName(): string {
  return `storage-test-${randomUUID()}`;
}

export async function dropBucket(id: string): Promise<void> {
  await service().emptyBucket(id);
  await service().deleteBucket(id);
}

/** Lets whom `roles` names do `command` in the bucket; the policy goes when the test ends. */
export async function allow(
  bucket: string,
  command: "select" | "insert" | "update" | "delete" | "all",
  options: { to?: string; when?: string } = {},
): Promise<void> {
  const name = `storage-test-${randomUUID()}`;
  const condition = `bucket_id = '${bucket}' and (${options.when ?? "true"})`;
  const clauses = command === "insert" ? `with check (${condition})` : `using (${condition})`;
  await sql(`create policy "${name}" on storage.objects for ${command} to ${options.to ?? "authenticated"} ${clauses}`);
  onTestFinished(async () => {
    await sql(`drop policy "${name}" on storage.objects`);
  });
}

/** Runs SQL as the owner of the project. */
export async function sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const connection = new pg.Client(stack().databaseUrl);
  await connection.connect();
  try {
    return (await connection.query<Row>(text, values)).rows;
  } finally {
    await connection.end();
  }
}

/** A request as no client library would send it. The path is sent as it stands. */
export async function raw(
  method: string,
  path: string,
  init: RequestInit & { duplex?: "half" } = {},
): Promise<Response> {
  return await fetch(`${stack().url}/storage/v1${path}`, {
    method,
    ...init,
    headers: { apikey: stack().secretKey, ...Object.fromEntries(new Headers(init.headers)) },
  });
}

/** What storage-js answered, or the error that it was refused with. */
export async function given<Answer extends { data: unknown; error: Error | null }>(
  answer: PromiseLike<Answer>,
): Promise<Extract<Answer, { error: null }>["data"]> {
  const { data, error } = await answer;
  if (error !== null) throw error;
  return data;
}

/** The status, code and words of a refusal. */
export async function refusal(
  answer: PromiseLike<{ error: Error | null }>,
): Promise<{ status: unknown; statusCode: unknown; message: string } | null> {
  const { error } = await answer;
  if (error === null) return null;
  const { status, statusCode } = error as Error & { status?: unknown; statusCode?: unknown };
  return { status, statusCode, message: error.message };
}

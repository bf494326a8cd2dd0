import { randomUUID } from "node:crypto";
import {
  createClient,
  type Session,
  type SupabaseClient,
  type User,
  type WebSocketLikeConstructor,
} from "@supabase/supabase-js";
import pg from "pg";
import { stack } from "../support/stack.ts";

export const PASSWORD = "correct horse";

/** supabase-js wants one at hand, which Node has since version 22 only; nothing here ever opens it. */
const transport = EventTarget as unknown as WebSocketLikeConstructor;

/** A client that keeps its session to itself, as one browser does. */
export function newClient(key: string = stack().publishableKey): SupabaseClient {
  return createClient(stack().url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport },
  });
}

export function adminClient(): SupabaseClient {
  return newClient(stack().secretKey);
}

export function newAddress(): string {
  return `${randomUUID()}@people.test`;
}

/** Somebody new who can sign in with PASSWORD. */
export async function newPerson(attributes: { app_metadata?: object; user_metadata?: object } = {}): Promise<User> {
  const { data, error } = await adminClient().auth.admin.createUser({
    email: newAddress(),
    password: PASSWORD,
    email_confirm: true,
    ...attributes,
  });
  if (error !== null) throw error;
  return data.user;
}

export async function signIn(person: User): Promise<{ client: SupabaseClient; session: Session }> {
  const client = newClient();
  const { data, error } = await client.auth.signInWithPassword({ email: person.email ?? "", password: PASSWORD });
  if (error !== null) throw error;
  return { client, session: data.session };
}

export async function refresh(token: string): Promise<Awaited<ReturnType<SupabaseClient["auth"]["refreshSession"]>>> {
  return await newClient().auth.refreshSession({ refresh_token: token });
}

/** Runs SQL as the owner of the project. */
export async function sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(stack().databaseUrl);
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** A request as no client library would send it. */
export async function call(method: string, path: string, options: {
  body?: string;
  headers?: Record<string, string>;
} = {}): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(`${stack().url}/auth/v1${path}`, {
    method,
    headers: { apikey: stack().publishableKey, "content-type": "application/json", ...options.headers },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
}

import { randomBytes, randomUUID } from "node:crypto";
import type pg from "pg";
import { AuthRefusal } from "./refusal.ts";
import { signSession } from "./tokens.ts";
import { presentUser, type User } from "./users.ts";

/** As `supabase start` configures GoTrue, in seconds. */
export const SESSION_TOKEN_LIFETIME = 3600;

/** A session in the database, and the refresh token that is valid for it now. */
export interface Session {
  id: string;
  refreshToken: string;
  /** How and when the person proved who they are. */
  amr: { method: string; timestamp: number }[];
}

export async function startSession(tx: pg.PoolClient, user: User, request: Request): Promise<Session> {
  const id = randomUUID();
  await tx.query(
    `insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent)
     values ($1, $2, now(), now(), 'aal1', $3)`,
    [id, user.id, request.headers.get("user-agent")],
  );
  await tx.query(
    `insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
     values ($1, $2, now(), now(), 'password')`,
    [randomUUID(), id],
  );
  const { rows: [signedIn] } = await tx.query<{ last_sign_in_at: Date }>(
    "update auth.users set last_sign_in_at = now(), updated_at = now() where id = $1 returning last_sign_in_at",
    [user.id],
  );
  user.last_sign_in_at = signedIn?.last_sign_in_at ?? null;
  const refreshToken = await issueRefreshToken(tx, user.id, id);
  return { id, refreshToken, amr: await methodsOf(tx, id) };
}

/** A new refresh token for the session; `parent` is the one it replaces. */
export async function issueRefreshToken(
  tx: pg.PoolClient,
  userId: string,
  sessionId: string,
  parent: string | null = null,
): Promise<string> {
  const token = randomRefreshToken();
  await tx.query(
    `insert into auth.refresh_tokens (instance_id, token, user_id, revoked, parent, session_id, created_at, updated_at)
     values ('00000000-0000-0000-0000-000000000000', $1, $2, false, $3, $4, now(), now())`,
    [token, userId, parent, sessionId],
  );
  return token;
}

export async function methodsOf(tx: pg.PoolClient, sessionId: string): Promise<Session["amr"]> {
  const { rows } = await tx.query<{ method: string; timestamp: number }>(
    `select authentication_method as method, extract(epoch from updated_at)::int as timestamp
     from auth.mfa_amr_claims where session_id = $1 order by updated_at`,
    [sessionId],
  );
  return rows;
}

export type SignOutScope = "global" | "local" | "others";

/** Ends sessions of a user and with them their refresh tokens; for a token that belongs to no session, all of them. */
export async function endSessions(
  tx: pg.PoolClient,
  userId: string,
  scope: SignOutScope,
  sessionId?: string,
): Promise<void> {
  await tx.query(
    `delete from auth.sessions where user_id = $1
     and case $2 when 'local' then id = $3 when 'others' then id <> $3 else true end`,
    [userId, sessionId === undefined ? "global" : scope, sessionId],
  );
}

/** What the client keeps: the access token with GoTrue's claims, the refresh token and the user. */
export async function sessionResponse(user: User, session: Session, issuer: string): Promise<Response> {
  const expiresAt = Math.floor(Date.now() / 1000) + SESSION_TOKEN_LIFETIME;
  const accessToken = await signSession({
    iss: issuer,
    sub: user.id,
    aud: user.aud ?? "",
    email: user.email ?? "",
    phone: user.phone ?? "",
    app_metadata: user.raw_app_meta_data ?? {},
    user_metadata: user.raw_user_meta_data ?? {},
    role: user.role ?? "",
    aal: "aal1",
    amr: session.amr,
    session_id: session.id,
    is_anonymous: user.is_anonymous,
  }, expiresAt);
  return Response.json({
    access_token: accessToken,
    token_type: "bearer",
    expires_in: SESSION_TOKEN_LIFETIME,
    expires_at: expiresAt,
    refresh_token: session.refreshToken,
    user: presentUser(user),
  });
}

export function requireScope(scope: string): SignOutScope {
  if (scope === "") return "global";
  if (scope === "global" || scope === "local" || scope === "others") return scope;
  throw new AuthRefusal(400, "validation_failed", `Unsupported logout scope "${scope}"`);
}

/** Twelve characters of 5 random bits each, the length by which GoTrue knows this kind of token. */
function randomRefreshToken(): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  return Array.from(randomBytes(12), (byte) => alphabet[byte % alphabet.length]).join("");
}

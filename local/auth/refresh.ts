import type pg from "pg";
import { z } from "zod";
import { readBody, text } from "./body.ts";
import type { AuthContext } from "./context.ts";
import { AuthRefusal } from "./refusal.ts";
import { issueRefreshToken, methodsOf, type Session, sessionResponse } from "./sessions.ts";
import { findUserById, isBanned, type User } from "./users.ts";

/** How long several tabs of one browser may still come with a token that one of them has just replaced. */
const REUSE_INTERVAL = "10 seconds";

/** `POST /token?grant_type=refresh_token` */
export async function refreshSession(context: AuthContext, request: Request): Promise<Response> {
  const { refresh_token } = await readBody(request, z.object({ refresh_token: text }));
  if (refresh_token === "") throw new AuthRefusal(400, "validation_failed", "refresh_token required");
  const outcome = await context.transact((tx) => rotate(tx, refresh_token, request.headers.get("user-agent")));
  // Refused only now: the end of a session whose token was stolen must be committed, not rolled back.
  if (outcome instanceof AuthRefusal) throw outcome;
  return await sessionResponse(outcome.user, outcome.session, context.issuer);
}

/**
 * Replaces the token by a new one. A token that was replaced before is a sign of theft and ends the whole session,
 * but for two innocent cases, which get the session's current token: the answer to the last refresh was lost, so the
 * client comes with the parent of the current token; or the session was refreshed moments ago, by another tab.
 */
async function rotate(
  tx: pg.PoolClient,
  token: string,
  userAgent: string | null,
): Promise<{ user: User; session: Session } | AuthRefusal> {
  const session = await lockSession(tx, token);
  if (session === undefined) {
    return new AuthRefusal(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  }
  const user = await findUserById(tx, session.user_id);
  if (user === undefined || isBanned(user)) {
    return new AuthRefusal(400, "user_banned", "Invalid Refresh Token: User Banned");
  }
  if (session.is_over) return new AuthRefusal(400, "session_expired", "Invalid Refresh Token: Session Expired");

  const { rows: [current] } = await tx.query<{ token: string; parent: string | null }>(
    "select token, parent from auth.refresh_tokens where session_id = $1 and not revoked order by id desc limit 1",
    [session.id],
  );
  let valid = current?.token;
  if (current?.token === token) {
    await tx.query("update auth.refresh_tokens set revoked = true, updated_at = now() where token = $1", [token]);
    valid = await issueRefreshToken(tx, user.id, session.id, token);
  } else if (current?.parent !== token && !session.is_fresh) {
    valid = undefined;
  }
  if (valid === undefined) {
    await tx.query("delete from auth.sessions where id = $1", [session.id]);
    return new AuthRefusal(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
  }

  await tx.query(
    "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now(), user_agent = $2 where id = $1",
    [session.id, userAgent],
  );
  return { user, session: { id: session.id, refreshToken: valid, amr: await methodsOf(tx, session.id) } };
}

interface LockedSession {
  id: string;
  user_id: string;
  is_over: boolean;
  is_fresh: boolean;
}

/** The lock is on the session, never on a token: two refreshes of one session with different tokens must not deadlock. */
async function lockSession(tx: pg.PoolClient, token: string): Promise<LockedSession | undefined> {
  const { rows: [session] } = await tx.query<LockedSession>(
    `select id, user_id, coalesce(not_after < now(), false) as is_over,
       coalesce(refreshed_at at time zone 'utc', created_at) > now() - interval '${REUSE_INTERVAL}' as is_fresh
     from auth.sessions where id = (select session_id from auth.refresh_tokens where token = $1) for update`,
    [token],
  );
  return session;
}

import type { JWTPayload } from "jose";
import type pg from "pg";
import { z } from "zod";
import { metadata, optionalText, readBody, text } from "./body.ts";
import type { AuthContext } from "./context.ts";
import { hashPassword, passwordMatches, requireStrongPassword } from "./passwords.ts";
import { AuthRefusal } from "./refusal.ts";
import { endSessions, requireScope } from "./sessions.ts";
import { TokenError, verifyToken } from "./tokens.ts";
import { updateUser } from "./user-changes.ts";
import { findUserById, presentUser, type User } from "./users.ts";

/** `GET /user` */
export async function showUser(context: AuthContext, request: Request): Promise<Response> {
  const claims = await bearerClaims(request);
  const { user } = await context.transact((tx) => signedInUser(tx, claims));
  if (claims.aud === undefined) {
    throw new AuthRefusal(400, "validation_failed", "Token audience doesn't match request audience");
  }
  return Response.json(presentUser(user));
}

/** `PUT /user` */
export async function changeUser(context: AuthContext, request: Request): Promise<Response> {
  const claims = await bearerClaims(request);
  const body = await readBody(
    request,
    z.object({ email: text, phone: text, password: optionalText, data: metadata, app_metadata: metadata }),
  );
  if (body.password !== undefined) requireStrongPassword(body.password);
  if (body.app_metadata !== undefined) {
    throw new AuthRefusal(403, "not_admin", "Updating app_metadata requires admin privileges");
  }
  const user = await context.transact(async (tx) => {
    const { user, sessionId } = await signedInUser(tx, claims);
    const sameEmail = body.email === "" || body.email.toLowerCase() === user.email;
    const samePhone = body.phone === "" || body.phone === user.phone;
    if (!sameEmail || !samePhone) throw needsMail("Changing an address or a number");
    if (body.password === undefined) return await updateUser(tx, user.id, { userMetadata: body.data });

    if (await passwordMatches(tx, user.id, body.password)) {
      throw new AuthRefusal(422, "same_password", "New password should be different from the old password.");
    }
    const passwordHash = await hashPassword(tx, body.password);
    // Whoever knew the old password must not stay signed in with it.
    await endSessions(tx, user.id, "others", sessionId);
    return await updateUser(tx, user.id, { userMetadata: body.data, passwordHash });
  });
  return Response.json(presentUser(user));
}

/** `POST /logout` */
export async function signOut(context: AuthContext, request: Request): Promise<Response> {
  const claims = await bearerClaims(request);
  const scope = requireScope(new URL(request.url).searchParams.get("scope") ?? "");
  await context.transact(async (tx) => {
    const { user, sessionId } = await signedInUser(tx, claims);
    await endSessions(tx, user.id, scope, sessionId);
  });
  return new Response(null, { status: 204 });
}

/** The claims of the bearer token: signed by this stack and in time. */
export async function bearerClaims(request: Request): Promise<JWTPayload> {
  const [, token] = /^[Bb]earer (\S+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  if (token === undefined) {
    throw new AuthRefusal(401, "no_authorization", "This endpoint requires a Bearer token");
  }
  try {
    return await verifyToken(token);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw new AuthRefusal(
      403,
      "bad_jwt",
      `invalid JWT: unable to parse or verify signature, ${JWT_COMPLAINTS[error.reason]}`,
      { cause: error },
    );
  }
}

const JWT_COMPLAINTS: Record<TokenError["reason"], string> = {
  malformed: "token is malformed",
  invalid: "token signature is invalid",
  expired: "token has invalid claims: token is expired",
  "not yet valid": "token has invalid claims: token is not valid yet",
};

/** Whoever the claims speak of, if they still exist and have not signed out meanwhile. */
async function signedInUser(tx: pg.PoolClient, claims: JWTPayload): Promise<{ user: User; sessionId?: string }> {
  if (!claims.sub) throw new AuthRefusal(403, "bad_jwt", "invalid claim: missing sub claim");
  if (!isUuid(claims.sub)) throw new AuthRefusal(400, "bad_jwt", "invalid claim: sub claim must be a UUID");
  const user = await findUserById(tx, claims.sub);
  if (user === undefined) {
    throw new AuthRefusal(403, "user_not_found", "User from sub claim in JWT does not exist");
  }
  const { session_id: sessionId } = claims;
  if (sessionId === undefined || sessionId === "") return { user };
  if (!isUuid(sessionId)) throw new AuthRefusal(403, "bad_jwt", "invalid claim: session_id claim must be a UUID");
  const { rowCount } = await tx.query("select from auth.sessions where id = $1", [sessionId]);
  if (rowCount === 0) {
    throw new AuthRefusal(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  return { user, sessionId };
}

const uuid = z.guid();

export function isUuid(value: unknown): value is string {
  return uuid.safeParse(value).success;
}

/** What GoTrue would do by mail or text message, neither of which this stack sends. */
export function needsMail(what: string): AuthRefusal {
  return new AuthRefusal(
    422,
    "email_provider_disabled",
    `${what} needs a mail server, which this development stack does not have; use the admin API (auth.admin)`,
  );
}

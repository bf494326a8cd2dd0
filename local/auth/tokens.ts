import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import type { Caller } from "../database/database.ts";
import { JWT_SECRET, SIGNING_KEY } from "../keys.ts";

/** Why a token was refused. Each service says it in its own words and with its own status. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  readonly reason: "malformed" | "invalid" | "expired" | "not yet valid";

  constructor(reason: TokenError["reason"], options?: ErrorOptions) {
    super(`JWT ${reason}`, options);
    this.reason = reason;
  }
}

const hmacSecret = new TextEncoder().encode(JWT_SECRET);
const { d: _privatePart, ...publicKey } = SIGNING_KEY;

/** What `/auth/v1/.well-known/jwks.json` publishes: the public half alone. */
export const PUBLIC_JWKS: JSONWebKeySet = { keys: [{ ...publicKey, key_ops: ["verify"] }] };
const publicKeys = createLocalJWKSet(PUBLIC_JWKS);
let signingKey: ReturnType<typeof importJWK> | undefined;

/** Signs a user's session as `supabase start` does: ES256 with the development key. */
export async function signSession(claims: JWTPayload, expiresAt: number): Promise<string> {
  signingKey ??= importJWK(SIGNING_KEY, "ES256");
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", kid: SIGNING_KEY.kid, typ: "JWT" })
    .setIssuedAt()
    .setExpirationTime(expiresAt)
    .sign(await signingKey);
}

/** Signs a legacy key or a test's own token: HS256 with the JWT secret. */
export async function signLegacy(claims: JWTPayload): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(hmacSecret);
}

/** The claims of a token signed with either key of the stack. */
export async function verifyToken(token: string): Promise<JWTPayload> {
  try {
    const { alg } = decodeProtectedHeader(token);
    const { payload } = alg === "HS256"
      ? await jwtVerify(token, hmacSecret, { algorithms: ["HS256"] })
      : await jwtVerify(token, publicKeys, { algorithms: ["ES256"] });
    return payload;
  } catch (cause) {
    throw new TokenError(reasonOf(cause), { cause });
  }
}

/** Whoever sent this request, by its bearer token; nobody in particular without one. */
export async function callerOf(request: Request): Promise<Caller> {
  const header = request.headers.get("authorization");
  const token = header === null ? "" : header.replace(/^bearer\s+/i, "").trim();
  if (token === "") return { role: "anon", claims: { role: "anon" } };
  const claims = await verifyToken(token);
  return { role: typeof claims.role === "string" ? claims.role : "anon", claims: { ...claims } };
}

/** Signed by someone else, or in a way that this stack does not sign: `alg: none` among them. */
const SIGNATURE_ERRORS = [
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
];

function reasonOf(cause: unknown): TokenError["reason"] {
  if (cause instanceof errors.JWTExpired) return "expired";
  if (cause instanceof errors.JWTClaimValidationFailed) return cause.claim === "nbf" ? "not yet valid" : "invalid";
  if (SIGNATURE_ERRORS.some((error) => cause instanceof error)) return "invalid";
  return "malformed";
}

import { decodeProtectedHeader } from "jose";
import { TokenError, verifyToken } from "../auth/tokens.ts";
import { type FailureCode, FunctionFailure } from "./failures.ts";

/**
 * The check that `verify_jwt = true` asks for. It proves that the caller belongs to this project, not who it is: a
 * publishable key passes. A bearer token counts before the apikey, unless it is itself a key rather than a JWT.
 */
export async function refuseStrangers(request: Request, keys: ReadonlySet<string>): Promise<void> {
  const authorization = request.headers.get("authorization");
  const apikey = request.headers.get("apikey");
  if (authorization === null && apikey === null) throw new FunctionFailure("UNAUTHORIZED_NO_AUTH_HEADER");

  const bearer = authorization?.match(/^Bearer (\S+)$/)?.[1];
  const token = bearer === undefined || bearer.startsWith("sb_") ? apikey : bearer;
  if (token === null) throw malformed(bearer);
  if (token === apikey && keys.has(apikey)) return;
  await verify(token);
}

function malformed(bearer: string | undefined): FunctionFailure {
  return new FunctionFailure(
    "UNAUTHORIZED_INVALID_JWT_FORMAT",
    bearer === undefined ? "Auth header is not 'Bearer {token}'" : undefined,
  );
}

async function verify(token: string): Promise<void> {
  const algorithm = algorithmOf(token);
  const code = refusalFor(algorithm);
  if (code === "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM") {
    throw new FunctionFailure(code, `Unsupported JWT algorithm ${algorithm}`);
  }
  try {
    await verifyToken(token);
  } catch (cause) {
    if (cause instanceof TokenError) throw new FunctionFailure(code, undefined, { cause });
    throw cause;
  }
}

function algorithmOf(token: string): string {
  try {
    const { alg } = decodeProtectedHeader(token);
    if (alg !== undefined) return alg;
  } catch (cause) {
    throw new FunctionFailure("UNAUTHORIZED_INVALID_JWT_FORMAT", undefined, { cause });
  }
  throw new FunctionFailure("UNAUTHORIZED_INVALID_JWT_FORMAT");
}

function refusalFor(algorithm: string): FailureCode {
  if (algorithm === "HS256") return "UNAUTHORIZED_LEGACY_JWT";
  if (algorithm === "ES256" || algorithm === "RS256") return "UNAUTHORIZED_ASYMMETRIC_JWT";
  return "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM";
}

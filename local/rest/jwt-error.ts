import type { TokenError } from "../auth/tokens.ts";
import { RestError } from "./errors.ts";

/** Says in PostgREST's words why a token was refused. */
export function refusalOfToken({ reason, cause }: TokenError, authorization: string | null): RestError {
  if (reason === "expired" || reason === "not yet valid") return refused("PGRST303", `JWT ${reason}`, cause);
  if (reason === "invalid") {
    return refused(
      "PGRST301",
      "No suitable key or wrong key type",
      cause,
      "None of the keys was able to decode the JWT",
    );
  }
  const token = (authorization ?? "").replace(/^bearer\s+/i, "").trim();
  const parts = token.split(".").length;
  return refused(
    "PGRST301",
    parts === 3 ? "JWT couldn't be decoded" : `Expected 3 parts in JWT; got ${parts}`,
    cause,
  );
}

function refused(code: string, message: string, cause: unknown, details?: string): RestError {
  const challenge = `Bearer error="invalid_token", error_description="${message}"`;
  return new RestError(401, code, message, { details, cause, headers: { "WWW-Authenticate": challenge } });
}

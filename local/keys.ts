import type { JWK } from "jose";

/**
 * The keys and secrets of `supabase start`, so that a client written for one runs on the other.
 * They are public knowledge and protect nothing: the stack listens on 127.0.0.1 alone.
 */
export const PUBLISHABLE_KEY = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
export const SECRET_KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";

/** Signs the legacy keys and any HS256 token that a test or an older client makes. */
export const JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";

/** The development key that `supabase start` signs user sessions with. */
export const SIGNING_KEY = {
  kty: "EC",
  kid: "b81269f1-21d8-4f2e-b719-c2240a840d90",
  use: "sig",
  alg: "ES256",
  crv: "P-256",
  x: "M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4",
  y: "P6IXMvA2WYXSHSOMTBH2jsw_9rrzGy89FjPf6oOsIxQ",
  d: "dIhR8wywJlqlua4y_yMq2SLhlFXDZJBCvFrY1DCHyVU",
} satisfies JWK;

export const ISSUER_PATH = "/auth/v1";

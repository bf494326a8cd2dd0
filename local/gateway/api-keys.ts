import { signLegacy, TokenError, verifyToken } from "../auth/tokens.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../keys.ts";
import { gatewayAnswer } from "./service.ts";

/** The keys that clients may show. A project can have several of each kind. */
export interface ApiKeys {
  publishable: string[];
  secret: string[];
}

export const STANDARD_KEYS: ApiKeys = { publishable: [PUBLISHABLE_KEY], secret: [SECRET_KEY] };

type KeyRole = "anon" | "service_role";

/** Whoever holds this key, and the token that the services understand in its place. */
interface Holder {
  role: KeyRole;
  token: string;
}

export type Identify = (key: string) => Promise<Holder | undefined>;

/** Knows the publishable and secret keys by their text and legacy keys by their signature. */
export function keyring(keys: ApiKeys): Identify {
  const tokens = new Map<KeyRole, Promise<string>>();
  const tokenOf = (role: KeyRole) => {
    const known = tokens.get(role) ?? signLegacy({ iss: "supabase-demo", role, exp: 1983812996 });
    tokens.set(role, known);
    return known;
  };
  return async (key) => {
    if (keys.publishable.includes(key)) return { role: "anon", token: await tokenOf("anon") };
    if (keys.secret.includes(key)) return { role: "service_role", token: await tokenOf("service_role") };
    return await legacyHolder(key);
  };
}

async function legacyHolder(key: string): Promise<Holder | undefined> {
  try {
    const { role } = await verifyToken(key);
    return role === "anon" || role === "service_role" ? { role, token: key } : undefined;
  } catch (error) {
    if (error instanceof TokenError) return undefined;
    throw error;
  }
}

/** The key that came with a request: in the header, as supabase-js sends it, or in the URL. */
export function keyOf(request: Request, url: URL): string | null {
  return request.headers.get("apikey") || url.searchParams.get("apikey");
}

/** A token for the services in place of a key: where there is no other token, or the key stands in for one. */
export function authorize(headers: Headers, holder: Holder): void {
  const authorization = headers.get("authorization");
  if (authorization === null || authorization === "" || /^bearer sb_/i.test(authorization)) {
    headers.set("authorization", `Bearer ${holder.token}`);
  }
}

/** Browsers all begin their name like this; the platform looks at nothing else. */
export function isSecretInBrowser(request: Request, key: string | null): boolean {
  const shown = `${key} ${request.headers.get("authorization")}`;
  return shown.includes("sb_secret_") && (request.headers.get("user-agent") ?? "").startsWith("Mozilla/");
}

export const refusals = {
  missing: () =>
    gatewayAnswer(401, {
      message: "No API key found in request",
      hint: "No `apikey` request header or url param was found.",
    }, "UNAUTHORIZED_MISSING_API_KEY"),

  unknown: () =>
    gatewayAnswer(401, {
      message: "Invalid API key",
      hint:
        "Double check the provided API key for typos. This API key might also be owned by another Supabase project.",
    }, "UNAUTHORIZED_INVALID_API_KEY"),

  secretInBrowser: () =>
    gatewayAnswer(401, {
      message: "Forbidden use of secret API key in browser",
      hint:
        "Secret API keys can only be used in a protected environment and should never be used in a browser. Delete this secret API key immediately!",
    }, "UNAUTHORIZED_INVALID_API_KEY_TYPE"),

  serviceRoleOnly: () =>
    gatewayAnswer(401, {
      message: "Invalid API key",
      hint: "Only the `service_role` API key can be used for this endpoint.",
    }, "UNAUTHORIZED_INVALID_API_KEY_TYPE"),
};

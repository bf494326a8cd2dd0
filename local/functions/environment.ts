import { readFileSync } from "node:fs";
import process from "node:process";
import { parseEnv } from "node:util";
import { PUBLIC_JWKS, signLegacy } from "../auth/tokens.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../keys.ts";

export type Environment = Record<string, string>;

/** What hosted functions find in their environment without anyone setting it. */
export async function platformEnvironment(
  project: {
    url: string;
    databaseUrl: string;
    /** By name. Default: the keys of `supabase start` as `default`. */
    publishableKeys?: Record<string, string>;
    secretKeys?: Record<string, string>;
  },
): Promise<Environment> {
  return {
    SUPABASE_URL: project.url,
    SUPABASE_DB_URL: project.databaseUrl,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify(project.publishableKeys ?? { default: PUBLISHABLE_KEY }),
    SUPABASE_SECRET_KEYS: JSON.stringify(project.secretKeys ?? { default: SECRET_KEY }),
    SUPABASE_JWKS: JSON.stringify(PUBLIC_JWKS),
    SUPABASE_ANON_KEY: await legacyKey("anon"),
    SUPABASE_SERVICE_ROLE_KEY: await legacyKey("service_role"),
    SB_REGION: "local",
  };
}

/** The variables of the developer's own environment that functions may see: these and no others. */
export function passedThrough(names: RegExp, from: NodeJS.ProcessEnv = process.env): Environment {
  return definedOf(from, (name) => names.test(name));
}

/** `supabase/functions/.env`. As with the official CLI, it cannot set what the platform sets. */
export function readEnvironmentFile(path: string): Environment {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw error;
  }
  return definedOf(parseEnv(text), (name) => !name.startsWith("SUPABASE_"));
}

/** The publishable and secret keys that this environment tells functions of. */
export function keysOf(environment: Environment): Set<string> {
  return new Set(["SUPABASE_PUBLISHABLE_KEYS", "SUPABASE_SECRET_KEYS"].flatMap((name) => {
    const keys: unknown = JSON.parse(environment[name] ?? "{}");
    return Object.values(keys ?? {}).filter((key) => typeof key === "string");
  }));
}

/** The very token that `supabase start` prints. */
function legacyKey(role: string): Promise<string> {
  return signLegacy({ iss: "supabase-demo", role, exp: 1983812996 });
}

function definedOf(variables: NodeJS.Dict<string>, isWanted: (name: string) => boolean): Environment {
  const wanted: Environment = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined && isWanted(name)) wanted[name] = value;
  }
  return wanted;
}

import { RestError } from "../errors.ts";
import type { Role, SchemaFacts } from "./facts.ts";

/** The settings of the role that a token names, if PostgREST, which connects as authenticator, could act as it. */
export function settingsOfRole({ roles }: SchemaFacts, name: string): Role["settings"] {
  const role = roles.get(name);
  if (role === undefined) {
    throw new RestError(401, "22023", `role "${name}" does not exist`, {
      headers: { "WWW-Authenticate": "Bearer" },
      mayBeStale: true,
    });
  }
  if (!role.mayAct) throw new RestError(403, "42501", `permission denied to set role "${name}"`, { mayBeStale: true });
  return role.settings;
}

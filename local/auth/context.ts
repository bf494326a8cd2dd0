import type pg from "pg";
import type { Database } from "../database/database.ts";

/** What every part of `/auth/v1` works with. */
export interface AuthContext {
  transact: Transact;
  /** Who signs the tokens, in their `iss` claim. */
  issuer: string;
}

export type Transact = <T>(work: (tx: pg.PoolClient) => Promise<T>) => Promise<T>;

const AUTH_ADMIN = { role: "supabase_auth_admin", claims: {} };

/** GoTrue acts for nobody: to a trigger, auth.uid(), auth.role() and auth.jwt() are null. */
const SETTINGS = { search_path: "auth", "request.jwt.claims": "", "request.jwt.claim.role": "" };

/**
 * Transactions as the role and search path that GoTrue has on the platform: a trigger on auth.users that works here only
 * because a superuser fired it would fail there. Where the connection may not become that role (a real Supabase, reached
 * as `postgres`), it works with the rights it has.
 */
export function transactionsOf(database: Database): Transact {
  let mayBecomeAuthAdmin: Promise<boolean> | undefined;
  return async (work) => {
    mayBecomeAuthAdmin ??= isMember(database).catch((error) => {
      mayBecomeAuthAdmin = undefined;
      throw error;
    });
    return await mayBecomeAuthAdmin ? await database.as(AUTH_ADMIN, work, SETTINGS) : await database.asStack(work);
  };
}

async function isMember(database: Database): Promise<boolean> {
  const [row] = await database.query<{ member: boolean }>(
    "select pg_has_role(current_user, $1, 'member') as member",
    [AUTH_ADMIN.role],
  );
  return row?.member ?? false;
}

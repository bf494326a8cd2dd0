import type { Database } from "./database.types.ts";
import { DatabaseError } from "./errors.ts";

/** A function that the migrations make for callers; `npm run types` brings the list up to date. */
export type RpcName = keyof Database["public"]["Functions"];

/** Calls one function of the database by its name, with named arguments. */
export type Rpc = (name: RpcName, args?: Record<string, unknown>) => Promise<unknown>;

/** As much of supabase-js as an `Rpc` needs. */
interface RpcClient {
  rpc(name: RpcName, args?: Record<string, unknown>): PromiseLike<{
    data: unknown;
    error: ToldError | null;
    status: number;
  }>;
}

/** A failure as supabase-js tells it. */
interface ToldError {
  message: string;
  code: string;
  hint: string | null;
  details: string | null;
}

/** The rows of a query of supabase-js, or its failure as an error. */
export async function rowsOf(query: PromiseLike<{ data: unknown; error: ToldError | null }>): Promise<unknown> {
  const { data, error } = await query;
  if (error === null) return data;
  throw new DatabaseError(error.message, { details: { code: error.code, hint: error.hint, details: error.details } });
}

/** The database's functions through supabase-js. */
export function rpcOf(client: RpcClient): Rpc {
  return async (name, args = {}) => {
    const { data, error, status } = await client.rpc(name, args);
    if (error !== null) {
      // Below 500 the caller's own request was at fault, and the status says in which way.
      throw new DatabaseError(`${name}: ${error.message}`, {
        status: status >= 400 && status < 500 ? status : 502,
        details: { code: error.code, hint: error.hint, details: error.details },
      });
    }
    return data;
  };
}

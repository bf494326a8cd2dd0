import pg from "pg";
import { DatabaseError } from "../../../shared/platform/errors.ts";
import type { Rpc } from "../../../shared/platform/rpc.ts";

const BIGINT = 20;

/** The database's functions without the API before them, so that what befalls a connection befalls the worker itself. */
export async function rpcOverPg(pool: pg.Pool): Promise<Rpc> {
  const { rows } = await pool.query<{ name: string; types: Record<string, string> }>(`
    select p.proname as name, jsonb_object_agg(a.name, format_type(a.type, null)) as types
    from pg_proc as p
    cross join unnest(p.proargnames, p.proargtypes::oid[]) as a (name, type)
    where p.pronamespace = 'public'::regnamespace and a.type is not null
    group by p.oid`);
  const typesOf = new Map(rows.map(({ name, types }) => [name, types]));
  return async (name, args = {}) => {
    const types = typesOf.get(name) ?? {};
    const given = Object.entries(args);
    const list = given.map(([key], i) => `${key} => $${i + 1}::${types[key]}`).join(", ");
    try {
      const { rows: [row] } = await pool.query<{ value: unknown }>({
        text: `select public.${name}(${list}) as value`,
        values: given.map(([key, value]) => types[key] === "jsonb" ? JSON.stringify(value) : value),
        types: { getTypeParser: (oid: number) => oid === BIGINT ? Number : pg.types.getTypeParser(oid) },
      });
      return row?.value;
    } catch (cause) {
      const message = `${name}: ${cause instanceof Error ? cause.message : String(cause)}`;
      const code = cause instanceof pg.DatabaseError ? cause.code : undefined;
      throw new DatabaseError(message, { cause, details: { code } });
    }
  };
}

import type pg from "pg";

/**
 * How many rows of these tables, of their partitions and of all their indexes are looked at while something is done in an
 * open transaction. Unlike the time it takes, that is the same on every machine.
 */
export async function rowsLookedAt(tx: pg.Client, tables: string[], work: () => Promise<unknown>): Promise<number> {
  const before = await lookedAt(tx, tables);
  await work();
  return await lookedAt(tx, tables) - before;
}

/** The same of one statement, after what is planted; of neither anything stays. */
export async function rowsLookedAtInVain(
  client: pg.Client,
  tables: string[],
  { planted, sql }: { planted: string; sql: string },
): Promise<number> {
  await client.query("begin");
  try {
    await client.query(planted);
    return await rowsLookedAt(client, tables, () => client.query(sql));
  } finally {
    await client.query("rollback");
  }
}

async function lookedAt(tx: pg.Client, tables: string[]): Promise<number> {
  const { rows: [row] } = await tx.query<{ rows: string }>(
    `with used as (
       select t::oid as relation from unnest($1::regclass[]) as t
       union all
       select inhrelid from pg_inherits where inhparent = any ($1::regclass[])
     )
     select sum(pg_stat_get_xact_tuples_returned(r) + pg_stat_get_xact_tuples_fetched(r)) as rows
     from (
       select relation as r from used
       union all
       select indexrelid from pg_index where indrelid in (select relation from used)
     ) as relations`,
    [tables],
  );
  return Number(row?.rows);
}

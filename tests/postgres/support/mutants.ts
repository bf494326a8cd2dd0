import type pg from "pg";

/**
 * The protocol with one of its rules broken, as one might break it by simplifying. A suite that would not notice
 * proves nothing about the real one.
 */
export interface Mutant {
  name: string;
  from: string;
  to: string;
}

export const MUTANTS: Mutant[] = [
  {
    name: "an edit of a leased row is left to whoever has it",
    from: "failed_at = null\n",
    to: "failed_at = null where q.lease_token is null\n",
  },
  {
    name: "an edit of a row that is queued already changes nothing",
    from: "revision = q.revision + 1,",
    to: "revision = q.revision,",
  },
  {
    name: "a finished row is settled whatever was edited meanwhile",
    from: "revision = leased_revision as is_settled",
    to: "true as is_settled",
  },
  {
    name: "a lease does not end with the next one",
    from: "lease_token = gen_random_uuid()",
    to: "lease_token = md5(q.source_id)::uuid",
  },
];

/** Bends every function that holds the rule, those made for a source among them; gives back how to straighten them. */
export async function mutate(client: pg.Client, { from, to }: Mutant): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ definition: string }>(
    `select pg_get_functiondef(oid) as definition
     from pg_proc
     where pronamespace = 'private'::regnamespace and prokind = 'f' and position($1 in prosrc) > 0`,
    [from],
  );
  if (rows.length === 0) throw new Error(`No function holds any longer: ${from}`);
  for (const { definition } of rows) await client.query(definition.replaceAll(from, to));
  return async () => {
    for (const { definition } of rows) await client.query(definition);
  };
}

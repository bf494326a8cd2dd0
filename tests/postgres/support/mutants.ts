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

export const QUEUE_MUTANTS: Mutant[] = [
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
  {
    name: "what is no more in a text stays where it was embedded",
    from: "where c.token = any (writable) and not c.is_unchanged\n        and e.profile",
    to: "where false and c.token = any (writable) and not c.is_unchanged\n        and e.profile",
  },
  {
    name: "a copy is believed to be right though its row has another text",
    from: "'isUnchanged', known.fingerprint is not distinct from wanted.fingerprint",
    to: "'isUnchanged', known.fingerprint is not null",
  },
];

export const PROFILE_MUTANTS: Mutant[] = [
  {
    name: "a row is settled though it has no copy in a profile that came meanwhile",
    from: "and in_use <@ array(",
    to: "or in_use <@ array(",
  },
  {
    name: "a profile is activated before it is complete",
    from: "if wrong > 0 then",
    to: "if false then",
  },
  {
    name: "a row that is queued already is not queued again for a new profile",
    from: "perform private.enqueue_embeddings(source.source_table, ids, 'update', priority => 1);",
    to: "perform null;",
  },
];

/** Bends every function that holds the rule, those made for a source among them; gives back how to straighten them. */
export async function mutate(client: pg.Client, { from, to }: Mutant): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ definition: string }>(
    `select pg_get_functiondef(oid) as definition
     from pg_proc
     where pronamespace in ('private'::regnamespace, 'public'::regnamespace) and prokind = 'f' and position($1 in prosrc) > 0`,
    [from],
  );
  if (rows.length === 0) throw new Error(`No function holds any longer: ${from}`);
  for (const { definition } of rows) await client.query(definition.replaceAll(from, to));
  return async () => {
    for (const { definition } of rows) await client.query(definition);
  };
}

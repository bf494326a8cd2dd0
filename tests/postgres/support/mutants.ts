import type pg from "pg";

/**
 * The protocol with one of its rules broken, as one might break it by simplifying. A suite that would not notice
 * proves nothing about the real one.
 */
export interface Mutant {
  name: string;
  routine: string;
  from: string;
  to: string;
}

export const MUTANTS: Mutant[] = [
  {
    name: "an edit of a leased row is left to whoever has it",
    routine: "private.enqueue_embeddings(text,text[],text,text)",
    from: "failed_at = null\n",
    to: "failed_at = null where q.lease_token is null\n",
  },
  {
    name: "an edit of a row that is queued already changes nothing",
    routine: "private.enqueue_embeddings(text,text[],text,text)",
    from: "revision = q.revision + 1,",
    to: "revision = q.revision,",
  },
  {
    name: "a finished row is settled whatever was edited meanwhile",
    routine: "private.settle(regclass,uuid[])",
    from: "revision = leased_revision as is_settled",
    to: "true as is_settled",
  },
  {
    name: "a lease does not end with the next one",
    routine: "private.claim(regclass,integer,interval,integer)",
    from: "lease_token = gen_random_uuid()",
    to: "lease_token = md5(q.source_id)::uuid",
  },
];

/** Bends the function; gives back how to straighten it again. */
export async function mutate(client: pg.Client, { routine, from, to }: Mutant): Promise<() => Promise<void>> {
  const { rows: [found] } = await client.query<{ definition: string }>(
    "select pg_get_functiondef($1::regprocedure) as definition",
    [routine],
  );
  const definition = found?.definition ?? "";
  if (!definition.includes(from)) throw new Error(`${routine} no longer holds: ${from}`);
  await client.query(definition.replaceAll(from, to));
  return async () => {
    await client.query(definition);
  };
}

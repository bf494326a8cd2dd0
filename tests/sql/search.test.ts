import { expect, test } from "vitest";
import { embedAll, onRows, SMALL } from "./support/embeddings.ts";
import { become, refusalOf, type Session, valueOf } from "./support/session.ts";

interface Hit {
  sourceTable: string;
  sourceId: string;
  score: number;
}

const searching = (limit = 10, sources = "null") =>
  `select public.search_documentation('[1,0]', '${SMALL.name}', ${limit}, ${sources})`;

const find = async (tx: Session, limit?: number, sources?: string): Promise<string[]> =>
  (await valueOf<Hit[]>(tx, searching(limit, sources))).map(({ sourceTable, sourceId }) =>
    `${sourceTable} ${sourceId}`
  );

const onTwoTables = (work: (tx: Session) => Promise<void>) =>
  onRows(async (tx, worker) => {
    await tx.query(`
      create table public.test_others (id int primary key, body text);
      insert into public.test_others values (7, 'seven');
      select public.register_embedding_source('public.test_others', 'body')`);
    await embedAll(worker);
    await work(tx);
  });

test(
  "a source whose expressions fit its table no more is left out of a search, and the others are found",
  onTwoTables(async (tx) => {
    expect(await find(tx)).toHaveLength(4);
    await tx.query("alter table public.test_rows rename column is_public to is_shown");
    expect(await find(tx)).toEqual(["test_others 7"]);
    expect(await find(tx, 1)).toEqual(["test_others 7"]);
  }),
);

test(
  "whoever may see few rows among many finds all of them",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    // Thousands that are nearer and not theirs.
    await tx.query(`
      alter table public.test_rows disable trigger user;
      insert into public.test_rows select n, 'other' from generate_series(4, 11000) as n;
      insert into private.embedded_rows (profile, source_table, source_id, fingerprint, chunk_count, token_count)
      select '${SMALL.name}', 'test_rows', n::text, gen_random_uuid(), 1, 1 from generate_series(4, 11000) as n;
      insert into public.documentation_embeddings
        (source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding)
      select 'test_rows', n::text, '${SMALL.name}', 0, 'other', 'hash ' || n, 1, '[1,0]' from generate_series(4, 11000) as n;
      update public.documentation_embeddings set embedding = '[0,1]' where source_id in ('1', '2', '3');
      alter table public.test_rows enable row level security;
      grant select on public.test_rows to anon, authenticated;
      create policy few on public.test_rows for select to anon using (id <= 3);
      create policy many on public.test_rows for select to authenticated using (id <= 3 or id > 1500)`);
    await become(tx, "anon");
    for (const sources of ["null", "'{test_rows}'"]) {
      expect((await find(tx, 10, sources)).sort()).toEqual(["test_rows 1", "test_rows 2", "test_rows 3"]);
    }
    expect(await find(tx, 2)).toHaveLength(2);
    await become(tx, "authenticated");
    expect(await find(tx, 100)).toHaveLength(100);
  }),
);

test.each([
  [
    `select public.search_documentation(null, '${SMALL.name}')`,
    "query_embedding must be the vector of a question, not null",
  ],
  [
    "select public.search_documentation('[1,0]', null)",
    "profile must be the name that search_profile() gives, not null",
  ],
])("%s is refused", (sql, said) =>
  onRows(async (tx) => {
    expect(await refusalOf(tx, sql)).toMatchObject({ code: "22023", message: said });
  })());

test(
  "whether the budgets pay for a question is told with the profile, and what costs nothing is always paid for",
  onRows(async (tx) => {
    const isAffordable = () => valueOf(tx, "select public.search_profile() -> 'isAffordable'");
    await tx.query("select public.set_setting('embedding_daily_budget_usd', '1')");
    expect(await isAffordable()).toBe(true);
    await tx.query(`select public.account_embedding_usage('${SMALL.name}', 0, $1, false)`, [
      JSON.stringify([{ sourceTable: "search", requests: 1, tokens: 1_000_000 }]),
    ]);
    expect(await isAffordable()).toBe(false);
    await become(tx, "anon");
    expect(await isAffordable()).toBe(false);
    await become(tx, "service_role");
    await tx.query("reset role");
    await tx.query("update private.embedding_profiles set usd_per_million_tokens = 0");
    expect(await isAffordable()).toBe(true);
  }),
);

import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/**
 * Editors and workers at once and at random, with everything that happens in life: bulk edits, key changes, TRUNCATE,
 * rollbacks, unpublishing; workers that die, that outlive their lease, that fail. When all have ended and the queue is
 * empty, every copy agrees with its row.
 */
const EDITORS = 5;
const WORKERS = 5;
const EDITS_EACH = 120;
const KEYS = 12;
const PROFILE = "test:stress:2";

let database: OwnDatabase;
let seed = 20_261_121;

/** The same numbers in each run; what differs is how the sessions happen to meet. */
function random(): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
}
const pick = (n: number) => Math.floor(random() * n);

beforeAll(async () => {
  database = await createOwnDatabase();
  const client = await database.connect();
  await client.query(`
    create table public.leaves (tenant int, id int, body text not null, is_public boolean not null, primary key (tenant, id));
    select public.register_embedding_source('public.leaves', 'body', 'is_public');
    select private.use_embedding_profile('${PROFILE}', 2);
    select public.set_setting('embedding_lease_seconds', '1');
    select public.set_setting('embedding_retry_limit', '20');
    select public.set_setting('embedding_retry_seconds', '0');
  `);
});

afterAll(() => database.drop());

const EDITS: ((n: number) => string)[] = [
  (n) =>
    `insert into public.leaves values (${pick(2)}, ${pick(KEYS)}, 'v${n}', ${random() < 0.8})
          on conflict (tenant, id) do update set body = excluded.body, is_public = excluded.is_public`,
  (n) => `update public.leaves set body = 'v${n}' where tenant = ${pick(2)} and id = ${pick(KEYS)}`,
  (n) => `update public.leaves set body = body || '.${n}' where id between ${pick(KEYS)} and ${pick(KEYS)}`,
  () => `update public.leaves set is_public = not is_public where tenant = ${pick(2)} and id = ${pick(KEYS)}`,
  () => `update public.leaves set id = ${KEYS + pick(KEYS)} where tenant = ${pick(2)} and id = ${pick(KEYS)}`,
  () => `delete from public.leaves where tenant = ${pick(2)} and id = ${pick(KEYS * 2)}`,
  (n) =>
    `insert into public.leaves select ${pick(2)}, g, 'bulk ${n}', true from generate_series(0, ${
      KEYS - 1
    }) as g on conflict do nothing`,
  () => (random() < 0.1 ? "truncate public.leaves" : "delete from public.leaves where id > 18"),
];

/** What two sessions may do to each other in any database: the one that loses is rolled back, and that is that. */
const ORDINARY = new Set(["40P01", "23505"]);

async function edit(editor: number, counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  for (let n = 0; n < EDITS_EACH; n++) {
    try {
      await client.query("begin");
      for (let statements = 1 + pick(3); statements > 0; statements--) {
        const make = EDITS[pick(EDITS.length)] ?? EDITS[0];
        await client.query(make?.(editor * EDITS_EACH + n) ?? "");
      }
      await client.query(random() < 0.15 ? "rollback" : "commit");
      counts.edits = (counts.edits ?? 0) + 1;
    } catch (error) {
      await client.query("rollback");
      const code = error instanceof pg.DatabaseError ? error.code ?? "" : "";
      if (!ORDINARY.has(code)) throw error;
      counts[code] = (counts[code] ?? 0) + 1;
    }
  }
}

/** As if their time were up. One that an edit holds just now is left out: no worker waits for it in life either. */
async function endLeases(client: pg.Client, tokens: string[]): Promise<void> {
  await client.query(
    `update public.embedding_sync_queue set visible_at = clock_timestamp() where lease_token in (
       select lease_token from public.embedding_sync_queue where lease_token = any ($1) for update skip locked)`,
    [tokens],
  );
}

interface Job {
  token: string;
  content: string | null;
}

async function work(isOver: () => boolean, counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  const call = async <T>(sql: string, values: unknown[]): Promise<T> =>
    (await client.query<{ value: T }>(`select ${sql} as value`, values)).rows[0]?.value as T;
  while (!isOver()) {
    const tokens = await call<string[]>("public.claim_embedding_jobs($1, $2, 2)", [1 + pick(6), PROFILE]);
    const jobs = await call<Job[]>("public.read_embedding_jobs($1, $2)", [tokens, PROFILE]);
    const fate = random();
    if (fate < 0.05) {
      // Dies without a word; and its leases end while nobody waits for them.
      await endLeases(client, tokens);
      continue;
    }
    if (fate < 0.1) {
      await call("public.fail_embedding_jobs($1)", [
        JSON.stringify(jobs.map(({ token }) => ({ token, message: "at random" }))),
      ]);
      continue;
    }
    if (fate < 0.2) {
      // Slow: its lease ends before it does.
      await endLeases(client, tokens);
      await client.query("select pg_sleep(0.01)");
    }
    const results = jobs.map(({ token, content }) => ({
      token,
      pieces: content === null ? [] : [{ content, hash: content, tokens: 1, embedding: "[1,1]" }],
    }));
    const outcomes = await call<Record<string, string>>("public.finish_embedding_jobs($1, $2)", [
      PROFILE,
      JSON.stringify(results),
    ]);
    for (const outcome of Object.values(outcomes)) counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
}

it("whatever editors and workers do to each other, every copy agrees with its row in the end", async () => {
  const counts: Record<string, number> = {};
  let isOver = false;
  const observer = await database.connect();
  const workers = Array.from({ length: WORKERS }, () => work(() => isOver, counts));
  await Promise.all(Array.from({ length: EDITORS }, (_, editor) => edit(editor, counts)));
  await expect.poll(async () => {
    const { rows: [open] } = await observer.query<{ n: number }>(
      "select count(*)::int as n from public.embedding_sync_queue where source_table = 'leaves' and status in ('pending', 'processing')",
    );
    return open?.n;
  }, { timeout: 60_000, interval: 50 }).toBe(0);
  isOver = true;
  await Promise.all(workers);

  const { rows: disagreeing } = await observer.query(`
    select *
    from (select jsonb_build_object('tenant', tenant, 'id', id)::text as source_id, body from public.leaves where is_public) as l
    full join (select source_id, content from public.documentation_embeddings where source_table = 'leaves') as e using (source_id)
    where l.body is distinct from e.content`);
  expect(disagreeing).toEqual([]);
  const { rows: [failed] } = await observer.query<{ n: number }>(
    "select count(*)::int as n from public.embedding_sync_queue where status = 'failed'",
  );
  expect(failed?.n).toBe(0);
  // That it was not a quiet day: each of these happened.
  for (const happened of ["edits", "completed", "requeued", "lost_lease"]) {
    expect(counts[happened], happened).toBeGreaterThan(0);
  }
}, 300_000);

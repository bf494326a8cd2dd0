import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/**
 * Editors and workers at once and at random, with everything that happens in life: bulk edits, key changes, TRUNCATE,
 * rollbacks, unpublishing; workers that die, that outlive their lease, that fail; texts of many chunks, and profiles that
 * are prepared, activated, gone back from and retired meanwhile. When all have ended and the queue is empty, every copy
 * agrees with its row.
 */
const EDITORS = 5;
const WORKERS = 5;
const EDITS_EACH = 120;
const KEYS = 12;
const PROFILE = smallProfile("test:stress:2");
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
    select private.use_default_profile('${JSON.stringify(PROFILE)}');
    select public.set_setting('embedding_lease_seconds', '1');
    select public.set_setting('embedding_retry_limit', '20');
    select public.set_setting('embedding_retry_seconds', '0');
    select public.set_setting('embedding_workers', '32');
    select public.set_setting('embedding_backfill_batch', '5');
  `);
});

afterAll(() => database.drop());

/** A few words, each of which is a chunk; many of them are in other rows as well. */
const textOf = (n: number) => Array.from({ length: 1 + pick(5) }, () => `w${pick(6)}`).concat(`v${n}`).join(" ");
const inWords = (text: string) => text.split(" ");

const EDITS: ((n: number) => string)[] = [
  (n) =>
    `insert into public.leaves values (${pick(2)}, ${pick(KEYS)}, '${textOf(n)}', ${random() < 0.8})
          on conflict (tenant, id) do update set body = excluded.body, is_public = excluded.is_public`,
  (n) => `update public.leaves set body = '${textOf(n)}' where tenant = ${pick(2)} and id = ${pick(KEYS)}`,
  (n) => `update public.leaves set body = left(body || ' ${n}', 60) where id between ${pick(KEYS)} and ${pick(KEYS)}`,
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

async function work(isOver: () => boolean, counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  const worker = new SqlWorker(client, PROFILE);
  while (!isOver()) {
    const tokens = await worker.tokens(1 + pick(6));
    const jobs = await worker.read(tokens);
    const fate = random();
    if (fate < 0.05) {
      // Dies without a word; and its leases end while nobody waits for them.
      await endLeases(client, tokens);
      continue;
    }
    // Slow: its lease ends before it does, and others have the rows meanwhile.
    if (fate < 0.2) await endLeases(client, tokens);
    const fails = random() < 0.1;
    const results = jobs.map((job) =>
      fails
        ? { token: job.token, copies: [], failure: { message: "at random", permanent: false } }
        : embedded(job, inWords)
    );
    for (const outcome of Object.values(await worker.finish(results))) counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (random() < 0.05) await worker.end();
  }
}

/** What is refused because it would be wrong just now is no failure. */
const REFUSALS = new Set(["PT409", "22023"]);

const CHANGES = ["prepare", "retire", "activate", "rollback"];

/** Prepares, activates, goes back from and retires profiles, as somebody might who cannot decide; each at least once. */
async function decide(isOver: () => boolean, counts: Record<string, number>): Promise<void> {
  const client = await database.connect();
  const name = () => `'test:other${pick(2)}:2'`;
  const decisions = [
    () => `prepare_embedding_profile(${name()}, 'test', 'other', 2, 400, 0, '{chunk}')`,
    () => `retire_embedding_profile(${name()})`,
    () => `activate_embedding_profile(${name()}, ${random() < 0.5})`,
    () => "activate_embedding_profile('test:stress:2', true)",
    () => "rollback_embedding_profile()",
  ];
  while (!isOver() || CHANGES.some((change) => counts[change] === undefined)) {
    const decision = (decisions[pick(decisions.length)] ?? (() => ""))();
    const key = decision.replace(/_.*/, "");
    try {
      await client.query(`select public.${decision}`);
      counts[key] = (counts[key] ?? 0) + 1;
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? error.code ?? "" : "";
      if (!REFUSALS.has(code) && !ORDINARY.has(code)) throw error;
    }
    // While a profile changes no worker writes: they have a turn in between.
    await client.query("select pg_sleep(0.01)");
  }
}

it("whatever editors and workers do to each other, every copy agrees with its row in the end", async () => {
  const counts: Record<string, number> = {};
  let isOver = false;
  const observer = await database.connect();
  let areEditing = true;
  const workers = Array.from({ length: WORKERS }, () => work(() => isOver, counts));
  const decider = decide(() => !areEditing, counts);
  await Promise.all(Array.from({ length: EDITORS }, (_, editor) => edit(editor, counts)));
  areEditing = false;
  await decider;
  await expect.poll(async () => {
    const { rows: [open] } = await observer.query<{ n: number }>(
      `select (select count(*) from public.embedding_sync_queue where status in ('pending', 'processing'))::int
            + (select count(*) from private.embedding_backfills)::int as n`,
    );
    return open?.n;
  }, { timeout: 60_000, interval: 50 }).toBe(0);
  isOver = true;
  await Promise.all(workers);

  expect((await observer.query("select * from public.verify_embeddings()")).rows).toEqual([]);
  // And told once more without the functions that said so.
  const { rows: disagreeing } = await observer.query(`
    select *
    from (select jsonb_build_object('tenant', tenant, 'id', id)::text as source_id, body from public.leaves where is_public) as l
    full join (
      select source_id, string_agg(content, ' ' order by chunk_index) as content
      from public.documentation_embeddings
      join private.embedding_profiles as p on p.name = profile and p.state = 'active'
      where source_table = 'leaves'
      group by source_id
    ) as e using (source_id)
    where l.body is distinct from e.content`);
  expect(disagreeing).toEqual([]);
  const { rows: [failed] } = await observer.query<{ n: number }>(
    "select count(*)::int as n from public.embedding_sync_queue where status = 'failed'",
  );
  expect(failed?.n).toBe(0);
  // That it was not a quiet day: each of these happened.
  for (const happened of ["edits", "completed", "requeued", "lost_lease", "retry", ...CHANGES]) {
    expect(counts[happened], happened).toBeGreaterThan(0);
  }
}, 300_000);

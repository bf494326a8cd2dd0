import { expect, test } from "vitest";
import { embedded, SqlWorker } from "../support/sql-worker.ts";
import { alerts, copies, count, embedAll, list, onRows, settle, SMALL, waiting } from "./support/embeddings.ts";
import { busiestMinute, drain, letPass, take } from "./support/rates.ts";
import { become, becomeAdmin, refusalOf, type Session, valueOf } from "./support/session.ts";

const pause = (tx: Session, seconds: number | null = null, provider = "test") =>
  valueOf<number>(tx, "select public.pause_embedding_provider($1, 'It has no time.', $2)", [provider, seconds]);

/** The provider's rest is over. */
const rested = (tx: Session) =>
  tx.query("update private.embedding_providers set paused_until = clock_timestamp() - interval '1 s'");

const account = (tx: Session, entry: Record<string, unknown>, knownFailures = 0, profile = SMALL.name) =>
  tx.query("select public.account_embedding_usage($1, $2, $3, $4)", [
    profile,
    knownFailures,
    JSON.stringify([{ sourceTable: "test_rows", requests: 1, ...entry }]),
    entry.tokens !== 0,
  ]);

const another = (tx: Session) => new SqlWorker(tx, SMALL);

// Pauses

test(
  "a provider that says for how long rests for that long, and a shorter word does not cut it short",
  onRows(async (tx) => {
    expect(await pause(tx, 7)).toBe(7);
    expect(
      await valueOf(
        tx,
        `select paused_until between clock_timestamp() + interval '6 s' and clock_timestamp() + interval '7 s'
         from private.embedding_providers where provider = 'test'`,
      ),
    ).toBe(true);
    expect(await pause(tx, 90)).toBe(90);
    expect(await pause(tx, 1)).toBe(90);
  }),
);

test(
  "a provider that says nothing rests longer each time, up to an hour",
  onRows(async (tx) => {
    const pauses: number[] = [];
    for (let failure = 0; failure < 16; failure++) {
      await rested(tx);
      pauses.push(await pause(tx));
    }
    for (const [i, seconds] of pauses.entries()) {
      const longest = Math.min(3600, 5 * 2 ** i);
      expect(seconds).toBeGreaterThanOrEqual(Math.floor(longest / 2));
      expect(seconds).toBeLessThanOrEqual(longest);
    }
  }),
);

test(
  "a pause is one alert however often it fails, and it ends with an answer to a question from after the last failure",
  onRows(async (tx) => {
    await pause(tx);
    await pause(tx);
    expect(await alerts(tx)).toEqual(["provider_paused test"]);
    await account(tx, { tokens: 5 }, 1);
    await account(tx, { tokens: 0, unchanged: 5 }, 2);
    expect(await alerts(tx)).toEqual(["provider_paused test"]);
    await account(tx, { tokens: 5 }, 2);
    expect(await alerts(tx)).toEqual([]);
    expect(await list(tx, "select format('%s %s', failures, paused_until) from private.embedding_providers"))
      .toEqual(["0 "]);
  }),
);

test(
  "while the provider rests nothing is given out, and nobody is called for it",
  onRows(async (tx, worker) => {
    await pause(tx, 60);
    expect(await worker.tokens(10)).toEqual([]);
    expect(worker.idle).toBe("provider_paused");
    expect(await valueOf(tx, "select private.has_due_embeddings()")).toBe(false);
    await rested(tx);
    expect(await valueOf(tx, "select private.has_due_embeddings()")).toBe(true);
  }),
);

test(
  "after a pause one worker asks with eight rows, and everybody asks again when it has had its answer",
  onRows(async (tx, worker) => {
    await pause(tx, 60);
    await rested(tx);
    const probe = await worker.tokens(50);
    expect([probe.length, worker.idle]).toEqual([8, null]);
    const other = another(tx);
    expect([await other.tokens(50), other.idle]).toEqual([[], "provider_paused"]);
    await account(tx, { tokens: 5 }, 1);
    expect(await other.tokens(50)).toHaveLength(12);
  }, 20),
);

test(
  "while one of two providers rests, rows are embedded with the other and wait for the end of its rest",
  onRows(async (tx, worker) => {
    await tx.query("select public.prepare_embedding_profile('test:next:2', 'elsewhere', 'm', 2, 400, 0, '{chunk}')");
    await pause(tx, 500, "elsewhere");
    const jobs = await worker.claim();
    expect(jobs).toHaveLength(3);
    const outcomes = await worker.finish(jobs.map((job) => embedded(job, undefined, [SMALL.name as string])));
    expect(Object.values(outcomes)).toEqual(["unfinished", "unfinished", "unfinished"]);
    expect(await copies(tx)).toHaveLength(3);
    expect(
      await list(
        tx,
        `select distinct format('%s %s %s', retry_count, visible_at > clock_timestamp() + interval '490 s',
           visible_at <= clock_timestamp() + interval '500 s') from public.embedding_sync_queue`,
      ),
    ).toEqual(["0 t t"]);
  }),
);

// Rates

test.each([
  ["requests", { embedding_requests_per_minute: 12 }, 1, 12],
  ["requests, one of them", { embedding_requests_per_minute: 1 }, 1, 1],
  ["tokens", { embedding_tokens_per_minute: 1000 }, 100, 10],
])(
  "no minute sees more %s than the setting says, and each about as many",
  (_, chosen, tokens, most) =>
    onRows(async (tx) => {
      for (const [name, value] of Object.entries(chosen)) await settle(tx, name, value);
      const went = await drain(tx, 4, tokens);
      expect(busiestMinute(went)).toBeLessThanOrEqual(most);
      expect(went.length).toBeGreaterThanOrEqual(Math.floor(3 * most * 5 / 6));
    })(),
);

test(
  "a request larger than all that may be taken at once goes nevertheless, and is paid off before the next",
  onRows(async (tx) => {
    await settle(tx, "embedding_tokens_per_minute", 1000);
    expect(await take(tx, 2000)).toEqual({ waitMs: 0, isPaused: false });
    const { waitMs } = await take(tx, 2000);
    // 2,000 tokens at five sixths of 1,000 in a minute.
    expect(Math.abs(waitMs - 144_000)).toBeLessThan(5_000);
    await letPass(tx, waitMs);
    expect(await take(tx, 2000)).toEqual({ waitMs: 0, isPaused: false });
    // So a minute sees at most one of them more than what refills.
    expect(busiestMinute(await drain(tx, 4, 400)) * 400).toBeLessThanOrEqual(1000 * 5 / 6 + 400);
  }),
);

test(
  "whoever asked before a provider failed is told so, and takes nothing",
  onRows(async (tx) => {
    await take(tx, 10);
    const left = () => valueOf(tx, "select requests_left from private.embedding_providers");
    const before = await left();
    await pause(tx, 60);
    expect(await take(tx, 10, 0)).toEqual({ waitMs: 0, isPaused: true });
    expect(await left()).toBe(before);
    expect(await take(tx, 10, 1)).toEqual({ waitMs: 0, isPaused: false });
  }),
);

// The ledger

test(
  "the ledger adds up by day, source and profile, at the profile's price unless a setting says another",
  onRows(async (tx) => {
    await account(tx, { tokens: 1_000_000, unchanged: 3, reused: 4 });
    await account(tx, { tokens: 500_000, requests: 2 });
    await account(tx, { sourceTable: "elsewhere", tokens: 10 });
    await settle(tx, "embedding_usd_per_million_tokens", 0.5);
    await account(tx, { tokens: 1_000_000 });
    const { rows } = await tx.query(
      `select source_table, requests::int, tokens::int, tokens_saved_unchanged::int as unchanged,
         tokens_saved_reused::int as reused, cost_usd::float as usd, day = (now() at time zone 'UTC')::date as is_today
       from public.embedding_costs where profile = $1 order by source_table desc`,
      [SMALL.name],
    );
    expect(rows).toEqual([
      { source_table: "test_rows", requests: 4, tokens: 2_500_000, unchanged: 3, reused: 4, usd: 2, is_today: true },
      { source_table: "elsewhere", requests: 1, tokens: 10, unchanged: 0, reused: 0, usd: 0.00001, is_today: true },
    ]);
    await become(tx, "authenticated");
    expect(await count(tx, "public.embedding_costs")).toBe(0);
    await becomeAdmin(tx);
    expect(await count(tx, "public.embedding_costs")).toBe(2);
    expect((await refusalOf(tx, "delete from public.embedding_costs")).code).toBe("42501");
  }),
);

test(
  "of three edits before one embedding two are written down as saved, once",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    expect(await count(tx, "public.embedding_costs where tokens_saved_coalesced > 0")).toBe(0);
    for (const body of ["a", "ab", "abcd"]) {
      await tx.query("update public.test_rows set body = $1 where id = 1", [body]);
    }
    await embedAll(worker);
    await tx.query("update public.test_rows set body = 'alone' where id = 1");
    await embedAll(worker);
    expect(await valueOf(tx, "select tokens_saved_coalesced::int from public.embedding_costs")).toBe(2 * "abcd".length);
  }),
);

// Budgets

const message = (tx: Session) =>
  valueOf<string>(tx, "select message from public.alerts where kind like 'embedding_budget%' and resolved_at is null");

test(
  "at four fifths of a budget an alert is raised, at nine tenths edits alone go on, and at all of it nothing does",
  onRows(async (tx, worker) => {
    await settle(tx, "embedding_daily_budget_usd", 10);
    await account(tx, { tokens: 7_900_000 });
    expect(await alerts(tx)).toEqual([]);
    await account(tx, { tokens: 200_000 });
    expect(await alerts(tx)).toEqual(["embedding_budget daily"]);
    await account(tx, { tokens: 100_000 });
    expect(await valueOf(tx, "select count from public.alerts where kind = 'embedding_budget'")).toBe(1);
    expect(await message(tx)).toContain("of the daily budget of $10");
    await account(tx, { tokens: 800_000 });
    await tx.query("update public.test_rows set body = 'edited' where id = 2");
    expect((await worker.claim()).map(({ sourceId }) => sourceId)).toEqual(["2"]);
    expect(worker.idle).toBeNull();
    await account(tx, { tokens: 1_000_000 });
    // Another problem than the first, so that it is sent as well.
    expect(await alerts(tx)).toEqual(["embedding_budget_spent daily"]);
    expect(await message(tx)).toContain("used up");
    await tx.query("update public.test_rows set body = 'edited' where id = 3");
    expect(await worker.tokens(10)).toEqual([]);
    expect(worker.idle).toBe("budget_used_up");
    expect(await valueOf(tx, "select private.has_due_embeddings()")).toBe(false);
  }),
);

test(
  "a larger budget has everything go on, and a day's budget says nothing of yesterday",
  onRows(async (tx, worker) => {
    await settle(tx, "embedding_daily_budget_usd", 1);
    await settle(tx, "embedding_monthly_budget_usd", 1);
    await account(tx, { tokens: 1_000_000 });
    expect(await alerts(tx)).toEqual(["embedding_budget_spent daily", "embedding_budget_spent monthly"]);
    await tx.query("update public.embedding_costs set day = day - 1");
    await tx.query("select private.watch_embeddings()");
    expect(await alerts(tx)).not.toContain("embedding_budget_spent daily");
    await tx.query("update public.embedding_costs set day = day + 1");
    await settle(tx, "embedding_daily_budget_usd", 0);
    expect(await worker.tokens(10)).toEqual([]);
    // It is not used up any more, and the alert that stays open does not say so.
    await settle(tx, "embedding_monthly_budget_usd", 1.2);
    await tx.query("select private.watch_embeddings()");
    expect(await alerts(tx)).toEqual(["embedding_budget monthly"]);
    expect(await message(tx)).not.toContain("used up");
    await settle(tx, "embedding_monthly_budget_usd", 100);
    await tx.query("select private.watch_embeddings()");
    expect(await alerts(tx)).toEqual([]);
    await embedAll(worker);
    expect(await waiting(tx)).toEqual([]);
  }),
);

test.each(["embedding_daily_budget_usd", "embedding_monthly_budget_usd"])(
  "a negative %s is refused",
  (name) =>
    onRows(async (tx) => {
      expect((await refusalOf(tx, `select public.set_setting('${name}', '-1')`)).message).toBe(
        `Setting "${name}" cannot be -1`,
      );
    })(),
);

test(
  "nobody but the worker may pause a provider, take of its rate or write the ledger",
  onRows(async (tx) => {
    await becomeAdmin(tx);
    for (
      const call of [
        "public.pause_embedding_provider('test', 'x')",
        "public.take_embedding_rate('test', 0, 1)",
        "public.account_embedding_usage('test:small:2', 0, '[]', true)",
      ]
    ) expect((await refusalOf(tx, `select ${call}`)).code).toBe("42501");
  }),
);

import { describe, expect, it, test } from "vitest";
import { embedded } from "../support/sql-worker.ts";
import {
  addAgreement,
  addObjects,
  check,
  countOf,
  onBucket,
  pairOf,
  QUEUE,
  report,
  tellPair,
} from "./support/coherence.ts";
import { embedAll, onRows, settle, waiting } from "./support/embeddings.ts";
import { become, becomeAdmin, becomeOwner, refusalOf, type Session, valueOf } from "./support/session.ts";

const ROWS = "embeddings of test_rows";

const unseenRows = (tx: Session, sql: string) =>
  tx.query(
    `alter table public.test_rows disable trigger user; ${sql}; alter table public.test_rows enable trigger user`,
  );

describe("a capability that comes later", () => {
  it(
    "adds its pair by one SQL function",
    onBucket(async (tx) => {
      await tellPair(tx, `1000, 1000, 10, 2, 3, 4, 0, 0, 'as of noon', null, null, 'sync-mirror --force'`);
      expect(await pairOf(tx, "test mirror")).toEqual({
        name: "test mirror",
        sourceCount: 1000,
        copyCount: 1000,
        missing: 10,
        stale: 2,
        orphan: 3,
        inFlight: 4,
        waiting: 0,
        ratio: 0.012,
        verdict: "ok",
        action: "Run: sync-mirror --force",
        detail: "as of noon",
      });
    }),
  );

  it(
    "has its repair called with the age from which what differs is to be put right",
    onBucket(async (tx) => {
      await tx.query("create table private.test_calls (age interval)");
      await tx.query(`
        create function private.test_repair(age interval) returns bigint language sql security definer
        as $$ insert into private.test_calls values (age) returning 7::bigint $$`);
      const call = "'private.test_repair($1)', null";
      await tellPair(tx, `1000, 1000, 10, 0, 0, 0, 0, 0, null, null, ${call}`);
      await check(tx);
      expect(await countOf(tx, "private.test_calls")).toBe(0);
      expect(await valueOf(tx, "select public.repair_coherence() -> 'repaired'")).toContainEqual({
        pair: "test mirror",
        rows: 10,
      });
      await tx.query("drop function private.test_coherence");
      await tellPair(tx, `1000, 1000, 10, 0, 0, 0, 1, 0, null, null, ${call}`);
      await check(tx);
      await tx.query("drop function private.test_coherence");
      await tellPair(tx, `1000, 1000, 50, 0, 0, 0, 1, 0, null, null, ${call}`);
      await check(tx);
      expect(await valueOf(tx, "select array_agg(age::text) from private.test_calls")).toEqual([
        "00:05:00",
        "24:00:00",
        "00:05:00",
      ]);
    }),
  );

  it(
    "and cannot be examined is told, and hides none of the others",
    onBucket(async (tx) => {
      await addAgreement(tx, 3);
      await tellPair(tx, `1000, 1000, 1 / (1 - 1), 0, 0, 0, 0, 0, null, null, null, null`);
      const { verdict, pairs } = await report(tx);
      expect(verdict).toBe("alert");
      expect(pairs.find(({ name }) => name === QUEUE)).toMatchObject({ verdict: "ok", sourceCount: 3 });
      expect(pairs.find(({ name }) => name === "private.test_coherence()")).toMatchObject({
        verdict: "alert",
        action: "It cannot be examined: division by zero",
      });
    }),
  );
});

describe("the report", () => {
  it(
    "has the worst verdict of all its pairs",
    onBucket(async (tx) => {
      await tx.query("delete from private.embedding_sources");
      expect((await report(tx)).verdict).toBe("ok");
      await addObjects(tx, 1, 1);
      expect((await report(tx)).verdict).toBe("auto_sync");
      await tellPair(tx, `1000, 1000, 100001, 0, 0, 0, 0, 0, null, null, null, 'sync-mirror'`);
      expect((await report(tx)).verdict).toBe("alert");
    }),
  );

  it(
    "says when it was made, and leaves no trace unless it is asked to",
    onBucket(async (tx) => {
      const { generatedAt } = await report(tx);
      expect(Math.abs(Date.parse(generatedAt) - Date.now())).toBeLessThan(60_000);
      expect(await countOf(tx, "public.coherence_history")).toBe(0);
      await tx.query("select public.coherence_report(true)");
      expect(await countOf(tx, `public.coherence_history where pair = '${QUEUE}'`)).toBe(1);
    }),
  );

  it(
    "is for administrators and secret keys, and so is every change",
    onBucket(async (tx) => {
      const calls = [
        "coherence_report()",
        "last_coherence_report()",
        "repair_coherence()",
        "coherence_trend()",
        "sync_bucket('test-a')",
        "stop_sync('test-a')",
      ];
      for (const call of calls) {
        await become(tx, "authenticated");
        expect((await refusalOf(tx, `select public.${call}`)).message).toBe("Only an administrator may do this");
        await become(tx, "anon");
        expect((await refusalOf(tx, `select public.${call}`)).code).toBe("42501");
        await becomeAdmin(tx);
        await tx.query(`select public.${call}`);
        await become(tx, "service_role");
        await tx.query(`select public.${call}`);
        await becomeOwner(tx);
      }
      await tx.query("select public.coherence_report(true)");
      await become(tx, "authenticated");
      expect(await countOf(tx, "public.coherence_history")).toBe(0);
      await becomeAdmin(tx);
      expect(await countOf(tx, "public.coherence_history")).toBeGreaterThan(0);
      await becomeOwner(tx);
    }),
  );
});

describe("the schedule", () => {
  it(
    "keeps what each check found, for as long as it is to be kept",
    onBucket(async (tx) => {
      await addObjects(tx, 1, 4);
      await check(tx);
      await check(tx);
      expect(
        await valueOf(
          tx,
          "select array_agg(format('%s/%s %s %s', missing, source_count, in_flight, verdict) order by id) from public.coherence_history where pair = $1",
          [QUEUE],
        ),
      ).toEqual(["4/4 0 auto_sync", "0/4 0 ok"]);
      await tx.query("update public.coherence_history set checked_at = now() - interval '89 days'");
      await check(tx);
      expect(await countOf(tx, `public.coherence_history where pair = '${QUEUE}'`)).toBe(3);
      await tx.query(
        "update public.coherence_history set checked_at = now() - interval '91 days' where checked_at < now()",
      );
      await check(tx);
      expect(await countOf(tx, `public.coherence_history where pair = '${QUEUE}'`)).toBe(2);
    }),
  );

  it(
    "shows the worst of each day, or of each hour of a short time",
    onBucket(async (tx) => {
      await tx.query(`
        insert into public.coherence_history (checked_at, pair, source_count, copy_count, missing, stale, orphan, in_flight, verdict)
        select date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - age, 'p', 100, 100, missing, 0, 0, 0, verdict
        from (values
          (interval '1 hour', 3, 'ok'), (interval '1 hour 5 minutes', 9, 'auto_sync'), (interval '2 hours', 1, 'ok'),
          (interval '40 hours', 2, 'ok'), (interval '40 days', 50, 'alert')
        ) as h (age, missing, verdict)`);
      const trend = async (days: number) =>
        (await valueOf<{ checks: number; missing: number; verdict: string }[]>(
          tx,
          "select public.coherence_trend($1)",
          [
            days,
          ],
        )).map(({ checks, missing, verdict }) => `${checks}: ${missing} ${verdict}`);
      expect(await trend(7)).toEqual(["1: 2 ok", "3: 9 auto_sync"]);
      expect(await trend(2)).toContain("2: 9 auto_sync");
      expect(await trend(60)).toEqual(["1: 50 alert", "1: 2 ok", "3: 9 auto_sync"]);
      expect((await refusalOf(tx, "select public.coherence_trend(0)")).message).toBe(
        "days must be from 1 to 3650, not 0",
      );
    }),
  );

  it(
    "takes a twentieth of the time at most",
    onBucket(async (tx) => {
      const checks = () => countOf(tx, `public.coherence_history where pair = '${QUEUE}'`);
      await tx.query(
        "update private.coherence_checks set checked_at = clock_timestamp() - interval '19 minutes', took = interval '1 minute'",
      );
      await tx.query("select private.watch_coherence()");
      expect(await checks()).toBe(0);
      await tx.query("update private.coherence_checks set checked_at = clock_timestamp() - interval '21 minutes'");
      await tx.query("select private.watch_coherence()");
      expect(await checks()).toBe(1);
      expect(
        await valueOf(
          tx,
          "select checked_at > now() - interval '1 minute' and took < interval '1 minute' from private.coherence_checks",
        ),
      ).toBe(true);
    }),
  );

  it(
    "resolves the alert of a pair that is no more",
    onBucket(async (tx) => {
      await settle(tx, "coherence_alert_rows", 0);
      await addObjects(tx, 1, 1);
      await check(tx);
      const open = "public.alerts where kind = 'coherence' and subject like '%test-a' and resolved_at is null";
      expect(await countOf(tx, open)).toBe(1);
      await tx.query("select public.unwatch_bucket('test-a')");
      await check(tx);
      expect(await countOf(tx, open)).toBe(0);
    }),
  );

  it(
    "is in place, and its health says so",
    onBucket(async (tx) => {
      for (const name of ["accord-coherence", "accord-buckets"]) {
        const health = () =>
          valueOf<boolean>(
            tx,
            "select (c ->> 'ok')::boolean from jsonb_array_elements(public.health_checks()) as c where c ->> 'name' = 'schedule ' || $1",
            [name],
          );
        expect(await health()).toBe(true);
        await tx.query("delete from cron.job where jobname = $1", [name]);
        expect(await health()).toBe(false);
      }
    }),
  );
});

describe("rows and their embeddings", () => {
  test(
    "are one pair for each source; what the queue is about to do is in flight",
    onRows(
      async (tx, worker) => {
        expect(await pairOf(tx, ROWS)).toMatchObject({ sourceCount: 40, copyCount: 0, missing: 0, inFlight: 40 });
        await embedAll(worker);
        expect(await pairOf(tx, ROWS)).toMatchObject({
          sourceCount: 40,
          copyCount: 40,
          inFlight: 0,
          verdict: "ok",
          action: null,
          detail: null,
        });
        await tx.query("update public.test_rows set body = 'edited' where id = 1");
        expect(await pairOf(tx, ROWS)).toMatchObject({ stale: 0, inFlight: 1 });
      },
      40,
    ),
  );

  test(
    "are embedded by themselves from 5 % on, and below when somebody asks",
    onRows(
      async (tx, worker) => {
        await embedAll(worker);
        await unseenRows(tx, "update public.test_rows set body = 'changed' where id = 1");
        expect(await pairOf(tx, ROWS)).toMatchObject({ stale: 1, ratio: 0.025, verdict: "ok" });
        await check(tx);
        expect(await waiting(tx)).toEqual([]);
        await tx.query("select public.repair_coherence()");
        expect(await waiting(tx)).toEqual(["1 pending"]);
        await embedAll(worker);
        await unseenRows(
          tx,
          "insert into public.test_rows values (41, 'new', true); update public.test_rows set is_public = false where id = 2; update public.test_rows set body = 'x' where id = 3",
        );
        expect(await pairOf(tx, ROWS)).toMatchObject({ missing: 1, stale: 1, orphan: 1, verdict: "auto_sync" });
        await check(tx);
        expect(await waiting(tx)).toEqual(["2 pending", "3 pending", "41 pending"]);
      },
      40,
    ),
  );

  test(
    "are left alone where a table is empty all of a sudden",
    onRows(
      async (tx, worker) => {
        await embedAll(worker);
        await unseenRows(tx, "delete from public.test_rows");
        expect(await pairOf(tx, ROWS)).toMatchObject({
          orphan: 40,
          verdict: "alert",
          action:
            "40 of 40 copies have no source. See that it is complete; if so, run: npm run accord -- resync test_rows",
        });
        await check(tx);
        await tx.query("select public.repair_coherence()");
        expect(await waiting(tx)).toEqual([]);
      },
      40,
    ),
  );

  test(
    "that failed wait for a person, which is told",
    onRows(
      async (tx, worker) => {
        const [first, ...others] = await worker.claim(40);
        await worker.finish([
          { token: first?.token ?? "", copies: [], failure: { message: "no", permanent: true } },
          ...others.map((job) => embedded(job)),
        ]);
        expect(await pairOf(tx, ROWS)).toMatchObject({
          missing: 1,
          inFlight: 0,
          detail: "1 failed and wait for: npm run accord -- retry",
        });
      },
      40,
    ),
  );

  test(
    "are all missing where nothing was ever embedded and nothing waits",
    onRows(
      async (tx) => {
        await tx.query(
          "delete from public.embedding_sync_queue; delete from private.embedding_backfills; delete from private.embedding_profiles",
        );
        expect(await pairOf(tx, ROWS)).toMatchObject({
          sourceCount: 3,
          copyCount: 0,
          missing: 3,
          verdict: "auto_sync",
          detail: "nothing was ever embedded",
        });
        await check(tx);
        expect(await waiting(tx)).toEqual(["1 pending", "2 pending", "3 pending"]);
      },
      3,
    ),
  );
});

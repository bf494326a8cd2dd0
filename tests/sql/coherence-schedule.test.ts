import { describe, expect, it, test } from "vitest";
import {
  addAgreement,
  addObjects,
  check,
  countOf,
  DOCUMENTS,
  onBucket,
  pairOf,
  QUEUE,
  removeObjects,
  repair,
  tellPair,
  unseen,
  watch,
} from "./support/coherence.ts";
import { settle } from "./support/embeddings.ts";
import { refusalOf, type Session, valueOf } from "./support/session.ts";

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

describe("the check itself", () => {
  const health = (tx: Session) =>
    valueOf<{ ok: boolean; detail: string; mend: string | null }>(
      tx,
      "select c from jsonb_array_elements(public.health_checks()) as c where c ->> 'name' = 'check of coherence'",
    );

  it(
    "is missed where none was made for long, and not while there was no time for one",
    onBucket(async (tx) => {
      await tx.query("update private.coherence_checks set installed_at = now() - interval '29 minutes'");
      expect(await health(tx)).toMatchObject({ ok: true, detail: "not made yet", mend: null });
      await tx.query("update private.coherence_checks set installed_at = now() - interval '31 minutes'");
      expect(await health(tx)).toMatchObject({ ok: false });
      await tx.query("select private.watch_coherence()");
      expect(await health(tx)).toMatchObject({ ok: true, mend: null });
      await tx.query("update private.coherence_checks set checked_at = now() - interval '31 minutes', took = '0'");
      expect(await health(tx)).toMatchObject({
        ok: false,
        mend: "See why in cron.job_run_details, then run: select private.watch_coherence();",
      });
      // Of a large house that is no more than is to be expected.
      await tx.query("update private.coherence_checks set took = '1 minute'");
      expect(await health(tx)).toMatchObject({ ok: true });
    }),
  );

  it(
    "takes as long as its repairs do, and keeps what it found for whoever asks often",
    onBucket(async (tx) => {
      expect(await valueOf(tx, "select public.last_coherence_report()")).toBeNull();
      await tx.query(`
        create function private.test_repair(interval) returns void language sql as $$ select pg_sleep(0.3) $$`);
      await tellPair(tx, "10, 5, 5, 0, 0, 0, 0, 0, null, null, 'private.test_repair($1)', 'sync-mirror'");
      await watch(tx);
      expect(await valueOf(tx, "select took > interval '0.3 seconds' from private.coherence_checks")).toBe(true);
      await tx.query("drop function private.test_coherence");
      expect(await valueOf(tx, "select public.last_coherence_report() -> 'pairs'")).toContainEqual(
        expect.objectContaining({ name: "test mirror", missing: 5, verdict: "auto_sync" }),
      );
    }),
  );
});

test(
  "an object whose time lies ahead is not in flight for ever",
  onBucket(async (tx) => {
    await addObjects(tx, 1, 1, "-400 days");
    expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 1, inFlight: 0 });
    await check(tx);
    expect(await countOf(tx, "public.files_queue")).toBe(1);
    await addObjects(tx, 2, 2, "-1 minute");
    expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 0, inFlight: 1 });
  }),
);

test(
  "a repair says of each pair how many of its own rows it puts right",
  onBucket(async (tx) => {
    await addAgreement(tx, 100);
    await unseen(tx, "delete from public.files_queue where file_path <= 'f000003'");
    await unseen(tx, "delete from public.documents where file_path in ('f000010', 'f000011')");
    await removeObjects(tx, 20, 20);
    expect((await repair(tx)).repaired.filter(({ pair }) => pair.endsWith("test-a"))).toEqual([
      { pair: QUEUE, rows: 4 },
      { pair: DOCUMENTS, rows: 2 },
    ]);
    expect((await refusalOf(tx, "select public.stop_sync('nowhere')")).message).toBe('Bucket "nowhere" is not watched');
  }),
);

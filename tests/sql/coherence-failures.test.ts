import { describe, expect, it, test } from "vitest";
import {
  addAgreement,
  addObjects,
  alerts,
  check,
  countOf,
  DOCUMENTS,
  onBucket,
  pairOf,
  QUEUE,
  removeObjects,
  repair,
  report,
  tellPair,
  unseen,
} from "./support/coherence.ts";
import { embedAll, onRows } from "./support/embeddings.ts";
import { refusalOf, type Session, valueOf } from "./support/session.ts";

const told = async (tx: Session, name: string) => (await report(tx)).pairs.filter((pair) => pair.name === name);

const openAlerts = async (tx: Session, kind: string) =>
  (await tx.query<{ told: string }>(
    "select concat(subject, ': ', message) as told from public.alerts where kind = $1 and resolved_at is null order by 1",
    [kind],
  )).rows.map(({ told }) => told);

const watch = async (tx: Session) => {
  await tx.query("update private.coherence_checks set checked_at = '-infinity'");
  await tx.query("select private.watch_coherence()");
};

describe("a repair that fails", () => {
  it.each([
    [
      "raises",
      "raise exception 'the API refused it' using detail = 'row 7: secret'",
      "SQLSTATE P0001): the API refused it",
    ],
    ["asserts", "assert false, 'the API refused it'", "SQLSTATE P0004): the API refused it"],
  ])(
    "takes neither what the check has found along nor the other pairs, and is told: one that %s",
    (_, statement, said) =>
      onBucket(async (tx) => {
        await addObjects(tx, 1, 10);
        await tx.query(`
          create function private.test_repair(interval) returns void language plpgsql as $$ begin ${statement}; end $$`);
        await tellPair(tx, "10, 5, 5, 0, 0, 0, 0, 0, null, null, 'private.test_repair($1)', 'sync-mirror'");
        await check(tx);
        expect(await countOf(tx, "public.files_queue")).toBe(10);
        expect(await countOf(tx, "public.coherence_history where pair = 'test mirror' and missing = 5")).toBe(1);
        expect(await openAlerts(tx, "coherence_repair")).toEqual([
          `test mirror: test mirror cannot be put right (${said}`,
        ]);
        expect((await repair(tx)).left).toContainEqual({
          pair: "test mirror",
          action: `It cannot be put right (${said}`,
        });
        await tx.query("drop function private.test_coherence");
        await watch(tx);
        expect(await openAlerts(tx, "coherence_repair")).toEqual([]);
      })(),
  );

  it(
    "for want of time ends the repairs, and what the check has found stands",
    onBucket(async (tx) => {
      await tx.query(`
        create function private.test_repair(interval) returns void language sql as $$ select pg_sleep(30) $$`);
      await tellPair(tx, "10, 5, 5, 0, 0, 0, 0, 0, null, null, 'private.test_repair($1)', 'sync-mirror'");
      await tx.query("set local statement_timeout = '1s'");
      await tx.query("select private.watch_coherence()");
      await tx.query("set local statement_timeout = 0");
      expect(await countOf(tx, "public.coherence_history where pair = 'test mirror'")).toBe(1);
      expect(await openAlerts(tx, "coherence_repair")).toHaveLength(1);
    }),
  );
});

describe("a capability that tells its pair", () => {
  const hidesNothing = async (tx: Session, action: string) => {
    expect(await told(tx, QUEUE)).toMatchObject([{ sourceCount: 3, verdict: "ok" }]);
    expect(await told(tx, "private.test_coherence()")).toMatchObject([{ verdict: "alert", action }]);
    await watch(tx);
    expect(await countOf(tx, `public.coherence_history where pair = '${QUEUE}'`)).toBe(1);
    expect(await openAlerts(tx, "coherence")).toContainEqual(expect.stringMatching(/^private.test_coherence\(\): /));
  };

  it(
    "hides nothing where it asserts",
    onBucket(async (tx) => {
      await addAgreement(tx, 3);
      await tx.query(`
        create function private.test_coherence() returns setof private.coherence_pair
        language plpgsql as $$ begin assert false, 'this cannot be'; end $$`);
      await hidesNothing(tx, "It cannot be examined: this cannot be");
    }),
  );

  it(
    "hides nothing where it tells one without a name",
    onBucket(async (tx) => {
      await addAgreement(tx, 3);
      await tx.query(`
        create function private.test_coherence() returns private.coherence_pair
        language sql as $$ select null::private.coherence_pair $$`);
      await hidesNothing(tx, "It cannot be examined: it has no name");
    }),
  );

  it(
    "hides nothing where it takes all the time there is",
    onBucket(async (tx) => {
      await addAgreement(tx, 3);
      await tellPair(tx, "1, 1, 0, 0, 0, 0, 0, 0, null, null, null, null from pg_sleep(30)");
      await tx.query("set local statement_timeout = '1s'");
      expect(await told(tx, QUEUE)).toMatchObject([{ sourceCount: 3, verdict: "ok" }]);
      expect((await report(tx)).verdict).toBe("alert");
      await tx.query("select private.watch_coherence()");
      await tx.query("set local statement_timeout = 0");
      expect(await openAlerts(tx, "coherence")).toEqual([
        expect.stringContaining("It cannot be examined: canceling statement due to statement timeout"),
      ]);
    }),
  );

  it(
    "has a name of its own, also where two say the same",
    onBucket(async (tx) => {
      await tellPair(
        tx,
        "1, 1, 0, 0, 0, 0, 0, 0, null, null, null, null union all select 'test mirror', 2, 2, 0, 0, 0, 0, 0, 0, null, null, null, null",
      );
      const { pairs } = await report(tx);
      expect(pairs.map(({ name }) => name).filter((name) => name.startsWith("test"))).toEqual([
        "test mirror",
        "test mirror (2)",
      ]);
    }),
  );

  it(
    "resolves no alert of what could not be examined",
    onBucket(async (tx) => {
      await tellPair(tx, "10, 5, 0, 0, 0, 0, 0, 0, null, 'It is asleep.', null, null");
      await watch(tx);
      expect(await openAlerts(tx, "coherence")).toHaveLength(1);
      await tx.query(`
        create or replace function private.test_coherence() returns setof private.coherence_pair
        language plpgsql as $$ begin raise exception 'no answer'; end $$`);
      await watch(tx);
      expect((await openAlerts(tx, "coherence")).map((alert) => alert.split(":")[0])).toEqual([
        "private.test_coherence()",
        "test mirror",
      ]);
      await tx.query("drop function private.test_coherence");
      await watch(tx);
      expect(await openAlerts(tx, "coherence")).toEqual([]);
    }),
  );
});

describe("one that cannot be examined hides none of its kind", () => {
  it(
    "among buckets",
    onBucket(async (tx) => {
      await addAgreement(tx, 3);
      await tx.query("insert into storage.buckets (id, name) values ('test-0', 'test-0')");
      await tx.query("select public.watch_bucket('test-0')");
      await tx.query("insert into storage.objects (bucket_id, name, version) values ('test-0', 'a', 'v')");
      await tx.query("update private.watched_buckets set paths_regex = '(' where bucket_id = 'test-0'");
      expect(await pairOf(tx, "queue of bucket test-0")).toMatchObject({
        verdict: "alert",
        action: expect.stringMatching(/^It cannot be examined: invalid regular expression/) as string,
      });
      expect(await pairOf(tx, QUEUE)).toMatchObject({ sourceCount: 3, verdict: "ok" });
      await check(tx);
      expect(await alerts(tx)).toEqual([]);
      expect(await openAlerts(tx, "coherence")).toHaveLength(1);
    }),
  );

  test(
    "among sources",
    onRows(
      async (tx, worker) => {
        await embedAll(worker);
        await tx.query("create table public.test_others (id int primary key, body text)");
        await tx.query("select public.register_embedding_source('test_others', 'body')");
        await tx.query("alter table public.test_others rename column body to text");
        expect(await pairOf(tx, "embeddings of test_others")).toMatchObject({
          verdict: "alert",
          action: expect.stringContaining('It cannot be examined: column "body" does not exist') as string,
        });
        expect(await pairOf(tx, "embeddings of test_rows")).toMatchObject({ sourceCount: 3, verdict: "ok" });
      },
      3,
    ),
  );
});

describe("a bucket that cannot be put right", () => {
  it(
    "keeps no other waiting, and says why it cannot",
    onBucket(async (tx) => {
      await addAgreement(tx, 50);
      await removeObjects(tx, 1, 1);
      await tx.query(`
        create function public.test_hold() returns trigger language plpgsql
        as $$ begin raise exception 'this document is under legal hold'; end $$;
        create trigger test_hold before delete on public.documents for each row execute function public.test_hold();
        select private.begin_sync('test-a', interval '0', true);
        update private.bucket_syncs set asked_at = asked_at - interval '1 hour', phase = 'orphans';
        insert into private.seen_orphans values ('test-a', 'f000001', now() - interval '1 hour');
        insert into storage.buckets (id, name) values ('test-b', 'test-b');
        select public.watch_bucket('test-b')`);
      await unseen(
        tx,
        "insert into storage.objects (bucket_id, name, version, created_at) values ('test-b', 'a', 'v', '2020-01-01')",
      );
      await tx.query("select private.begin_sync('test-b', interval '0')");
      await tx.query("select private.advance_syncs() from generate_series(1, 2)");
      expect(await countOf(tx, "public.files_queue where bucket_id = 'test-b'")).toBe(1);
      expect(await pairOf(tx, QUEUE)).toMatchObject({
        verdict: "alert",
        action: expect.stringContaining(
          "It cannot be put right, and is tried again and again: SQLSTATE P0001, this document is under legal hold.",
        ) as string,
      });
      await watch(tx);
      expect(await alerts(tx)).toEqual([QUEUE]);
      await tx.query("drop trigger test_hold on public.documents");
      await check(tx);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ orphan: 0, verdict: "ok", action: null });
    }),
  );
});

describe("files that nobody will read", () => {
  const fail = (tx: Session, last: number) =>
    unseen(
      tx,
      `with failed as (
         update public.files_queue set status = 'failed', processed_at = null, failed_at = now() - interval '1 hour'
         where file_path <= 'f' || to_char($1::int, 'FM000000') returning file_path
       )
       delete from public.documents where bucket_id = 'test-a' and file_path in (select file_path from failed)`,
      [last],
    );

  it(
    "are missing where they failed, and need a person from as many on as would have been put right",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await fail(tx, 4);
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({
        sourceCount: 100,
        missing: 4,
        waiting: 4,
        verdict: "ok",
        action: null,
        detail: "4 failed and wait for: npm run accord -- retry",
      });
      await fail(tx, 5);
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({
        missing: 5,
        waiting: 5,
        verdict: "alert",
        action: "5 failed. See last_error in the queue, mend what is wrong, and run: npm run accord -- retry.",
      });
      await check(tx);
      expect(await alerts(tx)).toEqual([DOCUMENTS]);
      expect(await countOf(tx, "public.files_queue where status = 'failed'")).toBe(5);
    }),
  );

  it(
    "are missing where they are due and nobody takes them, and in flight where others go first",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      const due = async (ago: string, path: string) => {
        await unseen(tx, "delete from public.documents where bucket_id = 'test-a' and file_path = $1", [path]);
        await unseen(
          tx,
          `update public.files_queue set status = 'pending', processed_at = null, visible_at = now() - $1::interval
           where file_path = $2`,
          [ago, path],
        );
      };
      await due("14 minutes", "f000001");
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({ missing: 0, inFlight: 1, verdict: "ok" });
      await due("16 minutes", "f000002");
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({
        missing: 1,
        waiting: 1,
        inFlight: 1,
        verdict: "alert",
        action:
          "1 have been due for a quarter of an hour, and nobody reads them; npm run accord -- doctor names the mend.",
      });
      await unseen(tx, "update public.files_queue set processed_at = now() where file_path = 'f000100'");
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({ missing: 0, inFlight: 2, verdict: "ok" });
    }),
  );

  test(
    "nor rows: where all have failed nothing is said to be put right",
    onRows(
      async (tx, worker) => {
        await worker.finish(
          (await worker.claim(3)).map(({ token }) => ({
            token,
            copies: [],
            failure: { message: "no", permanent: true },
          })),
        );
        expect(await pairOf(tx, "embeddings of test_rows")).toMatchObject({
          missing: 3,
          waiting: 3,
          verdict: "alert",
          action: "3 failed. See last_error in the queue, mend what is wrong, and run: npm run accord -- retry.",
        });
      },
      3,
    ),
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

import { describe, expect, it, test } from "vitest";
import {
  addAgreement,
  addObjects,
  alerts,
  check,
  countOf,
  onBucket,
  openAlerts,
  pairOf,
  QUEUE,
  removeObjects,
  repair,
  report,
  tellPair,
  told,
  unseen,
  watch,
} from "./support/coherence.ts";
import { embedAll, onRows } from "./support/embeddings.ts";
import type { Session } from "./support/session.ts";

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
});

describe("a capability that tells its pair", () => {
  const hidesNothing = async (tx: Session, action: string) => {
    expect(await told(tx, QUEUE)).toMatchObject([{ sourceCount: 3, verdict: "ok" }]);
    expect(await told(tx, "private.test_coherence()")).toMatchObject([{ verdict: "alert", action }]);
    await watch(tx);
    expect(await countOf(tx, `public.coherence_history where pair = '${QUEUE}'`)).toBe(1);
    expect(await openAlerts(tx, "coherence")).toContain(
      `private.test_coherence(): private.test_coherence(): ${action}`,
    );
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

import { describe, expect, it } from "vitest";
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
import { become, becomeAdmin, becomeOwner, refusalOf, valueOf } from "./support/session.ts";

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

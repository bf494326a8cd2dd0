import { describe, expect, it, test } from "vitest";
import { addAgreement, addObjects, check, differences, onBucket, pairOf, QUEUE, unseen } from "./support/coherence.ts";
import { settle } from "./support/embeddings.ts";
import { inVain, type Session, valueOf } from "./support/session.ts";

interface Figures {
  source: number;
  copy?: number;
  missing?: number;
  stale?: number;
  orphan?: number;
}

const verdict = (tx: Session, { source, copy = source, missing = 0, stale = 0, orphan = 0 }: Figures) =>
  valueOf<string>(tx, "select private.coherence_verdict($1, $2, $3, $4, $5)", [source, copy, missing, stale, orphan]);

describe("the verdict", () => {
  it.each<[string, Figures, string]>([
    ["nothing at all", { source: 0 }, "ok"],
    ["all agree", { source: 1_000 }, "ok"],
    ["4.9 %", { source: 1_000, missing: 49 }, "ok"],
    ["just below 5 %", { source: 1_000_000, missing: 49_999 }, "ok"],
    ["5 %", { source: 1_000, missing: 50 }, "auto_sync"],
    ["5 %, stale ones included", { source: 1_000, missing: 30, stale: 20 }, "auto_sync"],
    ["everything of a small source", { source: 1, copy: 0, missing: 1 }, "auto_sync"],
    ["99,999", { source: 1_000_000, missing: 99_999 }, "auto_sync"],
    ["100,000", { source: 1_000_000, missing: 100_000 }, "auto_sync"],
    ["100,001", { source: 1_000_000, missing: 100_001 }, "alert"],
    ["100,001, stale ones included", { source: 1_000_000, missing: 60_000, stale: 40_001 }, "alert"],
    ["100,000 under 5 %", { source: 10_000_000, missing: 100_000 }, "ok"],
    ["100,001 under 5 %", { source: 10_000_000, missing: 100_001 }, "alert"],
    ["20 orphans of 20, and a source that is not empty", { source: 1, copy: 20, orphan: 20 }, "ok"],
    ["a single orphan of an empty source", { source: 0, copy: 1, orphan: 1 }, "alert"],
    ["an empty source, and nothing that it lacks", { source: 0, copy: 20 }, "ok"],
    ["100,000 orphans of a million", { source: 900_000, copy: 1_000_000, orphan: 100_000 }, "ok"],
    ["100,001 orphans of a million", { source: 899_999, copy: 1_000_000, orphan: 100_001 }, "alert"],
    ["21 orphans that are 20 %", { source: 84, copy: 105, orphan: 21 }, "ok"],
    ["21 orphans that are more than 20 %", { source: 83, copy: 104, orphan: 21 }, "alert"],
    ["a source that is empty all of a sudden", { source: 0, copy: 1_000_000, orphan: 1_000_000 }, "alert"],
  ])("%s", (_, figures, expected) => inVain(async (tx) => expect(await verdict(tx, figures)).toBe(expected)));

  it("follows its settings", () =>
    inVain(async (tx) => {
      await settle(tx, "coherence_auto_percent", 0.5);
      expect(await verdict(tx, { source: 1_000, missing: 4 })).toBe("ok");
      expect(await verdict(tx, { source: 1_000, missing: 5 })).toBe("auto_sync");
      await settle(tx, "coherence_alert_rows", 6);
      expect(await verdict(tx, { source: 1_000, missing: 6 })).toBe("auto_sync");
      expect(await verdict(tx, { source: 1_000, missing: 7 })).toBe("alert");
      await settle(tx, "coherence_orphan_rows", 0);
      await settle(tx, "coherence_orphan_percent", 10);
      expect(await verdict(tx, { source: 10, orphan: 1 })).toBe("ok");
      expect(await verdict(tx, { source: 10, orphan: 2 })).toBe("alert");
    }));
});

describe("through the sets themselves", () => {
  it.each([
    [1_000, 49, "ok"],
    [1_000, 50, "auto_sync"],
    [1_000, 100, "auto_sync"],
    [1_000, 101, "alert"],
    [3_000, 100, "ok"],
    // More than the limit, and less than 5 %.
    [3_000, 101, "alert"],
  ])(
    "of %d objects %d are missing: %s",
    (objects, missing, expected) =>
      onBucket(async (tx) => {
        await settle(tx, "coherence_alert_rows", 100);
        await addAgreement(tx, objects - missing);
        await addObjects(tx, objects - missing + 1, objects);
        expect(await pairOf(tx, QUEUE)).toMatchObject({
          sourceCount: objects,
          copyCount: objects - missing,
          missing,
          ratio: expect.closeTo(missing / objects, 6) as number,
          verdict: expected,
        });
        await check(tx);
        const left = expected === "auto_sync" ? 0 : missing;
        expect((await differences(tx))[0]).toBe(`${left} 0 0 ${expected === "auto_sync" ? "ok" : expected}`);
      })(),
  );
});

test(
  "the command for a person is exact, whatever the bucket is called",
  onBucket(async (tx) => {
    await settle(tx, "coherence_alert_rows", 0);
    await tx.query(`
      insert into storage.buckets (id, name) values ('it''s $mine', 'it''s $mine');
      select public.watch_bucket('it''s $mine')`);
    await unseen(
      tx,
      "insert into storage.objects (bucket_id, name, version, created_at, updated_at) values ('it''s $mine', 'a', 'v', '2020-01-01', '2020-01-01')",
    );
    expect((await pairOf(tx, "queue of bucket it's $mine")).action).toBe(
      String.raw`Run: npm run accord -- coherence sync 'it'\''s $mine'`,
    );
  }),
);

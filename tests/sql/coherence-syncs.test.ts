import { describe, expect, it, test } from "vitest";
import {
  addAgreement,
  addObjects,
  AGREE,
  alerts,
  check,
  countOf,
  differences,
  ofBucket,
  onBucket,
  pairOf,
  QUEUE,
  repair,
  syncByHand,
  syncOnce,
  unseen,
} from "./support/coherence.ts";
import { settle } from "./support/embeddings.ts";
import { becomeAdmin, becomeOwner, refusalOf, valueOf } from "./support/session.ts";

describe("batches", () => {
  it(
    "each goes on where the last one ended, and tells how far it is",
    onBucket(async (tx) => {
      await addAgreement(tx, 4);
      await addObjects(tx, 5, 11);
      const states = await syncByHand(tx, 3);
      expect(states.map(({ phase, enqueued }) => `${phase} ${enqueued}`)).toEqual([
        "objects 3",
        "objects 6",
        "done 7",
      ]);
      expect(states.every(({ expectedTotal, isBusy }) => expectedTotal === 7 && !isBusy)).toBe(true);
      expect(await countOf(tx, "public.files_queue")).toBe(11);
    }),
  );

  it(
    "where little differs a batch finds it wherever it is, and is never more than full",
    onBucket(async (tx) => {
      await addAgreement(tx, 20);
      await addObjects(tx, 21, 23);
      await unseen(
        tx,
        `update storage.objects
         set version = 'v2', metadata = case name when 'f000015' then metadata else metadata || '{"eTag": "new"}' end
         where bucket_id = 'test-a' and name in ('f000015', 'f000016')`,
      );
      expect((await syncByHand(tx, 4)).map(({ phase, enqueued, noted }) => `${phase} ${enqueued} ${noted}`)).toEqual([
        "objects 3 1",
        "done 4 1",
      ]);
      expect(await differences(tx)).toEqual(AGREE);
      expect(
        await valueOf(
          tx,
          "select array_agg(file_path order by file_path) from public.files_queue where status = 'pending'",
        ),
      ).toEqual(["f000016", "f000021", "f000022", "f000023"]);
    }),
  );

  it(
    "are bounded also where nothing is read anew, because storage was restored with the same bytes",
    onBucket(async (tx) => {
      await addAgreement(tx, 12);
      await unseen(tx, "update storage.objects set version = 'v2' where bucket_id = 'test-a'");
      expect(await syncOnce(tx, 5)).toMatchObject({ enqueued: 0, noted: 5, expectedTotal: 12, phase: "objects" });
      expect(await countOf(tx, "public.files_queue where object_version = 'v2'")).toBe(5);
      expect((await pairOf(tx, QUEUE)).detail).toMatch(/ UTC: 5 of 12$/);
      await syncByHand(tx, 5);
      expect(await countOf(tx, "public.files_queue where object_version = 'v2' and status = 'completed'")).toBe(12);
    }),
  );

  it(
    "one that was broken off is gone on with by the schedule",
    onBucket(async (tx) => {
      await addObjects(tx, 1, 5);
      await syncOnce(tx, 2);
      expect(await valueOf(tx, "select reached from private.bucket_syncs")).toBe("f000002");
      // Whoever is at it is left to it: the next batch may be asked for any moment.
      await tx.query("select private.advance_syncs()");
      expect(await countOf(tx, "public.files_queue")).toBe(2);
      await tx.query("update private.bucket_syncs set asked_at = asked_at - interval '61 seconds'");
      await tx.query("select private.advance_syncs()");
      expect(await differences(tx)).toEqual(AGREE);
    }),
  );

  it(
    "what is queued meanwhile by an upload is neither queued twice nor held up",
    onBucket(async (tx) => {
      await addObjects(tx, 1, 5);
      await syncOnce(tx, 2);
      await tx.query(
        "update storage.objects set version = 'v2' where bucket_id = 'test-a' and name in ('f000001', 'f000005')",
      );
      await syncByHand(tx, 2);
      expect(
        await valueOf(
          tx,
          "select array_agg(format('%s %s %s', right(file_path, 1), revision, priority) order by file_path) from public.files_queue",
        ),
      ).toEqual(["1 2 0", "2 1 1", "3 1 1", "4 1 1", "5 1 0"]);
    }),
  );

  it(
    "above the limit nothing begins by itself, and a person may",
    onBucket(async (tx) => {
      await settle(tx, "coherence_alert_rows", 5);
      await addAgreement(tx, 4);
      await addObjects(tx, 5, 10);
      await check(tx);
      expect((await pairOf(tx, QUEUE)).action).toBe("Run: npm run accord -- coherence sync test-a");
      expect(await alerts(tx)).toEqual([QUEUE]);
      expect(await valueOf(tx, "select message from public.alerts where kind = 'coherence' and subject = $1", [QUEUE]))
        .toBe(
          `${QUEUE}: 6 missing and 0 stale of 10, 0 orphans among 4 copies. Run: npm run accord -- coherence sync test-a`,
        );
      expect(ofBucket((await repair(tx)).repaired)).toEqual([]);
      expect(await countOf(tx, "public.files_queue")).toBe(4);
      await syncByHand(tx);
      expect(await differences(tx)).toEqual(AGREE);
      await check(tx);
      expect(await alerts(tx)).toEqual([]);
    }),
  );

  it(
    "what began by itself stops when too much is missing",
    onBucket(async (tx) => {
      await settle(tx, "coherence_alert_rows", 10);
      await addAgreement(tx, 20);
      await addObjects(tx, 21, 25);
      await tx.query("select private.watch_coherence()");
      expect(await countOf(tx, "private.bucket_syncs")).toBe(1);
      await tx.query("truncate public.files_queue cascade");
      await tx.query("select private.advance_syncs()");
      expect(await countOf(tx, "public.files_queue")).toBe(0);
      expect(await countOf(tx, "private.bucket_syncs")).toBe(0);
    }),
  );

  it(
    "a person's wish widens what the schedule has begun",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await addObjects(tx, 101, 101, "2 days");
      await addObjects(tx, 102, 102, "1 minute");
      await tx.query("select private.watch_coherence()");
      expect(await syncByHand(tx)).toContainEqual(expect.objectContaining({ isDone: true, enqueued: 2 }));
      expect(await countOf(tx, "public.files_queue")).toBe(102);
    }),
  );

  it(
    "a bucket that is watched no more is not gone on with",
    onBucket(async (tx) => {
      await addObjects(tx, 1, 5);
      await syncOnce(tx, 2);
      await tx.query("select public.unwatch_bucket('test-a')");
      await tx.query("select private.advance_syncs()");
      expect(await countOf(tx, "private.bucket_syncs")).toBe(0);
      expect(await countOf(tx, "public.files_queue")).toBe(0);
    }),
  );
});

test(
  "a bucket that nobody watches, and a batch that is none, are refused with the way out",
  onBucket(async (tx) => {
    expect(await refusalOf(tx, "select public.sync_bucket('nowhere')")).toMatchObject({
      message: 'Bucket "nowhere" is not watched',
      hint: "Watched are: test-a; others join by watch_bucket().",
    });
    expect((await refusalOf(tx, "select public.sync_bucket('test-a', 0)")).message).toBe(
      "batch must be from 1 to 1000000, not 0",
    );
    await becomeAdmin(tx);
    expect(await syncOnce(tx)).toMatchObject({ isDone: true });
    await becomeOwner(tx);
  }),
);

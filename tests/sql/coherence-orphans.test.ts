import { describe, expect, it } from "vitest";
import {
  addAgreement,
  addObjects,
  alerts,
  check,
  countOf,
  differences,
  DOCUMENTS,
  onBucket,
  pairOf,
  QUEUE,
  removeObjects,
  repair,
  syncByHand,
  syncOnce,
  unseen,
} from "./support/coherence.ts";
import { settle } from "./support/embeddings.ts";
import { type Session, valueOf } from "./support/session.ts";

const documents = (tx: Session) => countOf(tx, "public.documents where bucket_id = 'test-a'");

/** As if whoever put the bucket right by hand had left a while ago. */
const leave = (tx: Session) => tx.query("update private.bucket_syncs set asked_at = asked_at - interval '1 hour'");

describe("what the breaker forbids", () => {
  it(
    "is removed by the calls that force it, and by nothing after them",
    onBucket(async (tx) => {
      await addAgreement(tx, 300);
      await removeObjects(tx, 101, 300);
      expect(await syncOnce(tx, 50, true)).toMatchObject({ removed: 50, isDone: false });
      await leave(tx);
      await tx.query("select private.advance_syncs() from generate_series(1, 3)");
      expect(await documents(tx)).toBe(250);
      expect(await syncByHand(tx)).toMatchObject([{ removed: 0, kept: 150, isDone: true }]);
      expect(await documents(tx)).toBe(250);
    }),
  );

  it(
    "is not forced by a null",
    onBucket(async (tx) => {
      await addAgreement(tx, 50);
      await removeObjects(tx, 1, 50);
      await tx.query("select public.sync_bucket('test-a', 50, null)");
      expect(await documents(tx)).toBe(50);
    }),
  );

  it(
    "stops for the orphans of a bucket also where too much is missing from it",
    onBucket(async (tx) => {
      await settle(tx, "coherence_alert_rows", 5);
      await addAgreement(tx, 100);
      await addObjects(tx, 101, 106);
      await unseen(
        tx,
        `insert into public.documents (bucket_id, file_path, metadata) values ('test-a', 'gone', '{"contentTag": "tag"}')`,
      );
      expect(await differences(tx)).toEqual(["6 0 0 alert", "0 0 1 ok"]);
      await check(tx);
      await check(tx);
      expect(await countOf(tx, "public.documents where file_path = 'gone'")).toBe(1);
      await syncByHand(tx);
      expect(await countOf(tx, "public.documents where file_path = 'gone'")).toBe(0);
    }),
  );

  it(
    "is a single document where its source is empty",
    onBucket(async (tx) => {
      await addAgreement(tx, 1);
      await removeObjects(tx, 1, 1);
      await check(tx);
      await check(tx);
      await repair(tx);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ orphan: 1, verdict: "alert" });
      expect(await documents(tx)).toBe(1);
    }),
  );
});

describe("an orphan", () => {
  it(
    "goes by itself when two checks have seen it, and one that only the second has seen does not",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await removeObjects(tx, 1, 2);
      await check(tx);
      expect(await documents(tx)).toBe(10);
      await addObjects(tx, 2, 2);
      await removeObjects(tx, 3, 3);
      await check(tx);
      expect(
        await valueOf(tx, "select array_agg(file_path order by file_path) from private.orphans_of('test-a')"),
      ).toEqual(["f000003"]);
      expect(await documents(tx)).toBe(9);
      await check(tx);
      expect(await documents(tx)).toBe(8);
      expect(await countOf(tx, "private.seen_orphans")).toBe(0);
    }),
  );

  it(
    "goes at once where a person puts the bucket right",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await removeObjects(tx, 1, 2);
      expect(await syncByHand(tx)).toMatchObject([{ removed: 2, isDone: true }]);
      expect(await documents(tx)).toBe(8);
    }),
  );
});

describe("a copy whose object is there and does not count", () => {
  const told = (rows: number) =>
    `${rows} whose objects are there and do not count (watch_bucket() says which do); to remove them: ` +
    "npm run accord -- coherence sync test-a --force";

  it(
    "stays, as where a restore has lost what is known of the objects, until somebody forces it",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await tx.query("select public.watch_bucket('test-a', types => '{text/*}')");
      await unseen(
        tx,
        "update storage.objects set metadata = null where bucket_id = 'test-a' and substr(name, 2)::int <= 15",
      );
      expect(await pairOf(tx, QUEUE)).toMatchObject({ sourceCount: 85, orphan: 0, verdict: "ok", detail: told(15) });
      // Beside one whose object is gone.
      await removeObjects(tx, 100, 100);
      await check(tx);
      await check(tx);
      await syncByHand(tx);
      expect(await countOf(tx, "public.documents where file_path = 'f000100'")).toBe(0);
      expect(await documents(tx)).toBe(99);
      expect(await syncByHand(tx, null, true)).toMatchObject([{ removed: 15 }]);
      expect(await documents(tx)).toBe(84);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ detail: null });
    }),
  );

  it(
    "stays where a bucket is watched again, and not all of it",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await tx.query("select public.unwatch_bucket('test-a')");
      await tx.query("select public.watch_bucket('test-a', 'in/**')");
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({ orphan: 0, verdict: "ok", detail: told(10) });
      await check(tx);
      await check(tx);
      expect(await documents(tx)).toBe(10);
    }),
  );
});

describe("a bucket that is being put right", () => {
  it(
    "is left as it is where somebody stops it",
    onBucket(async (tx) => {
      await settle(tx, "coherence_alert_rows", 3);
      await addObjects(tx, 1, 9);
      await syncOnce(tx, 5);
      expect(await valueOf(tx, "select public.stop_sync('test-a')")).toEqual({
        bucketId: "test-a",
        wasUnderWay: true,
        enqueued: 5,
        removed: 0,
      });
      await check(tx);
      expect(await countOf(tx, "public.files_queue")).toBe(5);
      expect(await alerts(tx)).toEqual([QUEUE]);
      expect(await valueOf(tx, "select public.stop_sync('test-a')")).toMatchObject({ wasUnderWay: false });
    }),
  );
});

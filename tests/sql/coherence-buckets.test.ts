import { describe, expect, it } from "vitest";
import {
  addAgreement,
  addObjects,
  AGREE,
  alerts,
  check,
  countOf,
  differences,
  DOCUMENTS,
  ofBucket,
  onBucket,
  pairOf,
  QUEUE,
  removeObjects,
  repair,
  syncByHand,
  unseen,
} from "./support/coherence.ts";
import { settle } from "./support/embeddings.ts";
import { valueOf } from "./support/session.ts";

describe("what differs is found in the sets", () => {
  it(
    "where all agree there is nothing, and nothing is done",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      expect(await differences(tx)).toEqual(AGREE);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ sourceCount: 10, copyCount: 10, action: null, detail: null });
      await check(tx);
      expect(await countOf(tx, "public.files_queue where status <> 'completed'")).toBe(0);
    }),
  );

  it(
    "swaps that leave both counts as they were",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await removeObjects(tx, 1, 3);
      await addObjects(tx, 101, 103);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ sourceCount: 100, copyCount: 100, missing: 3, orphan: 3 });
      await unseen(
        tx,
        `update storage.objects as o set version = case name when 'f000010' then 'v2' else 'v3' end
         where bucket_id = 'test-a' and name in ('f000010', 'f000011')`,
      );
      expect((await differences(tx))[0]).toBe("3 2 3 auto_sync");
    }),
  );

  it(
    "a completed file without its document, with one of other bytes, and a document that nothing stands behind",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await unseen(tx, "delete from public.documents where file_path = 'f000001'");
      await unseen(
        tx,
        `update public.documents set metadata = '{"contentTag": "other"}' where file_path = 'f000002' and bucket_id = 'test-a'`,
      );
      await unseen(
        tx,
        `insert into public.documents (bucket_id, file_path, metadata)
         values ('test-a', 'gone', '{"contentTag": "tag"}'), ('test-a', 'by hand', '{}')`,
      );
      expect(await differences(tx)).toEqual(["0 0 0 ok", "1 1 1 ok"]);
      expect(ofBucket((await repair(tx)).repaired)).toEqual([{ pair: DOCUMENTS, rows: 3 }]);
      await tx.query("select private.advance_syncs()");
      expect(
        await valueOf(
          tx,
          "select array_agg(file_path order by file_path) from public.files_queue where status = 'pending'",
        ),
      )
        .toEqual(["f000001", "f000002"]);
      await check(tx);
      expect(await countOf(tx, "public.documents where file_path = 'gone'")).toBe(0);
      expect(await countOf(tx, "public.documents where file_path = 'by hand'")).toBe(1);
      expect(await pairOf(tx, DOCUMENTS)).toMatchObject({ missing: 0, stale: 0, orphan: 0, inFlight: 2 });
    }),
  );

  it(
    "what does not count is not missed: other paths, other types, other buckets",
    onBucket(async (tx) => {
      await tx.query("select public.watch_bucket('test-a', 'in/*', '{text/*}')");
      await unseen(
        tx,
        `insert into storage.objects (bucket_id, name, version, metadata, created_at, updated_at)
         select 'test-a', name, 'v', jsonb_build_object('mimetype', type), '2020-01-01', '2020-01-01'
         from (values ('in/a', 'text/plain'), ('in/b', 'image/png'), ('out/c', 'text/plain')) as o (name, type)`,
      );
      expect(await pairOf(tx, QUEUE)).toMatchObject({ sourceCount: 1, missing: 1 });
      await check(tx);
      expect(await valueOf(tx, "select array_agg(file_path) from public.files_queue")).toEqual(["in/a"]);
    }),
  );

  it(
    "an object whose row says nothing of its age is missing all the same",
    onBucket(async (tx) => {
      await addObjects(tx, 1, 1);
      await unseen(tx, "update storage.objects set created_at = null, updated_at = null where bucket_id = 'test-a'");
      expect((await differences(tx))[0]).toBe("1 0 0 auto_sync");
      await check(tx);
      expect(await differences(tx)).toEqual(AGREE);
    }),
  );
});

describe("time", () => {
  it(
    "what has just been uploaded is in flight, and missing when the grace is over",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await addObjects(tx, 11, 11, "299 seconds");
      await unseen(
        tx,
        "update storage.objects set version = 'v2', updated_at = now() where bucket_id = 'test-a' and name = 'f000001'",
      );
      expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 0, stale: 0, inFlight: 2, verdict: "ok", action: null });
      await check(tx);
      expect(await countOf(tx, "public.files_queue")).toBe(10);
      await addObjects(tx, 12, 12, "301 seconds");
      expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 1, inFlight: 2 });
    }),
  );

  it(
    "below 5 % what is older than a day heals, and what is younger waits",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await addObjects(tx, 101, 101, "23 hours 59 minutes");
      expect((await pairOf(tx, QUEUE)).action).toBe(
        "Heals by itself when older than 1 day; at once: npm run accord -- coherence sync test-a",
      );
      await check(tx);
      expect((await differences(tx))[0]).toBe("1 0 0 ok");
      await addObjects(tx, 102, 102, "24 hours 1 minute");
      await check(tx);
      expect((await differences(tx))[0]).toBe("1 0 0 ok");
      expect(await valueOf(tx, "select array_agg(file_path) from public.files_queue where status = 'pending'")).toEqual(
        [
          "f000102",
        ],
      );
      await settle(tx, "coherence_heal_after_seconds", 3600);
      await check(tx);
      expect(await differences(tx)).toEqual(AGREE);
    }),
  );

  it(
    "whoever asks need not wait for it",
    onBucket(async (tx) => {
      await addAgreement(tx, 100);
      await addObjects(tx, 101, 101);
      expect(ofBucket((await repair(tx)).repaired)).toEqual([{ pair: QUEUE, rows: 1 }]);
      expect(await pairOf(tx, QUEUE)).toMatchObject({
        detail: expect.stringMatching(/^being put right since .+ UTC: 0 of 1$/),
      });
      await tx.query("select private.advance_syncs()");
      expect((await differences(tx))[0]).toBe("0 0 0 ok");
    }),
  );

  it(
    "what the trigger could not record is told until the schedule has seen to it",
    onBucket(async (tx) => {
      await tx.query("alter table public.files_queue rename column progress to progress_");
      await tx.query("insert into storage.objects (bucket_id, name, version) values ('test-a', 'missed', 'v')");
      await tx.query("alter table public.files_queue rename column progress_ to progress");
      expect((await pairOf(tx, QUEUE)).detail).toBe("1 that the trigger could not record and the schedule sees to");
      await tx.query("select private.settle_missed_objects()");
      expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 0, inFlight: 0, detail: null });
    }),
  );
});

describe("disasters", () => {
  it(
    "after a TRUNCATE of the queue all is queued again, and no document is taken for an orphan",
    onBucket(async (tx) => {
      await addAgreement(tx, 60);
      await tx.query("truncate public.files_queue cascade");
      expect(await differences(tx)).toEqual(["60 0 0 auto_sync", "0 0 0 ok"]);
      expect((await pairOf(tx, DOCUMENTS)).detail).toBe("60 whose objects are not in the queue");
      await check(tx);
      expect(await differences(tx)).toEqual(AGREE);
      expect(await countOf(tx, "public.files_queue where priority = 1 and status = 'pending'")).toBe(60);
      expect(await countOf(tx, "public.documents where bucket_id = 'test-a'")).toBe(60);
    }),
  );

  it.each([
    ["alter table storage.objects disable trigger accord_files", "is disabled"],
    ["drop trigger accord_files on storage.objects", "is missing"],
  ])("%s is told as such, and what was not seen is put right all the same", (broken, told) =>
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await tx.query(broken);
      await tx.query(
        "insert into storage.objects (bucket_id, name, version, created_at, updated_at) values ('test-a', 'new', 'v', '2020-01-01', '2020-01-01')",
      );
      const said =
        `Uploads are not seen, because the trigger accord_files on storage.objects ${told}; npm run accord -- doctor names the mend.`;
      expect(await pairOf(tx, QUEUE)).toMatchObject({
        missing: 1,
        verdict: "alert",
        action: `${said} Is put right in the background; at once: npm run accord -- coherence sync test-a`,
      });
      await check(tx);
      expect(await alerts(tx)).toEqual([QUEUE]);
      expect(await pairOf(tx, QUEUE)).toMatchObject({ missing: 0, verdict: "alert", action: said });
      await tx.query(
        await valueOf<string>(
          tx,
          "select substring(mend from 'Run: (.+); then') from private.files_health() where name = 'trigger on storage.objects'",
        ),
      );
      await check(tx);
      expect(await alerts(tx)).toEqual([]);
      expect(await differences(tx)).toEqual(AGREE);
    })());

  it(
    "a backup of storage that lacks a part: nothing is removed by itself, and all of it by a person who has looked",
    onBucket(async (tx) => {
      await addAgreement(tx, 104);
      await removeObjects(tx, 84, 104);
      const told =
        "21 of 104 copies have no source. See that it is complete; if so, run: npm run accord -- coherence sync test-a --force";
      expect(await pairOf(tx, QUEUE)).toMatchObject({ orphan: 21, verdict: "alert", action: told });
      await check(tx);
      expect(await alerts(tx)).toEqual([QUEUE]);
      expect(ofBucket((await repair(tx)).left)).toContainEqual({ pair: QUEUE, action: told });
      expect(await syncByHand(tx)).toEqual([expect.objectContaining({ kept: 21, removed: 0, isDone: true })]);
      expect(await countOf(tx, "public.documents where bucket_id = 'test-a'")).toBe(104);
      expect((await syncByHand(tx, 10, true)).map(({ removed }) => removed)).toEqual([10, 20, 21]);
      expect(await differences(tx)).toEqual(AGREE);
      expect(await countOf(tx, "public.documents where bucket_id = 'test-a'")).toBe(83);
      await check(tx);
      expect(await alerts(tx)).toEqual([]);
    }),
  );

  it(
    "few orphans go by themselves, with their documents, and nothing else goes",
    onBucket(async (tx) => {
      await addAgreement(tx, 105);
      await removeObjects(tx, 85, 105);
      await unseen(tx, "insert into public.documents (bucket_id, file_path) values ('other', 'f000085')");
      expect((await differences(tx))[0]).toBe("0 0 21 ok");
      await check(tx);
      // What one check alone has seen may be about to be uploaded anew.
      expect((await differences(tx))[0]).toBe("0 0 21 ok");
      await check(tx);
      expect(await differences(tx)).toEqual(AGREE);
      expect(await countOf(tx, "public.files_queue")).toBe(84);
      expect(await countOf(tx, "public.documents where bucket_id = 'test-a'")).toBe(84);
      expect(await countOf(tx, "public.documents where bucket_id = 'other'")).toBe(1);
    }),
  );

  it(
    "storage that was emptied takes nothing along",
    onBucket(async (tx) => {
      await addAgreement(tx, 50);
      await removeObjects(tx, 1, 50);
      await check(tx);
      await repair(tx);
      await check(tx);
      expect(await countOf(tx, "public.files_queue")).toBe(50);
      expect(await countOf(tx, "public.documents where bucket_id = 'test-a'")).toBe(50);
    }),
  );

  it(
    "a backup of the queue that is older than storage: other versions are queued anew, the same bytes only noted",
    onBucket(async (tx) => {
      await addAgreement(tx, 10);
      await unseen(
        tx,
        `update storage.objects
         set version = 'v2', metadata = case when name <= 'f000004' then metadata else metadata || '{"eTag": "new"}' end
         where bucket_id = 'test-a' and name <= 'f000006'`,
      );
      expect((await differences(tx))[0]).toBe("0 6 0 auto_sync");
      await check(tx);
      expect(await differences(tx)).toEqual(AGREE);
      expect(
        await valueOf(
          tx,
          "select array_agg(file_path order by file_path) from public.files_queue where status = 'pending'",
        ),
      )
        .toEqual(["f000005", "f000006"]);
      expect(await countOf(tx, "public.files_queue where object_version = 'v2'")).toBe(6);
    }),
  );
});

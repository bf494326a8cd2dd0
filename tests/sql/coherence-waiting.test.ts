import { describe, expect, it, test } from "vitest";
import { addAgreement, alerts, check, countOf, DOCUMENTS, onBucket, pairOf, unseen } from "./support/coherence.ts";
import { onRows } from "./support/embeddings.ts";
import type { Session } from "./support/session.ts";

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

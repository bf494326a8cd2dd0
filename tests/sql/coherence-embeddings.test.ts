import { describe, expect, test } from "vitest";
import { embedded } from "../support/sql-worker.ts";
import { check, pairOf } from "./support/coherence.ts";
import { embedAll, onRows, waiting } from "./support/embeddings.ts";
import type { Session } from "./support/session.ts";

const ROWS = "embeddings of test_rows";

const unseenRows = (tx: Session, sql: string) =>
  tx.query(
    `alter table public.test_rows disable trigger user; ${sql}; alter table public.test_rows enable trigger user`,
  );

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

import { expect, test } from "vitest";
import { SqlWorker } from "../support/sql-worker.ts";
import {
  count,
  embedAll,
  list,
  makeTable,
  onBareGround,
  onRows,
  prepare,
  settle,
  SMALL,
  waiting,
} from "./support/embeddings.ts";
import { refusalOf, type Session, superuserUrl, valueOf } from "./support/session.ts";

const advance = (tx: Session) => valueOf<number>(tx, "select private.advance_backfills()::int");
const begin = (tx: Session, table = "test_rows") => tx.query("select private.begin_backfill($1)", [table]);

const reached = (tx: Session) =>
  list(
    tx,
    "select format('%s %s %s', phase, reached, enqueued) from private.embedding_backfills order by source_table",
  );

const queued = (tx: Session) =>
  list(
    tx,
    "select source_id from public.embedding_sync_queue where processed_at is null order by priority, visible_at, source_id",
  );

/** What waits is done, as if a worker had been there. */
const complete = (tx: Session) =>
  tx.query("update public.embedding_sync_queue set status = 'completed', processed_at = clock_timestamp()");

/** All batches there are, each embedded before the next; gives the ids of each. */
async function batches(tx: Session): Promise<string[][]> {
  const all: string[][] = [];
  for (let round = 0; round < 20; round++) {
    await tx.query("delete from public.embedding_sync_queue");
    if (await advance(tx) === 0) return all;
    all.push(await queued(tx));
  }
  throw new Error("There is no end to the batches.");
}

test(
  "a table of more rows than a batch has the first one queued when it joins, and says that it is catching up",
  onBareGround(async (tx) => {
    await settle(tx, "embedding_backfill_batch", 10);
    await makeTable(tx, 25);
    expect(await queued(tx)).toHaveLength(10);
    expect(await reached(tx)).toEqual(["rows 10 10"]);
    expect(
      await valueOf(tx, "select is_catching_up from public.embedding_sync_status where source_table = 'test_rows'"),
    )
      .toBe(true);
  }),
);

test(
  "batches go on from the last key, each row is queued once, and then it is over",
  onRows(async (tx) => {
    await settle(tx, "embedding_backfill_batch", 4);
    await begin(tx);
    expect(await batches(tx)).toEqual([["1", "2", "3", "4"], ["5", "6", "7", "8"], ["10", "9"]]);
    expect(await reached(tx)).toEqual([]);
  }, 10),
);

test(
  "no second batch is queued while one waits, and one row done makes room",
  onRows(async (tx) => {
    await settle(tx, "embedding_backfill_batch", 4);
    await complete(tx);
    await begin(tx);
    expect([await advance(tx), await advance(tx), await advance(tx)]).toEqual([4, 0, 0]);
    expect(await queued(tx)).toEqual(["1", "2", "3", "4"]);
    await tx.query(`update public.embedding_sync_queue set status = 'completed', processed_at = clock_timestamp()
      where source_id = '1'`);
    expect(await advance(tx)).toBe(4);
  }, 10),
);

test(
  "keys that are composite, and texts of any kind, are gone through in their order and none is left out",
  onBareGround(async (tx) => {
    await tx.query(`
      create table public.test_pairs (tenant int, "order" text, body text, primary key (tenant, "order"));
      insert into public.test_pairs
      select t, k, 'x' from generate_series(1, 2) as t,
        unnest(array['', ' ', '''', '"', '\\', '{"a": 1}', 'é', 'Z', 'a', '%s', '$1', E'a\\nb', '🙂', 'null']) as k;
      create table public.test_texts ("Key" text primary key, body text);
      insert into public.test_texts select "order", 'x' from public.test_pairs where tenant = 1`);
    await settle(tx, "embedding_backfill_batch", 3);
    for (
      const [table, rows, id] of [
        ["test_pairs", 28, `jsonb_build_object('tenant', tenant, 'order', "order")::text`],
        ["test_texts", 14, `"Key"`],
      ] as const
    ) {
      await tx.query("select public.register_embedding_source($1, 'body')", [`public.${table}`]);
      await tx.query("delete from private.embedding_backfills");
      await begin(tx, table);
      const found = (await batches(tx)).flat();
      expect(found).toHaveLength(rows);
      expect(new Set(found)).toEqual(new Set(await list(tx, `select ${id} from public.${table}`)));
    }
  }),
);

test(
  "an edit is claimed before all that is being caught up with, also one of a row that waits for that",
  onRows(async (tx, worker) => {
    await complete(tx);
    await begin(tx);
    await advance(tx);
    await tx.query("update public.test_rows set body = 'edited' where id = 3");
    await tx.query("insert into public.test_rows values (9, 'new')");
    expect((await worker.claim(2)).map(({ sourceId }) => sourceId)).toEqual(["3", "9"]);
    // And what is caught up with later makes no edit wait.
    await begin(tx);
    await advance(tx);
    expect(await valueOf(tx, "select priority from public.embedding_sync_queue where source_id = '3'")).toBe(0);
  }, 5),
);

test(
  "rows that were deleted or unpublished while nobody watched lose their copies when their table joins again",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await tx.query(`
      alter table public.test_rows disable trigger user;
      delete from public.test_rows where id = 1;
      update public.test_rows set is_public = false where id = 2;
      alter table public.test_rows enable trigger user`);
    expect(await waiting(tx)).toEqual([]);
    await tx.query("select public.register_embedding_source('public.test_rows', 'body || id', 'is_public')");
    await embedAll(worker);
    expect(await list(tx, "select source_id from private.embedded_rows")).toEqual(["3"]);
    expect(await reached(tx)).toEqual([]);
  }),
);

test(
  "a table that was dropped and made anew under its name is looked at again when it joins",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await tx.query(`
      drop table public.test_rows;
      create table public.test_rows (id int primary key, body text, is_public boolean default true);
      insert into public.test_rows values (1, 'another'), (7, 'new')`);
    await tx.query("select public.register_embedding_source('public.test_rows', 'body', 'is_public')");
    await embedAll(worker);
    expect(await list(tx, "select source_id || ' ' || content from public.documentation_embeddings order by 1"))
      .toEqual(["1 another", "7 new"]);
  }),
);

test(
  "a text given in place of a row's own outlives what is caught up with and the cleaning up, and ends with an edit",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await tx.query("select public.enqueue_embedding('test_rows', '1', 'given')");
    await embedAll(worker);
    await tx.query("update public.embedding_sync_queue set processed_at = now() - interval '400 days'");
    expect(await valueOf(tx, "select public.clean_up_embedding_queue()::int")).toBe(2);
    await prepare(tx);
    await embedAll(worker);
    const texts = () =>
      list(tx, "select content from public.documentation_embeddings where source_id = '1' order by profile");
    expect(await texts()).toEqual(["given", "given"]);
    await tx.query("update public.test_rows set body = 'own' where id = 1");
    await embedAll(worker);
    expect(await texts()).toEqual(["own", "own"]);
  }),
);

// How a source is cut

test.each([
  ["15", "chunk_tokens must be from 16 to 8000, not 15"],
  ["8001", "chunk_tokens must be from 16 to 8000, not 8001"],
  ["100, 50", "chunk_overlap must be less than half of chunk_tokens, which is 100, not 50"],
  ["100, -1", "chunk_overlap must be less than half of chunk_tokens, which is 100, not -1"],
  ["null, 10", "chunk_overlap must be less than half of chunk_tokens, which is not given, not 10"],
])("chunks of a source cut by %s are refused", (cut, said) =>
  onRows(async (tx) => {
    const call = `select public.register_embedding_source('public.test_rows', 'body', 'is_public', ${cut})`;
    expect((await refusalOf(tx, call)).message).toBe(said);
  })());

// As many workers as the work deserves

/** Calls of the worker that the schedule makes now. */
async function dispatched(tx: Session): Promise<number> {
  await tx.query("delete from net.http_request_queue");
  await tx.query("select private.dispatch_embeddings()");
  return await count(tx, "net.http_request_queue where url like '%/process-embedding-queue'");
}

const run = (tx: Session, workers: number, secondsAgo = 0) =>
  tx.query(
    `insert into private.workers
     select gen_random_uuid(), 'process-embedding-queue', clock_timestamp() - make_interval(secs => $2) from generate_series(1, $1::int)`,
    [workers, secondsAgo],
  );

/** Twenty-five rows, ten to a worker, and at most so many workers. */
const onMuch = (workers: number, work: (tx: Session, worker: SqlWorker) => Promise<void>) =>
  onRows(
    async (tx, worker) => {
      await tx.query("delete from private.workers");
      await tx.query(`select public.set_setting('embedding_wake', '"cron"')`);
      await settle(tx, "embedding_rows_per_worker", 10);
      await settle(tx, "embedding_workers", workers);
      await work(tx, worker);
      // As the superuser: nobody else may see the calls that wait.
    },
    25,
    superuserUrl(),
  );

test(
  "the schedule calls a worker for each so many rows that are due, less those that run",
  onMuch(4, async (tx) => {
    expect(await dispatched(tx)).toBe(3);
    await run(tx, 2);
    expect(await dispatched(tx)).toBe(1);
    await run(tx, 2);
    expect(await dispatched(tx)).toBe(0);
  }),
);

test(
  "the schedule never calls more workers than may run",
  onMuch(2, async (tx) => {
    expect(await dispatched(tx)).toBe(2);
  }),
);

test(
  "while a provider in use has not answered since it failed, one worker alone is called",
  onMuch(4, async (tx) => {
    await tx.query("insert into private.embedding_providers (provider, failures) values ('unused', 1)");
    expect(await dispatched(tx)).toBe(3);
    await tx.query("insert into private.embedding_providers (provider, failures) values ('test', 1)");
    expect(await dispatched(tx)).toBe(1);
  }),
);

test(
  "a worker beyond those that may run is told so, until one ends or has given no sign for as long as a call lasts",
  onMuch(2, async (tx, worker) => {
    const others = [new SqlWorker(tx, SMALL), new SqlWorker(tx, SMALL)] as const;
    expect(await worker.tokens(1)).toHaveLength(1);
    expect(await others[0].tokens(1)).toHaveLength(1);
    expect([await others[1].tokens(1), others[1].idle]).toEqual([[], "enough_workers"]);
    // Who is in stays in.
    expect(await worker.tokens(1)).toHaveLength(1);
    await others[0].end();
    expect(await others[1].tokens(1)).toHaveLength(1);
    const late = new SqlWorker(tx, SMALL);
    const silentFor = (seconds: number) =>
      tx.query(
        "update private.workers set seen_at = clock_timestamp() - make_interval(secs => $2) where worker = $1",
        [
          worker.id,
          seconds,
        ],
      );
    await silentFor(140);
    expect([await late.tokens(1), late.idle]).toEqual([[], "enough_workers"]);
    await silentFor(151);
    expect(await late.tokens(1)).toHaveLength(1);
  }),
);

test(
  "a worker that ends wakes the next one if there is work and room",
  onMuch(1, async (tx, worker) => {
    const calledBy = async () => {
      await tx.query("delete from net.http_request_queue");
      const due = await worker.end();
      return [due, await count(tx, "net.http_request_queue where url like '%/process-embedding-queue'")];
    };
    expect(await calledBy()).toEqual([25, 1]);
    await run(tx, 1);
    expect(await calledBy()).toEqual([25, 0]);
    await tx.query("delete from private.workers");
    await complete(tx);
    expect(await calledBy()).toEqual([0, 0]);
  }),
);

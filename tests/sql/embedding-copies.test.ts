import { expect, test } from "vitest";
import type { CopiedChunk, Job } from "../../shared/embeddings/queue.ts";
import { chunksOf, embedded } from "../support/sql-worker.ts";
import {
  claimOne,
  copies,
  count,
  embedAll,
  list,
  onRows,
  problems,
  resultOf,
  SMALL,
  waiting,
} from "./support/embeddings.ts";
import { become, refusalOf, type Session, valueOf } from "./support/session.ts";

const edit = (tx: Session, body: string, id = 1) =>
  tx.query("update public.test_rows set body = $1 where id = $2", [body, id]);

const places = (tx: Session) =>
  list(
    tx,
    `select format('%s %s %s %s', content, chunk_index, occurrence, embedding) from public.documentation_embeddings
    where source_id = '1' order by chunk_index`,
  );

const prepareSecond = (tx: Session) =>
  tx.query("select public.prepare_embedding_profile('test:second:3', 'elsewhere', 'm', 3, 400, 0, '{chunk}')");

/** In two profiles at once: of two numbers, and of three. */
const inBoth = (job: Job) => {
  const { token, copies } = embedded(job);
  return {
    token,
    copies: copies.map((copy) => ({
      ...copy,
      chunks: copy.chunks.map((chunk) => ({ ...chunk, embedding: copy.profile === SMALL.name ? "[1,0]" : "[1,0,0]" })),
    })),
  };
};

test(
  "a chunk that moved keeps its vector and is not paid again, and one that stayed is not even written",
  onRows(async (tx, worker) => {
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["a", "b", "c"]))]);
    await tx.query("update public.documentation_embeddings set embedding = '[0,1]'");
    const version = () =>
      list(tx, "select format('%s %s', content, ctid) from public.documentation_embeddings order by content");
    const before = await version();
    await edit(tx, "a longer text");
    // The vectors that come along for what is there already are not written: equal texts have equal vectors.
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["a", "new", "b", "=c"]))]);
    expect(await places(tx)).toEqual(["a 0 0 [0,1]", "new 1 0 [1,0]", "b 2 0 [0,1]", "c 3 0 [0,1]"]);
    const after = await version();
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(await valueOf(tx, "select chunk_count from private.embedded_rows where source_id = '1'")).toBe(4);
  }, 1),
);

test(
  "a chunk that moved has the place and the headings of where it is now",
  onRows(async (tx, worker) => {
    const placed = (chunk: CopiedChunk | undefined, start: number): CopiedChunk[] =>
      chunk === undefined ? [] : [{ ...chunk, metadata: { start, end: start + 1, headings: ["H"] } }];
    await worker.finish([resultOf(await claimOne(worker), placed(chunksOf(["a"])[0], 0))]);
    await edit(tx, "  a");
    await worker.finish([resultOf(await claimOne(worker), placed(chunksOf(["=a"])[0], 2))]);
    expect(await valueOf(tx, "select metadata from public.documentation_embeddings")).toEqual({
      start: 2,
      end: 3,
      headings: ["H"],
    });
  }, 1),
);

test(
  "a text that another row has in the same profile is known, and its vector is taken from there",
  onRows(async (tx, worker) => {
    const [one, two] = await worker.claim();
    await worker.finish([embedded(one as Job, () => ["shared"])]);
    await tx.query("update public.documentation_embeddings set embedding = '[0,1]'");
    const known = "select public.known_embeddings($1, array['hash of shared', 'hash of nobody'])";
    expect(await valueOf(tx, known, [SMALL.name])).toEqual({ copied: ["hash of shared"], stocked: [] });
    expect(await valueOf(tx, known, ["test:other:2"])).toEqual({ copied: [], stocked: [] });
    expect(await worker.finish([embedded(two as Job, () => ["=shared"])])).toEqual({ [two?.token ?? ""]: "completed" });
    expect(await copies(tx)).toEqual(["1 0 shared", "2 0 shared"]);
    expect(await count(tx, "public.documentation_embeddings where embedding::text = '[0,1]'")).toBe(2);
  }, 2),
);

test(
  "a vector that was to be taken from a row that has gone leaves its row unfinished, unwritten and due at once",
  onRows(async (tx, worker) => {
    const [one, two] = await worker.claim();
    await worker.finish([embedded(one as Job, () => ["shared"])]);
    await tx.query("delete from public.test_rows where id = 1");
    await embedAll(worker);
    expect(await worker.finish([embedded(two as Job, () => ["first", "=shared"])]))
      .toEqual({ [two?.token ?? ""]: "unfinished" });
    expect(await copies(tx)).toEqual([]);
    expect(await count(tx, "private.embedded_rows")).toBe(0);
    const again = await claimOne(worker);
    expect([again.sourceId, again.content]).toEqual(["2", "text 2"]);
    expect(await valueOf(tx, "select retry_count from public.embedding_sync_queue where source_id = '2'")).toBe(1);
  }, 2),
);

test(
  "a vector that vanishes while its row is being written is written all the same",
  onRows(async (tx, worker) => {
    const [one, two] = await worker.claim();
    await worker.finish([embedded(one as Job, () => ["shared"])]);
    // Another worker, between two statements of this one.
    await tx.query(`
      create function pg_temp.interfere() returns trigger language plpgsql as
        'begin delete from public.documentation_embeddings where source_id = ''1''; return new; end';
      create trigger interfere before insert on private.embedded_rows for each row execute function pg_temp.interfere()`);
    expect(Object.values(await worker.finish([embedded(two as Job, () => ["=shared"])]))).toEqual(["completed"]);
    expect(await copies(tx)).toEqual(["2 0 shared"]);
  }, 2),
);

test(
  "equal chunks of a row are as many copies, and each occurrence goes with its own",
  onRows(async (tx, worker) => {
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["x", "y", "x", "x"]))]);
    expect(await places(tx)).toEqual(["x 0 0 [1,0]", "y 1 0 [1,0]", "x 2 1 [1,0]", "x 3 2 [1,0]"]);
    await edit(tx, "shorter");
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["=x", "=x"]))]);
    expect(await places(tx)).toEqual(["x 0 0 [1,0]", "x 1 1 [1,0]"]);
    expect(await problems(tx)).toEqual([]);
  }, 1),
);

test(
  "vectors in stock are known, are used by the row that needs them, and are gone from the stock then",
  onRows(async (tx, worker) => {
    const job = await claimOne(worker);
    const stock = (hash: string) =>
      tx.query("select public.stock_embeddings($1, $2)", [
        SMALL.name,
        JSON.stringify([{ hash, embedding: "[0,1]" }, { hash, embedding: "[0,1]" }]),
      ]);
    await stock("hash of a");
    await stock("hash of unused");
    await stock("hash of a");
    expect(await valueOf(tx, "select public.known_embeddings($1, array['hash of a', 'b'])", [SMALL.name]))
      .toEqual({ copied: [], stocked: ["hash of a"] });
    expect(await worker.finish([resultOf(job, chunksOf(["=a", "b"]))])).toEqual({ [job.token]: "completed" });
    expect(await places(tx)).toEqual(["a 0 0 [0,1]", "b 1 0 [1,0]"]);
    expect(await list(tx, "select content_hash from private.embedding_stock")).toEqual(["hash of unused"]);
    await tx.query("update private.embedding_stock set created_at = now() - interval '8 days'");
    await tx.query("select public.clean_up_embedding_queue()");
    expect(await count(tx, "private.embedding_stock")).toBe(0);
  }, 1),
);

test(
  "vectors of a profile that was retired meanwhile are let go without a fault",
  onRows(async (tx) => {
    await tx.query(`select public.stock_embeddings('test:gone:2', '[{"hash": "h", "embedding": "[1,0]"}]')`);
    expect(await count(tx, "private.embedding_stock")).toBe(0);
  }, 1),
);

test(
  "a text that has become another one has none of its old chunks left",
  onRows(async (tx, worker) => {
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["a", "b"]))]);
    await edit(tx, "other");
    await worker.finish([resultOf(await claimOne(worker), chunksOf(["c", "d", "e"]))]);
    expect(await copies(tx)).toEqual(["1 0 c", "1 1 d", "1 2 e"]);
  }, 1),
);

test(
  "a row without text is known with no chunks: it is neither missing nor looked at again",
  onRows(async (tx, worker) => {
    await edit(tx, "");
    const job = await claimOne(worker);
    expect([job.content, job.isGone]).toEqual(["", false]);
    expect(await worker.finish([resultOf(job, [])])).toEqual({ [job.token]: "completed" });
    expect(await list(tx, "select format('%s %s', source_id, chunk_count) from private.embedded_rows")).toEqual([
      "1 0",
    ]);
    expect(await problems(tx)).toEqual([]);
    await tx.query("select private.begin_backfill('test_rows')");
    expect((await claimOne(worker)).targets).toMatchObject([{ isUnchanged: true }]);
  }, 1),
);

test(
  "a row that is finished for one of two profiles is unfinished, keeps that copy, and then lacks the other alone",
  onRows(async (tx, worker) => {
    await prepareSecond(tx);
    const job = await claimOne(worker);
    expect(job.targets.map(({ profile }) => profile).sort()).toEqual(["test:second:3", SMALL.name]);
    expect(await worker.finish([embedded(job, undefined, [SMALL.name as string])])).toEqual({
      [job.token]: "unfinished",
    });
    expect(await copies(tx)).toEqual(["1 0 text 1"]);
    expect(await waiting(tx)).toEqual(["1 pending"]);
    const again = await claimOne(worker);
    expect(new Map(again.targets.map((t) => [t.profile, t.isUnchanged])))
      .toEqual(new Map([[SMALL.name, true], ["test:second:3", false]]));
    expect(await worker.finish([inBoth(again)])).toEqual({ [again.token]: "completed" });
    expect(await copies(tx, "test:second:3")).toEqual(["1 0 text 1"]);
  }, 1),
);

test(
  "a row that fails in one profile keeps what it has in another, and is charged",
  onRows(async (tx, worker) => {
    await prepareSecond(tx);
    const job = await claimOne(worker);
    const result = {
      ...embedded(job, undefined, [SMALL.name as string]),
      failure: { message: "no", permanent: false },
    };
    expect(await worker.finish([result])).toEqual({ [job.token]: "retry" });
    expect(await copies(tx)).toEqual(["1 0 text 1"]);
    expect(
      await list(tx, "select format('%s %s %s', status, retry_count, last_error) from public.embedding_sync_queue"),
    )
      .toEqual(["pending 1 no"]);
  }, 1),
);

test(
  "a profile that went out of use while its row was embedded is not written, and holds nothing up",
  onRows(async (tx, worker) => {
    await prepareSecond(tx);
    const job = await claimOne(worker);
    await tx.query("update private.embedding_profiles set state = 'kept' where name = 'test:second:3'");
    expect(await worker.finish([inBoth(job)])).toEqual({ [job.token]: "completed" });
    expect(await copies(tx)).toEqual(["1 0 text 1"]);
    expect(await copies(tx, "test:second:3")).toEqual([]);
  }, 1),
);

test(
  "a profile that came into use while a row was embedded has the row done again",
  onRows(async (tx, worker) => {
    const job = await claimOne(worker);
    await prepareSecond(tx);
    expect(Object.values(await worker.finish([embedded(job)]))).toEqual(["unfinished"]);
    expect((await claimOne(worker)).targets).toHaveLength(2);
  }, 1),
);

test(
  "a vector of another dimension is refused, and nothing of its batch is written",
  onRows(async (tx, worker) => {
    const [one, two] = await worker.claim();
    const bad = chunksOf(["text 2"]).map((chunk) => ({ ...chunk, embedding: "[1,0,0]" }));
    const results = JSON.stringify([embedded(one as Job), resultOf(two as Job, bad)]);
    const refusal = await refusalOf(tx, "select public.finish_embedding_jobs($1)", [results]);
    expect([refusal.code, refusal.message]).toEqual(["23514", expect.stringContaining("dimensions_are_the_profiles")]);
    expect(await copies(tx)).toEqual([]);
    expect(await waiting(tx)).toEqual(["1 processing", "2 processing"]);
  }, 2),
);

test(
  "what is deleted or unpublished is gone in every profile, also in one that is only kept",
  onRows(async (tx, worker) => {
    await prepareSecond(tx);
    const jobs = await worker.claim();
    await worker.finish(jobs.map(inBoth));
    expect(await count(tx, "public.documentation_embeddings")).toBe(4);
    await tx.query("update private.embedding_profiles set state = 'kept' where name = 'test:second:3'");
    await tx.query(
      "delete from public.test_rows where id = 1; update public.test_rows set is_public = false where id = 2",
    );
    await embedAll(worker);
    expect(await count(tx, "public.documentation_embeddings")).toBe(0);
    expect(await count(tx, "private.embedded_rows")).toBe(0);
  }, 2),
);

test(
  "nobody but the worker may write copies or learn what was paid for",
  onRows(async (tx) => {
    for (const role of ["anon", "authenticated"]) {
      await become(tx, role);
      for (
        const call of [
          "public.finish_embedding_jobs('[]')",
          "public.known_embeddings('test:small:2', '{}')",
          "public.stock_embeddings('test:small:2', '[]')",
          "public.read_embedding_jobs('{}')",
        ]
      ) expect((await refusalOf(tx, `select ${call}`)).code).toBe("42501");
    }
  }, 1),
);

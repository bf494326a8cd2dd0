import type pg from "pg";
import { packBatches } from "../shared/embeddings/batches.ts";
import { openAiEmbedder } from "../shared/embeddings/embedders/openai.ts";
import { type Figure, median, timed } from "./report.ts";
import { rowsOr } from "./support/arguments.ts";
import { onOwnDatabase } from "./support/database.ts";
import { serverSeconds } from "./support/server-time.ts";
import type { RunningStack } from "./support/stack.ts";
import { pagesSql } from "./support/texts.ts";
import {
  dropNearestIndex,
  emptyQueue,
  letWorkersRun,
  nearestIndexBuilt,
  partitionOf,
  startAnew,
  withServices,
  WORKER,
} from "./support/worker.ts";

const LATENCY_MS = 150;
const SOURCE = "bench.documents";
const WORKERS = [1, 2, 4, 8];
/** The number of the default settings, and of the figure. */
const WORKERS_OF_FIGURE = 4;
const ROWS_TO_WARM_UP = 200;
const CLAIMS = 200;
const ROWS_PER_CLAIM = 100;
const COMPLETED_ROWS = 1_000_000;
const EDITS = 10;
/** Beyond them the graph outgrows the memory of a small server, and to insert into it takes hours. */
const MOST_CHUNKS_INTO_INDEX = 15_000;
/** Of the rows, those that are edited again and again. */
const SHARE_EDITED = 0.1;

interface Round {
  workers: number;
  drainMs: number;
  /** Null where it was not built. */
  indexMs: number | null;
  chunks: number;
  calls: number;
  requests: number;
  processorSeconds: number;
  /** Of the database; null where that is elsewhere. */
  databaseSeconds: number | null;
}

interface Floor {
  /** Into the table as a profile is filled: without the index for nearest neighbours, which is then built. */
  insertMs: number;
  indexMs: number;
  /** Into the table with that index in place, as the floor of `bench drain` has it; null where that takes hours. */
  indexedInsertMs: number | null;
  requests: number;
}

/** Several workers at a large queue: what they take together, and what a long life of the queue does to it. */
export async function fanOut(): Promise<Figure[]> {
  const rows = rowsOr(20_000);
  return await onOwnDatabase(async ({ url, connect }) => {
    const client = await connect();
    await prepare(client, rows);
    const { concurrentRequests } = embedderOfWorkers().limits;
    const [rounds, floor] = await withServices(url, LATENCY_MS, async (stack) => {
      await warmUp(client, stack);
      const rounds: Round[] = [];
      let floor: Floor | undefined;
      for (const workers of WORKERS) {
        const round = await measure(client, stack, rows, workers);
        rounds.push(round);
        report(rows, round, rounds[0]);
        if (workers !== WORKERS_OF_FIGURE) continue;
        floor = await measureFloor(client);
        reportFloor(floor);
      }
      await bloat(client, stack, Math.ceil(rows * SHARE_EDITED));
      return [rounds, floor] as const;
    });
    const claims = await measureClaims(client);

    if (floor === undefined) throw new Error("No floor was measured.");
    const latencyMs = (workers: number) => Math.ceil(floor.requests / (concurrentRequests * workers)) * LATENCY_MS;
    console.log(
      `the provider's latency for ${floor.requests} requests: ` +
        WORKERS.map((workers) => `${seconds(latencyMs(workers))} with ${workers}`).join(", "),
    );
    const measured = rounds.find(({ workers }) => workers === WORKERS_OF_FIGURE);
    const took = (measured?.drainMs ?? Number.NaN) + (measured?.indexMs ?? 0);
    const latency = latencyMs(WORKERS_OF_FIGURE);
    return [
      ...floor.indexedInsertMs === null ? [] : [{
        name: `fan_out.time_over_floor_${WORKERS_OF_FIGURE}_workers`,
        value: took / Math.max(latency, floor.indexedInsertMs),
        aim: { operator: "<=" as const, value: 1.25 },
      }],
      {
        // Over what nobody can do without: all vectors in one statement, and the index at once.
        name: `fan_out.time_over_bare_insert_and_index_${WORKERS_OF_FIGURE}_workers`,
        value: took / (Math.max(latency, floor.insertMs) + floor.indexMs),
        aim: { operator: "<=", value: 1.25 },
      },
      {
        name: "fan_out.claim_with_1m_completed",
        value: claims.withCompletedMs / claims.withoutMs,
        aim: { operator: "<=", value: 1.2 },
      },
    ];
  });
}

function report(
  rows: number,
  { workers, drainMs, indexMs, chunks, calls, requests, processorSeconds, databaseSeconds }: Round,
  first: Round | undefined,
): void {
  const perThousand = (spent: number) => `${(spent * 1000 / chunks).toFixed(2)} s`;
  console.log(
    `${workers} worker(s): ${rows} rows, ${chunks} chunks in ${seconds(drainMs)} (${
      ((first?.drainMs ?? drainMs) / drainMs).toFixed(2)
    } times as fast as one)` + (indexMs === null ? "" : `, then the index in ${seconds(indexMs)}`) +
      `; ${calls} calls, ${requests} requests; of processor time for 1,000 chunks: the function ` +
      `${perThousand(processorSeconds)}, the database ` +
      (databaseSeconds === null ? "not known, because it is elsewhere" : perThousand(databaseSeconds)),
  );
}

function reportFloor({ insertMs, indexMs, indexedInsertMs }: Floor): void {
  console.log(
    `floor: a plain insert of the vectors into the bare table ${seconds(insertMs)} and the index ${
      seconds(indexMs)
    }; ` +
      "into the indexed table " +
      (indexedInsertMs === null
        ? `not measured with more than ${MOST_CHUNKS_INTO_INDEX} chunks`
        : seconds(indexedInsertMs)),
  );
}

function embedderOfWorkers() {
  return openAiEmbedder({ apiKey: "none", model: "text-embedding-3-small", dimensions: 1536, fetch });
}

async function prepare(client: pg.Client, rows: number): Promise<void> {
  await client.query(pagesSql(rows));
  await client.query(`
    create table ${SOURCE} (like public.documents including all);
    insert into ${SOURCE} (id, title, content) select * from bench.pages limit ${ROWS_TO_WARM_UP};
    select public.register_embedding_source('${SOURCE}', 'content', 'is_published');
  `);
  await letWorkersRun(client, 1);
}

/** The first call of a function and the first texts of a profile cost more than any later. */
async function warmUp(client: pg.Client, stack: RunningStack): Promise<void> {
  await emptyQueue(client, stack);
  await client.query(
    `insert into ${SOURCE} (id, title, content) select * from bench.pages on conflict do nothing`,
  );
  await client.query(`vacuum (analyze) ${SOURCE}`);
}

async function measure(client: pg.Client, stack: RunningStack, rows: number, workers: number): Promise<Round> {
  await letWorkersRun(client, workers);
  await startAnew(client, SOURCE);
  await dropNearestIndex(client);
  // One that has rested for long has ended, and its start is not part of what is measured.
  await stack.call(WORKER, { action: "status" });
  const functionBefore = stack.processorSeconds(WORKER);
  const databaseBefore = await serverSeconds(client);
  let [calls, completed, requests] = [0, 0, 0];
  const drainMs = await timed(async () => {
    for (const report of await emptyQueue(client, stack, workers)) {
      calls++;
      completed += report.completed;
      requests += report.usage.requests;
    }
  });
  if (completed < rows) throw new Error(`${completed} of ${rows} rows were embedded.`);
  const processorSeconds = stack.processorSeconds(WORKER) - functionBefore;
  if (processorSeconds < 0) throw new Error("The function was started again: are its files being edited?");
  const databaseAfter = await serverSeconds(client);
  const databaseSeconds = databaseBefore === null || databaseAfter === null ? null : databaseAfter - databaseBefore;
  const indexMs = workers === WORKERS_OF_FIGURE ? await nearestIndexBuilt(client) : null;
  const chunks = await numberOf(client, "select count(*) from public.documentation_embeddings");
  return { workers, drainMs, indexMs, chunks, calls, requests, processorSeconds, databaseSeconds };
}

/** The same vectors at once into the same table as it was, and then their index. */
async function measureFloor(client: pg.Client): Promise<Floor> {
  const { table, indexSql } = await partitionOf(client);
  const { rows } = await client.query<{ tokens: number }>(
    `select min(token_count) as tokens from ${table} group by content_hash`,
  );
  const requests =
    packBatches(rows.map(({ tokens }) => `${tokens}`), (tokens) => Number(tokens), embedderOfWorkers().limits).length;
  await client.query(`create table bench.vectors as table ${table}`);
  await dropNearestIndex(client);
  await client.query("truncate public.documentation_embeddings");
  await client.query("checkpoint");
  const insertMs = await timed(() =>
    client.query("insert into public.documentation_embeddings select * from bench.vectors")
  );
  const indexMs = await timed(() => client.query(`create index bench_nearest on ${table} ${indexSql}`));
  await client.query("truncate public.documentation_embeddings");
  await client.query("checkpoint");
  const indexedInsertMs = await numberOf(client, "select count(*) from bench.vectors") > MOST_CHUNKS_INTO_INDEX
    ? null
    : await timed(() => client.query("insert into public.documentation_embeddings select * from bench.vectors"));
  await client.query("drop index private.bench_nearest");
  await client.query("drop table bench.vectors");
  return { insertMs, indexMs, indexedInsertMs, requests };
}

/** Every row edited again and again, each edit changing one of its chunks, and all that is kept of it. */
async function bloat(client: pg.Client, stack: RunningStack, rows: number): Promise<void> {
  await letWorkersRun(client, WORKERS_OF_FIGURE);
  await client.query(`delete from ${SOURCE} where id not in (select id from ${SOURCE} order by id limit ${rows})`);
  await client.query(`vacuum (full, analyze) ${SOURCE}`);
  await startAnew(client, SOURCE);
  await dropNearestIndex(client);
  await emptyQueue(client, stack, WORKERS_OF_FIGURE);
  await nearestIndexBuilt(client);
  const { table } = await partitionOf(client);
  const tables = ["public.embedding_sync_queue", "private.embedded_rows", table];
  const sizes: number[][] = [];
  for (let round = 1; round <= EDITS; round++) {
    await client.query(
      `update ${SOURCE} set content = regexp_replace(content, '( Edit \\d+\\.)?$', ' Edit ${round}.')`,
    );
    await emptyQueue(client, stack, WORKERS_OF_FIGURE);
    await tidy(client, tables);
    const sizesNow: number[] = [];
    for (const table of tables) sizesNow.push(await numberOf(client, `select pg_total_relation_size('${table}')`));
    sizes.push(sizesNow);
  }
  const [first = [], last = []] = [sizes[0], sizes.at(-1)];
  const grown = ["queue", "embedded_rows", "chunks"].map((name, i) => {
    const [before = Number.NaN, after = Number.NaN] = [first[i], last[i]];
    return `${name} ${(before / 1e6).toFixed(1)} MB to ${(after / 1e6).toFixed(1)} MB (${(after / before).toFixed(2)})`;
  });
  console.log(`${rows} rows edited ${EDITS} times, size after the first time and the last: ${grown.join(", ")}`);
}

/** What time would bring between two rounds: the schedule's cleaning, and autovacuum where its default has it due. */
async function tidy(client: pg.Client, tables: string[]): Promise<void> {
  await client.query("select public.clean_up_embedding_queue()");
  await client.query("select pg_stat_force_next_flush()");
  for (const table of tables) {
    const { rows: [row] } = await client.query<{ due: boolean }>(
      `select s.n_dead_tup > 50 + 0.2 * greatest(c.reltuples, 0) as due
       from pg_class as c join pg_stat_all_tables as s on s.relid = c.oid where c.oid = $1::regclass`,
      [table],
    );
    if (row?.due === true) await client.query(`vacuum (analyze) ${table}`);
  }
}

/** Claims of rows that are given back, in a queue of its own and in one that remembers a long life. */
async function measureClaims(client: pg.Client): Promise<{ withoutMs: number; withCompletedMs: number }> {
  await client.query("truncate public.embedding_sync_queue");
  await client.query(`
    insert into public.embedding_sync_queue (source_table, source_id)
    select '${SOURCE}', n::text from generate_series(1, ${ROWS_PER_CLAIM * 20}) as n
  `);
  const withoutMs = await medianClaimMs(client);
  await client.query(`
    insert into public.embedding_sync_queue (source_table, source_id, status, processed_at)
    select '${SOURCE}', 'completed ' || n, 'completed', clock_timestamp() - n * interval '0.5 seconds'
    from generate_series(1, ${COMPLETED_ROWS}) as n
  `);
  const withCompletedMs = await medianClaimMs(client);
  console.log(
    `a claim of ${ROWS_PER_CLAIM} rows: ${withoutMs.toFixed(2)} ms, with ${COMPLETED_ROWS} completed rows in the ` +
      `queue ${withCompletedMs.toFixed(2)} ms (median of ${CLAIMS})`,
  );
  return { withoutMs, withCompletedMs };
}

async function medianClaimMs(client: pg.Client): Promise<number> {
  await client.query("vacuum (analyze) public.embedding_sync_queue");
  await client.query("checkpoint");
  const { rows: [profile] } = await client.query<{ known: unknown }>(
    "select to_jsonb(p) as known from private.embedding_profiles as p",
  );
  const samples: number[] = [];
  for (let i = 0; i < CLAIMS; i++) {
    let tokens: string[] = [];
    samples.push(
      await timed(async () => {
        const { rows: [row] } = await client.query<{ claim: { tokens: string[] } }>(
          "select public.claim_embedding_jobs('00000000-0000-0000-0000-000000000001', $1, $2) as claim",
          [ROWS_PER_CLAIM, JSON.stringify(profile?.known)],
        );
        tokens = row?.claim.tokens ?? [];
      }),
    );
    if (tokens.length !== ROWS_PER_CLAIM) throw new Error(`${tokens.length} rows were claimed.`);
    await client.query("select public.release_embedding_jobs($1)", [tokens]);
  }
  return median(samples);
}

async function numberOf(client: pg.Client, sql: string): Promise<number> {
  const { rows: [row] } = await client.query<Record<string, string>>(sql);
  return Number(Object.values(row ?? {})[0]);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

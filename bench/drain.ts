import type pg from "pg";
import { packBatches } from "../shared/embeddings/batches.ts";
import { openAiEmbedder } from "../shared/embeddings/embedders/openai.ts";
import { type Figure, median, timed } from "./report.ts";
import { rowsOr } from "./support/arguments.ts";
import { onOwnDatabase } from "./support/database.ts";
import type { ProviderProcess } from "./support/provider.ts";
import type { RunningStack } from "./support/stack.ts";
import { textsSql } from "./support/texts.ts";
import {
  emptyQueue,
  letWorkersRun,
  nearestIndexBuilt,
  partitionOf,
  type Report,
  startAnew,
  withServices,
  WORKER,
} from "./support/worker.ts";

const ROUNDS = 3;
const LATENCY_MS = 150;
const SOURCE = "bench.documents";
const CONTENT = "concat_ws(E'\\n\\n', title, content)";

interface Round {
  drainMs: number;
  processorSeconds: number;
  requests: number;
  tokens: number;
  calls: number;
  /** One plain insert of the same vectors into a table like theirs. */
  insertMs: number;
}

/** A queue emptied by the Edge Function, over what provider and database alone would take. */
export async function drain(): Promise<Figure[]> {
  const rows = rowsOr(2_000);
  const { limits, fewest, rounds, inDatabase } = await onOwnDatabase(async ({ url, connect }) => {
    const client = await connect();
    const least = await prepare(client, rows);
    const rounds = await withServices(url, LATENCY_MS, async (stack, provider) => {
      // The function's start and the first index are not part of what is measured: what is embedded later finds both.
      await stack.call(WORKER, { action: "status" });
      console.log(`the function's start: ${stack.processorSeconds(WORKER).toFixed(2)} s of processor time`);
      await emptyQueue(client, stack);
      await nearestIndexBuilt(client);
      await client.query("select pg_stat_reset()");
      const rounds: Round[] = [];
      while (rounds.length < ROUNDS) rounds.push(await measure(client, stack, provider, rows));
      return rounds;
    });
    return { ...least, rounds, inDatabase: await timeInDatabase(client) };
  });

  const latencyMs = Math.ceil(fewest / limits.concurrentRequests) * LATENCY_MS;
  const ratios = rounds.map(({ drainMs, insertMs }) => drainMs / Math.max(latencyMs, insertMs));
  for (const { drainMs, insertMs, processorSeconds, requests, tokens, calls } of rounds) {
    console.log(
      `${rows} rows in ${drainMs.toFixed(0)} ms with ${calls} call(s), ${requests} requests, ${tokens} tokens, ` +
        `${processorSeconds.toFixed(2)} s of processor time; a plain insert of the vectors ${
          insertMs.toFixed(0)
        } ms, ` +
        `the provider's latency alone ${latencyMs} ms`,
    );
  }
  console.log(`in the database, a round: ${inDatabase}`);
  return [
    { name: "drain.time_over_floor", value: median(ratios), aim: { operator: "<=", value: 1.4 } },
    {
      name: "drain.cpu_seconds_per_1000_rows",
      value: median(rounds.map(({ processorSeconds }) => processorSeconds * 1000 / rows)),
      aim: { operator: "<=", value: 1 },
    },
    {
      name: "drain.requests_over_fewest",
      value: median(rounds.map(({ requests }) => requests)) / fewest,
      aim: { operator: "<=", value: 1.1 },
    },
  ];
}

/** A registered table with rows, and the fewest requests that their texts fit in. */
async function prepare(client: pg.Client, rows: number) {
  await client.query(textsSql(rows));
  await client.query(`
    create table ${SOURCE} (like public.documents including all);
    insert into ${SOURCE} (id, title, content) select * from bench.texts;
    select public.register_embedding_source('${SOURCE}', $$${CONTENT}$$, 'is_published');
  `);
  await letWorkersRun(client, 1);
  // Sessions that are yet to begin count their time; see timeInDatabase().
  await client.query(
    "do $$ begin execute format('alter database %I set track_functions = ''pl''', current_database()); end $$",
  );
  const { rows: texts } = await client.query<{ text: string }>(`select ${CONTENT} as text from ${SOURCE}`);
  const { limits, countTokens } = openAiEmbedder({
    apiKey: "none",
    model: "text-embedding-3-small",
    dimensions: 1536,
    fetch,
  });
  return { limits, fewest: packBatches(texts.map(({ text }) => text), countTokens, limits).length };
}

async function measure(
  client: pg.Client,
  stack: RunningStack,
  provider: ProviderProcess,
  rows: number,
): Promise<Round> {
  await startAnew(client, SOURCE);
  const secondsBefore = stack.processorSeconds(WORKER);
  const requestsBefore = await provider.requests();
  let reports: Report[] = [];
  const drainMs = await timed(async () => {
    reports = await emptyQueue(client, stack);
  });
  const completed = reports.reduce((sum, report) => sum + report.completed, 0);
  if (completed !== rows) throw new Error(`${completed} of ${rows} rows were embedded: ${JSON.stringify(reports)}`);
  const processorSeconds = stack.processorSeconds(WORKER) - secondsBefore;
  if (processorSeconds < 0) throw new Error("The function was started again: are its files being edited?");
  return {
    drainMs,
    processorSeconds,
    requests: await provider.requests() - requestsBefore,
    tokens: reports.reduce((sum, { usage }) => sum + usage.tokens, 0),
    calls: reports.length,
    insertMs: await plainInsertMs(client),
  };
}

/** The same vectors at once into an empty table with the same indexes, the one for nearest neighbours among them. */
async function plainInsertMs(client: pg.Client): Promise<number> {
  const { table } = await partitionOf(client);
  await client.query("drop table if exists bench.embeddings");
  await client.query(`create table bench.embeddings (like ${table} including all) with (fillfactor = 85)`);
  await client.query("checkpoint");
  return await timed(() => client.query(`insert into bench.embeddings select * from ${table}`));
}

/** Milliseconds that a round spends in each step of the worker; all sessions of the stack must have ended. */
async function timeInDatabase(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string; calls: number; ms: number }>(
    `select funcname as name, calls::integer, round(total_time)::integer as ms
     from pg_stat_user_functions
     where schemaname = 'public' and funcname like '%embedding%' and total_time >= 1
     order by funcname`,
  );
  return rows.map(({ name, calls, ms }) =>
    `${name} ${Math.round(ms / ROUNDS)} ms in ${Math.round(calls / ROUNDS)} calls`
  )
    .join(", ");
}

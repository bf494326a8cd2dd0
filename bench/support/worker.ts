import { setTimeout as wait } from "node:timers/promises";
import type pg from "pg";
import { z } from "zod";
import { timed } from "../report.ts";
import { type ProviderProcess, startProviderProcess } from "./provider.ts";
import { type RunningStack, startStackOn } from "./stack.ts";

export const WORKER = "process-embedding-queue";

const Report = z.object({
  claimed: z.number(),
  completed: z.number(),
  remaining: z.number(),
  failed: z.number(),
  usage: z.object({ requests: z.number(), tokens: z.number() }),
  stopped: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type Report = z.infer<typeof Report>;

/** A stack on the database, and the provider that its functions ask. */
export async function withServices<Result>(
  databaseUrl: string,
  latencyMs: number,
  work: (stack: RunningStack, provider: ProviderProcess) => Promise<Result>,
): Promise<Result> {
  const provider = await startProviderProcess(latencyMs);
  try {
    const stack = await startStackOn(databaseUrl, provider.environment);
    try {
      return await work(stack, provider);
    } finally {
      await stack.stop();
    }
  } finally {
    await provider.stop();
  }
}

/** Nothing but the work itself is to limit the worker, and nobody else is to wake it. */
export async function letWorkersRun(client: pg.Client, workers: number): Promise<void> {
  const settings = {
    embedding_wake: '"manual"',
    embedding_workers: `${workers}`,
    embedding_requests_per_minute: "1000000",
    embedding_tokens_per_minute: "1000000000",
  };
  for (const [name, value] of Object.entries(settings)) {
    await client.query("update private.settings set value = $2 where name = $1", [name, value]);
  }
}

/** As after a change of how everything is embedded: no copies, and every row is to be looked at. */
export async function startAnew(client: pg.Client, source: string): Promise<void> {
  await client.query(
    "truncate public.documentation_embeddings, private.embedded_rows, private.embedding_stock, public.embedding_sync_queue",
  );
  await client.query("select private.begin_backfill($1)", [source]);
  await client.query("select private.advance_backfills()");
  await client.query("vacuum (analyze) public.embedding_sync_queue");
  await client.query("checkpoint");
}

/** So many workers at once, each followed by the next as long as rows are due, until all are done. */
export async function emptyQueue(client: pg.Client, stack: RunningStack, workers = 1): Promise<Report[]> {
  const reports: Report[] = [];
  do {
    await Promise.all(Array.from({ length: workers }, async () => {
      let report: Report;
      do {
        report = Report.parse(await stack.call(WORKER, { action: "process" }));
        if (report.stopped !== null) throw new Error(`${report.stopped.code}: ${report.stopped.message}`);
        reports.push(report);
      } while (report.remaining > 0);
    }));
  } while (await isWaiting(client));
  return reports;
}

async function isWaiting(client: pg.Client): Promise<boolean> {
  const { rows: [row] } = await client.query<{ waits: boolean }>(`
    select exists (select from private.embedding_backfills) or exists (
      select from public.embedding_sync_queue where processed_at is null and failed_at is null
    ) as waits
  `);
  return row?.waits ?? false;
}

/** The table that holds the chunks of the one profile, and that profile's dimensions. */
export async function partitionOf(client: pg.Client): Promise<{ table: string; index: string; indexSql: string }> {
  const { rows: [row] } = await client.query<{ partition: string; dimensions: number }>(
    "select private.partition_of(name) as partition, dimensions from private.embedding_profiles",
  );
  if (row === undefined) throw new Error("There is no profile yet.");
  return {
    table: `private.${row.partition}`,
    index: `private.${row.partition}_nearest`,
    indexSql: `using hnsw ((embedding::extensions.halfvec(${row.dimensions})) extensions.halfvec_cosine_ops)`,
  };
}

/** Waits for the index for nearest neighbours, as the schedule has it built; gives the milliseconds that took. */
export async function nearestIndexBuilt(client: pg.Client): Promise<number> {
  await client.query("delete from cron.job_run_details");
  // A small one is made here and now, and by no job.
  const atOnceMs = await timed(() => client.query("select private.advance_profiles()"));
  while (true) {
    const { rows: [row] } = await client.query<{ built: boolean; by_job: boolean; ms: number | null }>(`
      select private.has_nearest_index(p.name) as built, d.runid is not null as by_job,
        extract(epoch from d.end_time - d.start_time)::float8 * 1000 as ms
      from private.embedding_profiles as p
      left join cron.job_run_details as d on d.command like '%' || private.partition_of(p.name) || '_nearest%'
      order by d.start_time
      limit 1
    `);
    if (row?.built === true && !row.by_job) return atOnceMs;
    if (row?.built === true && row.ms !== null) return row.ms;
    await wait(200);
  }
}

/** The copies are to be filled in without their index. */
export async function dropNearestIndex(client: pg.Client): Promise<void> {
  await client.query(
    "select cron.unschedule(jobid) from cron.job where jobname = 'accord-embeddings-index'",
  );
  await client.query(`drop index if exists ${(await partitionOf(client)).index}`);
}

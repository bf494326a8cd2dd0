import { randomUUID } from "node:crypto";
import pg from "pg";
import { drain } from "../../../shared/embeddings/drain.ts";
import type { Embedder } from "../../../shared/embeddings/embedder.ts";
import { openAiEmbedder } from "../../../shared/embeddings/embedders/openai.ts";
import { defaultProfile } from "../../../shared/embeddings/profile.ts";
import { type JobQueue, jobQueue } from "../../../shared/embeddings/queue.ts";
import type { DrainReport } from "../../../shared/embeddings/report.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { rpcOverPg } from "./pg-rpc.ts";

/** Where a worker can be, in the order in which it gets there. */
export const STEPS = [
  "claimed",
  "read",
  "asking",
  "answered",
  "accounted",
  "stocked",
  "finishing",
  "finished",
  "ending",
] as const;
export type Step = typeof STEPS[number];

export interface WorkerOptions {
  databaseUrl: string;
  provider: { baseUrl: string; key: string };
  batchSize: number;
}

/** One run of the real worker on this database; `reach` is told of each step, and may keep it there. */
export async function runWorker(
  { databaseUrl, provider, batchSize }: WorkerOptions,
  reach: (step: Step) => Promise<void> = () => Promise.resolve(),
): Promise<DrainReport> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  // A connection that breaks while nobody uses it is replaced.
  pool.on("error", () => {});
  try {
    const embedder = openAiEmbedder({
      apiKey: provider.key,
      baseUrl: provider.baseUrl,
      model: "text-embedding-3-small",
      dimensions: 64,
      fetch,
    });
    const profile = defaultProfile(embedder.profile, embedder.usdPerMillionTokens);
    const queue = watched(jobQueue(await rpcOverPg(pool), randomUUID(), profile), reach);
    const embedderOf = (): Embedder => ({
      ...embedder,
      embed: async (texts, options) => {
        await reach("asking");
        const outcome = await embedder.embed(texts, options);
        await reach("answered");
        return outcome;
      },
    });
    return await drain({ queue, embedderOf, clock: systemClock }, { batchSize, lanes: 1 });
  } finally {
    await pool.end();
  }
}

function watched(queue: JobQueue, reach: (step: Step) => Promise<void>): JobQueue {
  const after = async <Value>(step: Step, value: Promise<Value>): Promise<Value> => {
    const got = await value;
    await reach(step);
    return got;
  };
  return {
    ...queue,
    claim: async (batchSize) => {
      const claim = await queue.claim(batchSize);
      if (claim.tokens.length > 0) await reach("claimed");
      return claim;
    },
    read: (tokens) => after("read", queue.read(tokens)),
    account: (...usage) => after("accounted", queue.account(...usage)),
    stock: (profile, chunks) => after("stocked", queue.stock(profile, chunks)),
    finish: async (results) => {
      await reach("finishing");
      return await after("finished", queue.finish(results));
    },
    end: async () => {
      await reach("ending");
      return await queue.end();
    },
  };
}

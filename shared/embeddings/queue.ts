import { z } from "zod";
import type { Rpc } from "../platform/rpc.ts";
import type { Profile } from "./embedder.ts";

const Job = z.object({
  token: z.string(),
  sourceTable: z.string(),
  sourceId: z.string(),
  /** What to embed; null when the row is gone, unpublished or without text. */
  content: z.string().nullable(),
  /** Its length in characters, when that is above the limit; the content is left out then. */
  tooLong: z.number().nullable(),
  limit: z.number(),
  /** The hashes of what is embedded already, piece by piece. */
  hashes: z.array(z.string()),
});

/** A row that is leased to this worker. */
export type Job = z.infer<typeof Job>;

/** What becomes of a row: its pieces from now on. A piece without an embedding is there already and stays. */
export interface Result {
  token: string;
  pieces: { content: string; hash: string; tokens: number; embedding?: string }[];
}

export interface Failure {
  token: string;
  message: string;
  /** Trying again cannot help. */
  permanent?: boolean;
}

const Outcome = z.enum(["completed", "requeued", "busy", "lost_lease", "retry", "failed"]);
export type Outcome = z.infer<typeof Outcome>;
const Outcomes = z.record(z.string(), Outcome);

/** The worker's side of the queue; its rules are in the database. */
export interface JobQueue {
  claim(batchSize: number): Promise<Job[]>;
  /** Outcomes by token. */
  finish(results: Result[]): Promise<Map<string, Outcome>>;
  fail(failures: Failure[]): Promise<Map<string, Outcome>>;
  /** Gives rows back unfinished and uncharged, to be taken again after the delay. */
  release(tokens: string[], delaySeconds: number): Promise<void>;
  /** How many rows could be claimed now. */
  due(): Promise<number>;
  wakeSuccessor(): Promise<void>;
}

export function jobQueue(rpc: Rpc, profile: Profile): JobQueue {
  const outcomes = async (name: "finish_embedding_jobs" | "fail_embedding_jobs", args: Record<string, unknown>) =>
    new Map(Object.entries(Outcomes.parse(await rpc(name, args))));
  return {
    claim: async (batchSize) => {
      const tokens = z.array(z.string()).parse(
        await rpc("claim_embedding_jobs", {
          batch_size: batchSize,
          profile: profile.name,
          dimensions: profile.dimensions,
        }),
      );
      if (tokens.length === 0) return [];
      return z.array(Job).parse(await rpc("read_embedding_jobs", { tokens, profile: profile.name }));
    },
    finish: (results) => outcomes("finish_embedding_jobs", { profile: profile.name, results }),
    fail: (failures) => outcomes("fail_embedding_jobs", { failures }),
    release: async (tokens, delaySeconds) => {
      await rpc("release_embedding_jobs", { tokens, delay_seconds: delaySeconds });
    },
    due: async () => z.number().parse(await rpc("due_embedding_jobs")),
    wakeSuccessor: async () => {
      await rpc("wake_embedding_worker");
    },
  };
}

import { z } from "zod";

/** What came of one run of the worker. */
export const DrainReport = z.object({
  claimed: z.number(),
  completed: z.number(),
  /** Rows whose copy is gone, because they are, or are no longer published. */
  deleted: z.number(),
  /** Rows whose text was embedded already. */
  unchanged: z.number(),
  /** Rows that were edited meanwhile and are due again. */
  requeued: z.number(),
  failed: z.number(),
  remaining: z.number(),
  usage: z.object({ requests: z.number(), tokens: z.number(), tokensSaved: z.number(), costUsd: z.number() }),
  durationMs: z.number(),
  /** Why the provider stopped the run, if it did. */
  stopped: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export type DrainReport = z.infer<typeof DrainReport>;

export function emptyReport(): DrainReport {
  return {
    claimed: 0,
    completed: 0,
    deleted: 0,
    unchanged: 0,
    requeued: 0,
    failed: 0,
    remaining: 0,
    usage: { requests: 0, tokens: 0, tokensSaved: 0, costUsd: 0 },
    durationMs: 0,
    stopped: null,
  };
}

import { z } from "zod";

/** What came of one run of the worker. */
export const FilesReport = z.object({
  claimed: z.number(),
  completed: z.number(),
  /** Files that were overwritten meanwhile and are due again. */
  requeued: z.number(),
  failed: z.number(),
  remaining: z.number(),
  /** How often a text was read further: a large file takes several, in several runs. */
  slices: z.number(),
  /** What was downloaded. */
  bytes: z.number(),
  durationMs: z.number(),
  /** Why the run gave up, if the Storage API made it. */
  stopped: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export type FilesReport = z.infer<typeof FilesReport>;

export function emptyFilesReport(): FilesReport {
  return {
    claimed: 0,
    completed: 0,
    requeued: 0,
    failed: 0,
    remaining: 0,
    slices: 0,
    bytes: 0,
    durationMs: 0,
    stopped: null,
  };
}

import { z } from "zod";

/** One source at a glance: a row of the view embedding_sync_status. */
export const SourceStatus = z.object({
  source_table: z.string(),
  pending: z.number(),
  processing: z.number(),
  completed: z.number(),
  failed: z.number(),
  oldest_pending: z.string().nullable(),
  /** Rows a minute. */
  rate: z.number(),
  eta: z.string().nullable(),
});

export type SourceStatus = z.infer<typeof SourceStatus>;

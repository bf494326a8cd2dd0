import { z } from "zod";

/** One watched bucket at a glance: a row of the view files_sync_status. */
export const BucketStatus = z.object({
  bucket_id: z.string(),
  /** Which of its objects count, and who may read what becomes of them. */
  paths: z.string(),
  types: z.array(z.string()).nullable(),
  readers: z.enum(["owner", "folder", "everyone"]),
  pending: z.number(),
  processing: z.number(),
  completed: z.number(),
  failed: z.number(),
  oldest_pending: z.string().nullable(),
  /** Files a minute. */
  rate: z.number(),
  eta: z.string().nullable(),
});

export type BucketStatus = z.infer<typeof BucketStatus>;

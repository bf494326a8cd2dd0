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
  /** Rows of a table that was registered a moment ago are queued bit by bit. */
  is_catching_up: z.boolean(),
  /** Published rows, null where the table is locked or cannot be read; and rows with a copy in the active profile. */
  eligible: z.number().nullable(),
  embedded: z.number(),
  /** From 0 to 1. */
  coverage: z.number().nullable(),
});

export type SourceStatus = z.infer<typeof SourceStatus>;

/** One profile at a glance: a row of the view embedding_profile_status. */
export const ProfileStatus = z.object({
  name: z.string(),
  state: z.enum(["building", "active", "kept"]),
  eligible: z.number(),
  embedded: z.number(),
  coverage: z.number(),
  is_indexed: z.boolean(),
});

export type ProfileStatus = z.infer<typeof ProfileStatus>;

/** What was spent and saved in a period. */
export const Spending = z.object({
  period: z.enum(["daily", "monthly"]),
  costUsd: z.number(),
  budgetUsd: z.number().nullable(),
  requests: z.number(),
  tokens: z.number(),
  tokensSaved: z.number(),
});

export type Spending = z.infer<typeof Spending>;

/** A row that disagrees with its embeddings; or a table, without a row, that is locked just now or cannot be read. */
export const Problem = z.object({
  source_table: z.string(),
  source_id: z.string().nullable(),
  profile: z.string(),
  problem: z.enum(["missing", "stale", "orphan", "duplicate", "wrong_profile", "locked", "unreadable"]),
  detail: z.string(),
  /** The status of its queue row, unless that is done. */
  queued: z.enum(["pending", "processing", "failed"]).nullable(),
});

export type Problem = z.infer<typeof Problem>;

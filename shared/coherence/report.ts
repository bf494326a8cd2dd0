import { z } from "zod";

/** From what needs nobody to what needs a person. */
export const VERDICTS = ["ok", "auto_sync", "alert"] as const;
export const Verdict = z.enum(VERDICTS);
export type Verdict = z.infer<typeof Verdict>;

/** A source and its copy, compared in sets and both ways. */
export const Pair = z.object({
  name: z.string(),
  sourceCount: z.number(),
  copyCount: z.number(),
  /** In the source and not in the copy. */
  missing: z.number(),
  /** In both, and different. */
  stale: z.number(),
  /** In the copy and not in the source. */
  orphan: z.number(),
  /** What is about to be put right anyway: none of the three. */
  inFlight: z.number(),
  /** Of the three, those that no repair reaches: they failed, or nobody takes them. */
  waiting: z.number(),
  /** Of the source, how much is missing or stale. */
  ratio: z.number(),
  verdict: Verdict,
  /** What is to be done about it, or will be; null where all agree. */
  action: z.string().nullable(),
  detail: z.string().nullable(),
});
export type Pair = z.infer<typeof Pair>;

/** Whether sources and copies agree in the whole house. */
export const Report = z.object({ generatedAt: z.string(), verdict: Verdict, pairs: z.array(Pair) });
export type Report = z.infer<typeof Report>;

/** What a repair did, what it left and why, and the report that it went by. */
export const Repair = z.object({
  repaired: z.array(z.object({ pair: z.string(), rows: z.number() })),
  left: z.array(z.object({ pair: z.string(), action: z.string().nullable() })),
  report: Report,
});
export type Repair = z.infer<typeof Repair>;

/** How far a bucket is that is being put right by hand. */
export const BucketSync = z.object({
  bucketId: z.string(),
  phase: z.enum(["objects", "documents", "orphans", "done"]),
  enqueued: z.number(),
  /** Of another version and the same bytes: nothing is read anew. */
  noted: z.number(),
  /** Missing and stale when it began. */
  expectedTotal: z.number(),
  removed: z.number(),
  /** Orphans that the breaker has kept. */
  kept: z.number(),
  isDone: z.boolean(),
  /** Somebody else has it in hand, or holds its rows: to be asked again. */
  isBusy: z.boolean(),
});
export type BucketSync = z.infer<typeof BucketSync>;

/** What a sync had done that was stopped. */
export const StoppedSync = z.object({
  bucketId: z.string(),
  wasUnderWay: z.boolean(),
  enqueued: z.number(),
  removed: z.number(),
});

/** The worst check of a day or of an hour. */
export const TrendPoint = z.object({
  pair: z.string(),
  at: z.string(),
  checks: z.number(),
  sourceCount: z.number(),
  copyCount: z.number(),
  missing: z.number(),
  stale: z.number(),
  orphan: z.number(),
  verdict: Verdict,
});
export type TrendPoint = z.infer<typeof TrendPoint>;

/** How many rows of a pair differ. */
export function differing({ missing, stale, orphan }: Pick<Pair, "missing" | "stale" | "orphan">): number {
  return missing + stale + orphan;
}

import { setTimeout } from "node:timers/promises";
import { BucketSync } from "../../shared/coherence/report.ts";
import type { CommandContext } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";

/** How often to ask whoever has a bucket in hand, or holds its rows; when to say so; and when to give up. */
const BUSY_MS = 250;
const TOLD_AFTER_MS = 10_000;
const GIVEN_UP_AFTER_MS = 60_000;

export interface Time {
  now(): number;
  wait(milliseconds: number): Promise<unknown>;
}

/** Batch after batch until all is done: each is a transaction of its own, and may be broken off at any time. */
export async function syncBucket(
  { project, output, force }: CommandContext,
  bucket: string,
  time: Time = { now: Date.now, wait: setTimeout },
): Promise<{ code: ExitCode; json: unknown }> {
  let busySince: number | null = null;
  let isTold = false;
  for (;;) {
    const state = BucketSync.parse(await project.rpc("sync_bucket", { bucket_id: bucket, force }));
    if (output.isWatched) output.redraw(progressOf(state));
    if (state.isDone) {
      if (output.isWatched) output.redraw("");
      return conclude(state, output, bucket);
    }
    if (!state.isBusy) {
      [busySince, isTold] = [null, false];
      if (!output.isWatched) output.line(progressOf(state));
      continue;
    }
    busySince ??= time.now();
    const busyFor = time.now() - busySince;
    if (busyFor >= GIVEN_UP_AFTER_MS) {
      if (output.isWatched) output.redraw("");
      output.line(output.bad(
        `${bucket}: somebody has held its rows for a minute. ${
          progressOf(state)
        }; the schedule goes on with it, or run this again.`,
      ));
      return { code: EXIT.error, json: state };
    }
    if (busyFor >= TOLD_AFTER_MS && !isTold) {
      isTold = true;
      if (output.isWatched) output.redraw("");
      output.line(`${bucket}: somebody holds its rows, an upload or the schedule. Waiting for a minute at most.`);
    }
    await time.wait(BUSY_MS);
  }
}

function progressOf({ phase, enqueued, noted, expectedTotal, removed }: BucketSync): string {
  if (phase === "orphans") return `${removed} removed`;
  return `${enqueued + noted} of ${Math.max(expectedTotal, enqueued + noted)} put right`;
}

function conclude(state: BucketSync, output: CommandContext["output"], bucket: string) {
  const same = state.noted > 0 ? `${state.noted} have the bytes that they had, ` : "";
  output.line(
    `${bucket}: ${state.enqueued} files are queued, ${same}${state.removed} that have no object are removed.`,
  );
  if (state.enqueued > 0) output.line("npm run accord -- process reads them now.");
  if (state.kept === 0) return { code: EXIT.agree, json: state };
  output.line(output.bad(
    `${state.kept} have no object, too many to be removed by themselves. If storage is complete: coherence sync ${bucket} --force`,
  ));
  return { code: EXIT.refused, json: state };
}

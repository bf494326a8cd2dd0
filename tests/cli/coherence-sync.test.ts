import { describe, expect, it } from "vitest";
import { syncBucket, type Time } from "../../cli/commands/coherence-sync.ts";
import { createOutput } from "../../cli/output.ts";
import { openProject } from "../../cli/project.ts";
import type { BucketSync } from "../../shared/coherence/report.ts";
import type { Rpc } from "../../shared/platform/rpc.ts";

const state = (chosen: Partial<BucketSync>): BucketSync => ({
  bucketId: "my files",
  phase: "objects",
  enqueued: 0,
  noted: 0,
  expectedTotal: 7,
  removed: 0,
  kept: 0,
  isDone: false,
  isBusy: false,
  ...chosen,
});

/** Puts a bucket right on a database that answers so, call by call, and the last answer again and again. */
async function sync(answers: BucketSync[], { force = false, isWatched = false } = {}) {
  let out = "";
  let elapsed = 0;
  const calls: unknown[] = [];
  const rpc: Rpc = (name, args) => {
    calls.push({ name, args });
    return Promise.resolve(answers[Math.min(calls.length, answers.length) - 1]);
  };
  const time: Time = { now: () => elapsed, wait: (milliseconds) => Promise.resolve(elapsed += milliseconds) };
  const { code } = await syncBucket(
    {
      project: { ...openProject({ url: undefined, environment: {} }), rpc },
      argument: "",
      options: {},
      force,
      output: createOutput((text) => (out += text), { color: false, isWatched }),
      now: new Date(),
    },
    "my files",
    time,
  );
  return { code, out, calls, elapsed };
}

describe("accord coherence sync", () => {
  it("asks for batch after batch until it is done, and writes a line for each where nobody watches", async () => {
    const { code, out, calls } = await sync([
      state({ enqueued: 5 }),
      state({ enqueued: 5, isBusy: true }),
      state({ enqueued: 5, noted: 1, phase: "orphans", removed: 1 }),
      state({ enqueued: 6, noted: 1, removed: 2, phase: "done", isDone: true }),
    ]);
    expect(calls).toEqual(Array(4).fill({ name: "sync_bucket", args: { bucket_id: "my files", force: false } }));
    expect(out).toBe(
      "5 of 7 put right\n" +
        "1 removed\n" +
        "my files: 6 files are queued, 1 have the bytes that they had, 2 that have no object are removed.\n" +
        "npm run accord -- process reads them now.\n",
    );
    expect(code).toBe(0);
  });

  it("draws its progress where somebody watches, and leaves none of it", async () => {
    const { out } = await sync([state({ enqueued: 5 }), state({ phase: "done", isDone: true })], { isWatched: true });
    expect(out).toContain("5 of 7 put right");
    expect(out).toContain("\r\u001b[2Kmy files: 0 files are queued");
  });

  it("says so where somebody holds its rows, and gives up after a minute", async () => {
    const { code, out, elapsed } = await sync([state({ enqueued: 5, isBusy: true })]);
    expect(out).toBe(
      "my files: somebody holds its rows, an upload or the schedule. Waiting for a minute at most.\n" +
        "my files: somebody has held its rows for a minute. 5 of 7 put right; the schedule goes on with it, or run this again.\n",
    );
    expect(elapsed).toBe(60_000);
    expect(code).toBe(1);
  });

  it("counts the minute anew with each batch", async () => {
    const busy = (batch: number) => Array(200).fill(state({ enqueued: batch, isBusy: true })) as BucketSync[];
    const { code } = await sync([
      ...busy(0),
      state({ enqueued: 5 }),
      ...busy(5),
      state({ phase: "done", isDone: true }),
    ]);
    expect(code).toBe(0);
  });

  it("exits 3 where the breaker kept something, and can be made to remove it", async () => {
    const kept = await sync([state({ phase: "done", isDone: true, kept: 40 })]);
    expect(kept.out).toContain("40 have no object, too many to be removed by themselves.");
    expect(kept.code).toBe(3);
    const forced = await sync([state({ phase: "done", isDone: true, removed: 40 })], { force: true });
    expect(forced.calls).toEqual([{ name: "sync_bucket", args: { bucket_id: "my files", force: true } }]);
    expect(forced.out).toContain("40 that have no object are removed.");
    expect(forced.code).toBe(0);
  });
});

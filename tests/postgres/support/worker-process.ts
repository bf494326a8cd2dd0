import { once } from "node:events";
import process from "node:process";
import { runWorker, type Step, type WorkerOptions } from "./worker.ts";

/**
 * A worker that can be killed: it tells its parent when it gets to the step that it was given, and goes on only when its
 * parent says so.
 */
const { stayAt, times, ...options } = JSON.parse(process.argv[2] ?? "") as WorkerOptions & {
  stayAt: Step;
  /** How often it is to get there first. */
  times: number;
};
let reached = 0;

await runWorker(options, async (step) => {
  if (step !== stayAt || ++reached < times) return;
  process.send?.(step);
  await once(process, "message");
});
process.disconnect?.();

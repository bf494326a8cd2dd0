import { once } from "node:events";
import process from "node:process";
import { type FileStep, type FilesWorkerOptions, runFilesWorker } from "./files-worker.ts";

/** As worker-process.ts: it tells its parent when it gets to the step that it was given, and stays there. */
const { stayAt, times, ...options } = JSON.parse(process.argv[2] ?? "") as FilesWorkerOptions & {
  stayAt: FileStep;
  /** How often it is to get there first. */
  times: number;
};
let reached = 0;

await runFilesWorker(options, async (step) => {
  if (step !== stayAt || ++reached < times) return;
  process.send?.(step);
  await once(process, "message");
});
process.disconnect?.();

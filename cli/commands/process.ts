import { setTimeout as wait } from "node:timers/promises";
import { DrainReport, emptyReport } from "../../shared/embeddings/report.ts";
import { emptyFilesReport, FilesReport } from "../../shared/files/report.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readFilesStatus } from "../files.ts";

/** How often the bar is drawn anew. */
const BAR_INTERVAL_MS = 1_000;
const BAR_WIDTH = 30;

/** Empties the queues, run after run, until nothing is due any more: first the files, whose texts are then embedded. */
export const process: Command = {
  name: "process",
  summary: "read and embed what waits, until nothing is due",
  async run(context) {
    const hasFiles = await readFilesStatus(context.project) !== null;
    const files = hasFiles ? await processFiles(context) : null;
    const total = await processEmbeddings(context);
    const agrees = [total, ...files === null ? [] : [files]].every(({ failed, stopped, remaining }) =>
      failed === 0 && stopped === null && remaining === 0
    );
    return { code: agrees ? EXIT.agree : EXIT.differences, json: { ...total, files } };
  },
};

async function processFiles(context: CommandContext): Promise<FilesReport> {
  const { project, output } = context;
  const total = emptyFilesReport();
  await withBar(context, "files_queue", async () => {
    for (let goesOn = true; goesOn;) {
      const run = FilesReport.parse(await project.callFunction("process-files-queue", { body: { action: "process" } }));
      for (const key of ["claimed", "completed", "requeued", "failed", "slices", "bytes", "durationMs"] as const) {
        total[key] += run[key];
      }
      total.remaining = run.remaining;
      total.stopped = run.stopped;
      goesOn = run.remaining > 0 && run.claimed > 0 && run.stopped === null;
    }
  });
  if (total.claimed > 0) {
    const megabytes = (total.bytes / 1_048_576).toFixed(1);
    output.line(`${total.completed} files are read: ${megabytes} MB. ${(total.durationMs / 1000).toFixed(1)} s.`);
  }
  if (total.requeued > 0) output.line(`${total.requeued} were overwritten meanwhile and are due again.`);
  if (total.failed > 0) output.line(output.bad(`${total.failed} files failed; last_error in files_queue says why.`));
  if (total.stopped !== null) output.line(output.bad(total.stopped.message));
  return total;
}

async function processEmbeddings(context: CommandContext): Promise<DrainReport> {
  const { project, output } = context;
  const total = emptyReport();
  await withBar(context, "embedding_sync_queue", async () => {
    for (let goesOn = true; goesOn;) {
      const run = DrainReport.parse(
        await project.callFunction("process-embedding-queue", { body: { action: "process" } }),
      );
      for (
        const key of ["claimed", "completed", "deleted", "unchanged", "requeued", "failed", "durationMs"] as const
      ) {
        total[key] += run[key];
      }
      for (const key of ["requests", "tokens", "tokensSaved", "costUsd"] as const) total.usage[key] += run.usage[key];
      total.remaining = run.remaining;
      total.stopped = run.stopped;
      goesOn = run.remaining > 0 && run.claimed > 0 && run.stopped === null;
    }
  });
  const { usage } = total;
  output.line(
    `${total.completed} rows agree: ${total.unchanged} had not changed, ${total.deleted} are gone. ` +
      `${usage.requests} requests, ${usage.tokens} tokens, $${usage.costUsd.toFixed(4)}; ` +
      `${usage.tokensSaved} tokens saved. ${(total.durationMs / 1000).toFixed(1)} s.`,
  );
  if (total.requeued > 0) output.line(`${total.requeued} were edited meanwhile and are due again.`);
  if (total.failed > 0) {
    output.line(output.bad(`${total.failed} failed; last_error in embedding_sync_queue says why.`));
  }
  if (total.stopped !== null) output.line(output.bad(`The provider stopped it: ${total.stopped.message}`));
  return total;
}

async function withBar(context: CommandContext, queue: string, work: () => Promise<void>): Promise<void> {
  const stopBar = showBar(context, queue);
  try {
    await work();
  } finally {
    await stopBar();
  }
}

/** Draws how far the queue is while it is being emptied, where somebody is there to see it. */
function showBar({ project, output }: CommandContext, queue: string): () => Promise<void> {
  if (!output.isWatched) return () => Promise.resolve();
  const stop = new AbortController();
  const draw = async () => {
    let most = 0;
    while (!stop.signal.aborted) {
      const open = await project.count(queue, "status=in.(pending,processing)");
      most = Math.max(most, open);
      const done = most === 0 ? BAR_WIDTH : Math.round(((most - open) / most) * BAR_WIDTH);
      output.redraw(`${"█".repeat(done)}${"░".repeat(BAR_WIDTH - done)} ${most - open} of ${most}`);
      await wait(BAR_INTERVAL_MS, undefined, { signal: stop.signal }).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
    }
    output.redraw("");
  };
  // The work goes on where the bar cannot.
  const drawn = draw().catch((error: unknown) => {
    output.redraw(`How far it is cannot be told: ${error instanceof Error ? error.message : String(error)}\n`);
  });
  return async () => {
    stop.abort();
    await drawn;
  };
}

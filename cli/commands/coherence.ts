import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { BucketSync, differing, Repair, Report, TrendPoint } from "../../shared/coherence/report.ts";
import { pairsTable, type Table, trendTable } from "../../shared/coherence/table.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type Output, table } from "../output.ts";
import { UsageError } from "../usage-error.ts";

type Answer = { code: ExitCode; json: unknown };

/** How long to wait for whoever has a bucket in hand, or holds its rows. */
const BUSY_MS = 250;
const TREND_DAYS = 7;

/** Whether every source and its copies agree, and the mending of what does not. */
export const coherence: Command = {
  name: "coherence",
  takes: "[verb …]",
  knows: ["force"],
  summary: "whether all copies agree; repair, sync <bucket>, history [days]",
  async run(context) {
    const [, verb = "", rest = ""] = /^(\S*)\s*(.*)$/s.exec(context.argument) ?? [];
    if (context.force && verb !== "sync") throw new UsageError(`coherence ${verb} knows no --force.`);
    switch (verb) {
      case "":
        return await examine(context);
      case "repair":
        if (rest !== "") throw new UsageError(`coherence repair takes no "${rest}".`);
        return await repair(context);
      case "sync":
        if (rest === "") throw new UsageError("coherence sync needs a bucket.");
        return await sync(context, rest);
      case "history":
        return await history(context, rest);
      default:
        throw new UsageError(`coherence knows repair, sync and history, not "${verb}".`);
    }
  },
};

async function examine({ project, output }: CommandContext): Promise<Answer> {
  const report = Report.parse(await project.rpc("coherence_report"));
  write(output, pairsTable(report.pairs));
  for (const { name, action, detail } of report.pairs) {
    if (action === null && detail === null) continue;
    output.line();
    output.line(output.bold(name));
    for (const text of [detail, action]) if (text !== null) output.line(`  ${text}`);
  }
  output.line();
  output.line(conclusionOf(report, output));
  return { code: codeOf(report), json: report };
}

function conclusionOf({ verdict, pairs }: Report, output: Output): string {
  const differ = pairs.filter((pair) => differing(pair) > 0).length;
  if (verdict === "alert") return output.bad("A person is needed.");
  if (differ === 0) return output.good(`All ${pairs.length} pairs agree.`);
  return `${differ} of ${pairs.length} pairs differ.`;
}

function codeOf({ verdict, pairs }: Report): ExitCode {
  if (verdict === "alert") return EXIT.refused;
  return pairs.some((pair) => differing(pair) > 0) ? EXIT.differences : EXIT.agree;
}

async function repair({ project, output }: CommandContext): Promise<Answer> {
  const answer = Repair.parse(await project.rpc("repair_coherence"));
  for (const { pair, rows } of answer.repaired) output.line(`${pair}: is put right, ${rows} rows missing or stale.`);
  for (const { pair, action } of answer.left) output.line(`${output.bad(pair)}: ${action ?? "left as it is"}`);
  if (answer.repaired.length > 0) output.line("npm run accord -- coherence shows how far it is.");
  if (answer.repaired.length + answer.left.length === 0) output.line(output.good("Nothing is to be put right."));
  return { code: codeOf(answer.report), json: answer };
}

/** Batch after batch until all is done: each is a transaction of its own, and may be broken off at any time. */
async function sync({ project, output, force }: CommandContext, bucket: string): Promise<Answer> {
  let state: BucketSync;
  do {
    state = BucketSync.parse(await project.rpc("sync_bucket", { bucket_id: bucket, force }));
    if (output.isWatched) output.redraw(progressOf(state));
    if (state.isBusy) await wait(BUSY_MS);
  } while (!state.isDone);
  if (output.isWatched) output.redraw("");
  output.line(`${bucket}: ${state.enqueued} files are queued, ${state.removed} that have no object are removed.`);
  if (state.enqueued > 0) output.line("npm run accord -- process reads them now.");
  if (state.kept > 0) {
    output.line(output.bad(
      `${state.kept} have no object, too many to be removed by themselves. If storage is complete: coherence sync ${bucket} --force`,
    ));
  }
  return { code: state.kept > 0 ? EXIT.refused : EXIT.agree, json: state };
}

function progressOf({ phase, enqueued, missingAtStart, removed }: BucketSync): string {
  return phase === "orphans" ? `${removed} removed` : `${enqueued} of ${Math.max(missingAtStart, enqueued)} queued`;
}

async function history({ project, output }: CommandContext, days: string): Promise<Answer> {
  if (!/^\d*$/.test(days)) throw new UsageError(`coherence history takes a number of days, not "${days}".`);
  const points = z.array(TrendPoint).parse(
    await project.rpc("coherence_trend", { days: days === "" ? TREND_DAYS : Number(days) }),
  );
  if (points.length === 0) output.line("No check has been made yet: the schedule makes one every five minutes.");
  else write(output, trendTable(points));
  return { code: EXIT.agree, json: { points } };
}

function write(output: Output, { header, rows }: Table): void {
  for (const line of table(header, rows)) output.line(line);
}

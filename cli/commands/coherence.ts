import { z } from "zod";
import { differing, type Pair, Repair, Report, StoppedSync, TrendPoint } from "../../shared/coherence/report.ts";
import { pairsTable, type Table, trendTable } from "../../shared/coherence/table.ts";
import { AccordError, RefusedError } from "../../shared/platform/errors.ts";
import type { Rpc } from "../../shared/platform/rpc.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type Output, table } from "../output.ts";
import { UsageError } from "../usage-error.ts";
import { syncBucket } from "./coherence-sync.ts";

type Answer = { code: ExitCode; json: unknown };

const TREND_DAYS = 7;
const MOST_TREND_DAYS = 3650;

/** Whether every source and its copies agree, and the mending of what does not. */
export const coherence: Command = {
  name: "coherence",
  takes: "[verb …]",
  knows: ["force"],
  summary: "whether all copies agree; repair, sync <bucket>, stop <bucket>, history [days]",
  async run(given) {
    const context = { ...given, project: { ...given.project, rpc: withoutPaths(given.project.rpc) } };
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
        return await syncBucket(context, rest);
      case "stop":
        if (rest === "") throw new UsageError("coherence stop needs a bucket.");
        return await stop(context, rest);
      case "history":
        return await history(context, rest);
      default:
        throw new UsageError(`coherence knows repair, sync, stop and history, not "${verb}".`);
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
  const verdictLine = verdict === "alert"
    ? output.bad("A person is needed.")
    : differ === 0
    ? output.good(`All ${pairs.length} pairs agree.`)
    : `${differ} of ${pairs.length} pairs differ.`;
  const [inFlight, waiting] = [sumOf(pairs, "inFlight"), sumOf(pairs, "waiting")];
  const besides = [
    ...inFlight > 0 ? [`Rows in flight: ${inFlight}.`] : [],
    ...waiting > 0 ? [`Rows that failed or that nobody takes: ${waiting}.`] : [],
  ];
  return [verdictLine, ...besides].join(" ");
}

function sumOf(pairs: Pair[], count: "inFlight" | "waiting"): number {
  return pairs.reduce((sum, pair) => sum + pair[count], 0);
}

function codeOf({ verdict, pairs }: Report): ExitCode {
  if (verdict === "alert") return EXIT.refused;
  return pairs.some((pair) => differing(pair) > 0) ? EXIT.differences : EXIT.agree;
}

async function repair({ project, output }: CommandContext): Promise<Answer> {
  const answer = Repair.parse(await project.rpc("repair_coherence"));
  for (const { pair, rows } of answer.repaired) output.line(`${pair}: ${rows} rows are being put right.`);
  for (const { pair, action } of answer.left) output.line(`${output.bad(pair)}: ${action ?? "left as it is"}`);
  if (answer.repaired.length > 0) {
    output.line("The schedule begins within a minute; npm run accord -- coherence shows how far it is.");
  }
  if (answer.repaired.length + answer.left.length === 0) output.line(output.good("Nothing is to be put right."));
  return { code: codeOf(answer.report), json: answer };
}

async function stop({ project, output }: CommandContext, bucket: string): Promise<Answer> {
  const stopped = StoppedSync.parse(await project.rpc("stop_sync", { bucket_id: bucket }));
  if (stopped.wasUnderWay) {
    output.line(
      `${bucket}: no longer put right; ${stopped.enqueued} files were queued and ${stopped.removed} removed.`,
    );
    output.line("Where the verdict is auto_sync, the next check begins it anew.");
  } else output.line(`${bucket}: was not being put right.`);
  return { code: EXIT.agree, json: stopped };
}

async function history({ project, output }: CommandContext, days: string): Promise<Answer> {
  const asked = days === "" ? TREND_DAYS : Number(days);
  if (!/^\d*$/.test(days) || asked < 1 || asked > MOST_TREND_DAYS) {
    throw new UsageError(`coherence history takes a number of days from 1 to ${MOST_TREND_DAYS}, not "${days}".`);
  }
  const points = z.array(TrendPoint).parse(await project.rpc("coherence_trend", { days: asked }));
  if (points.length === 0) output.line("No check has been made yet: the schedule makes one every five minutes.");
  else write(output, trendTable(points));
  return { code: EXIT.agree, json: { points } };
}

function write(output: Output, { header, rows }: Table): void {
  for (const line of table(header, rows)) output.line(line);
}

/** What the database refuses is told as it says it, without the path that was called. */
function withoutPaths(rpc: Rpc): Rpc {
  return async (name, args) => {
    try {
      return await rpc(name, args);
    } catch (error) {
      if (!(error instanceof AccordError) || error instanceof RefusedError || error.status >= 500) throw error;
      const message = error.message.replace(/^\/\S+: \d{3} /, "");
      throw new AccordError(error.code, message, { status: error.status, details: error.details, cause: error });
    }
  };
}

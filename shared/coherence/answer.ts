import { z } from "zod";
import { InvalidRequestError } from "../platform/errors.ts";
import type { Rpc } from "../platform/rpc.ts";
import { METRICS_CONTENT_TYPE, type MetricsFormat, toMetrics } from "./prometheus.ts";
import { Repair, Report } from "./report.ts";

/** What may be posted: a report alone, or what is safe put right as well. */
export const CoherenceRequest = z.strictObject({ repair: z.boolean().default(false) });
export type CoherenceRequest = z.output<typeof CoherenceRequest>;

/**
 * The report as it was asked for: JSON, or metrics for `?format=prometheus` and for whoever accepts nothing but text.
 * Metrics are asked for every few seconds, so they are those of the schedule's last check, with its time.
 */
export async function answerReport(rpc: Rpc, request: Request): Promise<Response> {
  // Asked before the work is done: what nobody can be answered is not compared.
  const format = formatOf(request);
  if (format === "json") return Response.json(await readReport(rpc));
  const report = Report.nullable().parse(await rpc("last_coherence_report")) ?? await readReport(rpc);
  return new Response(toMetrics(report, format), { headers: { "content-type": METRICS_CONTENT_TYPE[format] } });
}

/** The report, and with `repair` what was done about it: the figures are those from before. */
export async function performCoherence(rpc: Rpc, { repair }: CoherenceRequest): Promise<unknown> {
  if (!repair) return await readReport(rpc);
  const { report, repaired, left } = Repair.parse(await rpc("repair_coherence"));
  return { ...report, repaired, left };
}

async function readReport(rpc: Rpc): Promise<Report> {
  return Report.parse(await rpc("coherence_report"));
}

function formatOf(request: Request): "json" | MetricsFormat {
  const asked = new URL(request.url).searchParams.get("format");
  const accepted = request.headers.get("accept") ?? "";
  if (asked === "json") return "json";
  if (asked !== null && asked !== "prometheus") {
    throw new InvalidRequestError(`format must be json or prometheus, not ${asked.slice(0, 100)}`);
  }
  const isOpen = accepted.includes("application/openmetrics-text");
  if (asked === "prometheus") return isOpen ? "openmetrics" : "prometheus";
  if (accepted.includes("application/json")) return "json";
  if (isOpen) return "openmetrics";
  return accepted.includes("text/plain") ? "prometheus" : "json";
}

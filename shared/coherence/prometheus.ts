import { type Pair, type Report, VERDICTS } from "./report.ts";

/** The two forms in which Prometheus and its kin read metrics. */
export type MetricsFormat = "prometheus" | "openmetrics";

export const METRICS_CONTENT_TYPE: Record<MetricsFormat, string> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** What is counted of a pair, by the label `kind`. */
const ROWS = {
  source: "sourceCount",
  copy: "copyCount",
  missing: "missing",
  stale: "stale",
  orphan: "orphan",
  in_flight: "inFlight",
  waiting: "waiting",
} as const satisfies Record<string, keyof Pair>;

/** The report as metrics: all of them gauges, so that either form takes them. */
export function toMetrics({ generatedAt, verdict, pairs }: Report, format: MetricsFormat): string {
  const lines = [
    ...gauge(
      "accord_coherence_rows",
      "Rows of a pair: of its source, of its copy, those that differ, and of these those that wait for a person.",
      pairs.flatMap((pair) => Object.entries(ROWS).map(([kind, key]) => sample({ pair: pair.name, kind }, pair[key]))),
    ),
    ...gauge(
      "accord_coherence_ratio",
      "Of the source of a pair, how much is missing from its copy or stale there.",
      pairs.map(({ name, ratio }) => sample({ pair: name }, ratio)),
    ),
    ...gauge(
      "accord_coherence_verdict",
      "The verdict on a pair: 0 ok, 1 auto_sync, 2 alert.",
      pairs.map(({ name, verdict }) => sample({ pair: name }, VERDICTS.indexOf(verdict))),
    ),
    ...gauge("accord_coherence_worst_verdict", "The verdict on the whole house: 0 ok, 1 auto_sync, 2 alert.", [
      sample({}, VERDICTS.indexOf(verdict)),
    ]),
    ...gauge("accord_coherence_last_check_timestamp_seconds", "When the pairs were compared last.", [
      sample({}, Date.parse(generatedAt) / 1000),
    ]),
    ...format === "openmetrics" ? ["# EOF"] : [],
  ];
  return `${lines.join("\n")}\n`;
}

function gauge(name: string, help: string, samples: string[]): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...samples.map((sample) => `${name}${sample}`)];
}

function sample(labels: Record<string, string>, value: number): string {
  const list = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`).join(",");
  return `${list === "" ? "" : `{${list}}`} ${value}`;
}

/** What would end a label or its line. */
function escaped(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
}

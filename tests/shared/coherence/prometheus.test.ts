import { describe, expect, it } from "vitest";
import { toMetrics } from "../../../shared/coherence/prometheus.ts";
import { agreeing, reportOf } from "./support.ts";

describe("metrics", () => {
  it("are every figure of every pair, each family with its help and type", () => {
    const pair = {
      ...agreeing("embeddings of faq_items"),
      sourceCount: 1_000,
      copyCount: 990,
      missing: 50,
      stale: 2,
      orphan: 42,
      inFlight: 7,
      waiting: 3,
      ratio: 0.052,
      verdict: "auto_sync" as const,
    };
    expect(toMetrics(reportOf([pair]), "prometheus")).toBe(
      `# HELP accord_coherence_rows Rows of a pair: of its source, of its copy, those that differ, and of these those that wait for a person.
# TYPE accord_coherence_rows gauge
accord_coherence_rows{pair="embeddings of faq_items",kind="source"} 1000
accord_coherence_rows{pair="embeddings of faq_items",kind="copy"} 990
accord_coherence_rows{pair="embeddings of faq_items",kind="missing"} 50
accord_coherence_rows{pair="embeddings of faq_items",kind="stale"} 2
accord_coherence_rows{pair="embeddings of faq_items",kind="orphan"} 42
accord_coherence_rows{pair="embeddings of faq_items",kind="in_flight"} 7
accord_coherence_rows{pair="embeddings of faq_items",kind="waiting"} 3
# HELP accord_coherence_ratio Of the source of a pair, how much is missing from its copy or stale there.
# TYPE accord_coherence_ratio gauge
accord_coherence_ratio{pair="embeddings of faq_items"} 0.052
# HELP accord_coherence_verdict The verdict on a pair: 0 ok, 1 auto_sync, 2 alert.
# TYPE accord_coherence_verdict gauge
accord_coherence_verdict{pair="embeddings of faq_items"} 1
# HELP accord_coherence_worst_verdict The verdict on the whole house: 0 ok, 1 auto_sync, 2 alert.
# TYPE accord_coherence_worst_verdict gauge
accord_coherence_worst_verdict 1
# HELP accord_coherence_last_check_timestamp_seconds When the pairs were compared last.
# TYPE accord_coherence_last_check_timestamp_seconds gauge
accord_coherence_last_check_timestamp_seconds 1795000000.5
`,
    );
  });

  it("end with the mark that OpenMetrics wants, and only there", () => {
    expect(toMetrics(reportOf([]), "openmetrics")).toMatch(/1795000000\.5\n# EOF\n$/);
    expect(toMetrics(reportOf([]), "prometheus")).not.toContain("EOF");
  });

  it("escape what would end a label or its line", () => {
    const text = toMetrics(reportOf([agreeing('a "b" \\ c\nd')]), "prometheus");
    expect(text).toContain(String.raw`accord_coherence_ratio{pair="a \"b\" \\ c\nd"} 0`);
    expect(text.split("\n").filter((line) => line !== "" && !/^(#|accord_)/.test(line))).toEqual([]);
  });
});

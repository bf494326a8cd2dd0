import { describe, expect, it } from "vitest";
import type { TrendPoint } from "../../../shared/coherence/report.ts";
import { pairsTable, trendTable } from "../../../shared/coherence/table.ts";
import { agreeing } from "./support.ts";

describe("the table of pairs", () => {
  it.each([
    [0, "0 %"],
    [0.05, "5 %"],
    [0.049, "4.9 %"],
    [1, "100 %"],
    // Nothing that differs reads as nothing.
    [0.000001, "0.01 %"],
    [0.29, "29 %"],
  ])("shows a ratio of %d as %s", (ratio, shown) => {
    const { header, rows } = pairsTable([{ ...agreeing("p"), ratio }]);
    expect(rows[0]?.[header.indexOf("ratio")]).toBe(shown);
  });

  it("has a cell for each heading", () => {
    const { header, rows } = pairsTable([agreeing("p")]);
    expect(rows[0]).toHaveLength(header.length);
  });
});

describe("the trend", () => {
  const point = (pair: string, missing: number, verdict: TrendPoint["verdict"] = "ok"): TrendPoint => ({
    pair,
    at: "2026-11-21T00:00:00Z",
    checks: 288,
    sourceCount: 100,
    copyCount: 100,
    missing,
    stale: 1,
    orphan: 0,
    verdict,
  });

  it("is one row for each pair, with its last figure, its worst and a bar for each day", () => {
    const { rows } = trendTable([point("a", -1), point("b", 3), point("a", 69, "alert"), point("a", 9)]);
    expect(rows).toEqual([
      ["a", 864, 10, 70, 1, "▁█▂"],
      ["b", 288, 4, 4, 0, "█"],
    ]);
  });

  it("is flat where all agree", () => {
    expect(trendTable([point("a", -1), point("a", -1)]).rows[0]?.at(-1)).toBe("▁▁");
  });
});

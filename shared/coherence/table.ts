import { differing, type Pair, type TrendPoint } from "./report.ts";

/** What a person reads: a header, and a row for each pair. */
export interface Table {
  header: string[];
  rows: (string | number)[][];
}

/** The pairs, one below the other. */
export function pairsTable(pairs: Pair[]): Table {
  return {
    header: ["pair", "source", "copy", "missing", "stale", "orphan", "in flight", "ratio", "verdict"],
    rows: pairs.map((pair) => [
      pair.name,
      pair.sourceCount,
      pair.copyCount,
      pair.missing,
      pair.stale,
      pair.orphan,
      pair.inFlight,
      percent(pair.ratio),
      pair.verdict,
    ]),
  };
}

/** The trend of each pair: the last figure, the worst, and a line of bars from then to now. */
export function trendTable(points: TrendPoint[]): Table {
  const byPair = new Map<string, TrendPoint[]>();
  for (const point of points) byPair.set(point.pair, [...byPair.get(point.pair) ?? [], point]);
  return {
    header: ["pair", "checks", "differing", "at worst", "alerts", "trend"],
    rows: [...byPair].map(([pair, points]) => {
      const counts = points.map(differing);
      return [
        pair,
        points.reduce((sum, { checks }) => sum + checks, 0),
        counts.at(-1) ?? 0,
        Math.max(...counts),
        points.filter(({ verdict }) => verdict === "alert").length,
        bars(counts),
      ];
    }),
  };
}

/** Rounded up at the last place: nothing that differs reads as nothing. */
function percent(ratio: number): string {
  return `${Math.ceil(Number((ratio * 1e4).toFixed(4))) / 100} %`;
}

const BARS = "▁▂▃▄▅▆▇█";

function bars(counts: number[]): string {
  const most = Math.max(...counts, 1);
  return counts.map((count) => BARS[Math.ceil((count / most) * (BARS.length - 1))]).join("");
}

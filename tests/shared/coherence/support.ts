import { type Pair, type Report, VERDICTS } from "../../../shared/coherence/report.ts";

export function agreeing(name: string): Pair {
  return {
    name,
    sourceCount: 0,
    copyCount: 0,
    missing: 0,
    stale: 0,
    orphan: 0,
    inFlight: 0,
    waiting: 0,
    ratio: 0,
    verdict: "ok",
    action: null,
    detail: null,
  };
}

export function reportOf(pairs: Pair[]): Report {
  const worst = Math.max(0, ...pairs.map(({ verdict }) => VERDICTS.indexOf(verdict)));
  return {
    generatedAt: new Date(1_795_000_000_500).toISOString(),
    verdict: VERDICTS[worst] ?? "ok",
    pairs,
  };
}

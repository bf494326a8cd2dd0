import type { Fault } from "../../support/provider/faults.ts";

/** Whole numbers from 0 to below n that look random and are the same in each run. */
export function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * n);
  };
}

export interface Weather {
  /** What goes wrong with the next request. */
  next(): Fault | null;
  /** How often each way to fail was met so far. */
  met: Map<string, number>;
}

/** Fair stretches, and between them each of these failures for some requests; each comes before any comes again. */
export function changingWeather(ways: Record<string, () => Fault>, roll: (n: number) => number): Weather {
  const names = Object.keys(ways);
  const met = new Map(names.map((name): [string, number] => [name, 0]));
  let coming: string[] = [];
  let fair = 2;
  let foul = 0;
  let name = "";

  function turn(): void {
    if (coming.length === 0) coming = names.toSorted(() => roll(3) - 1);
    name = coming.pop() ?? "";
    fair = 3 + roll(5);
    foul = 1 + roll(3);
  }

  return {
    met,
    next: () => {
      if (fair-- > 0) return null;
      if (foul === 0) {
        turn();
        return null;
      }
      foul--;
      met.set(name, (met.get(name) ?? 0) + 1);
      return ways[name]?.() ?? null;
    },
  };
}

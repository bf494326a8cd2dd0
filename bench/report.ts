/** One figure with its aim; benchmarks end with these and exit 0 whether or not an aim is met. */
export interface Figure {
  /** `<benchmark>.<case>` */
  name: string;
  value: number;
  aim: { operator: "<=" | ">="; value: number };
}

export function printFigure({ name, value, aim }: Figure): void {
  console.log(`ratio ${name} ${Number(value.toPrecision(3))} aim ${aim.operator} ${aim.value}`);
}

/** The middle of the sorted samples: one slow moment of the machine does not move it. */
export function median(samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Milliseconds that one run of `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

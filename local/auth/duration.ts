import { AuthRefusal } from "./refusal.ts";

const SECONDS: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

/** A ban's length as GoTrue takes it: `24h`, `1h30m`, `none` to lift it; nothing for no change. */
export function secondsOf(duration: string): number | undefined {
  if (duration === "") return undefined;
  if (duration === "none") return 0;
  if (!/^(\d+(\.\d+)?(h|m|s|ms|us|µs|ns))+$/.test(duration)) {
    throw new AuthRefusal(
      400,
      "validation_failed",
      `invalid format for ban duration: time: invalid duration "${duration}"`,
    );
  }
  const parts = duration.matchAll(/(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)/g);
  return Array.from(parts).reduce((total, [, amount, unit = ""]) => total + Number(amount) * (SECONDS[unit] ?? 0), 0);
}

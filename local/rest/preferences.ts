import { preferencesRefused } from "./errors.ts";

/** What the `Prefer` headers of a request ask for. */
export interface Preferences {
  resolution?: "merge-duplicates" | "ignore-duplicates" | undefined;
  missing?: "default" | "null" | undefined;
  return?: "representation" | "minimal" | "headers-only" | undefined;
  count?: "exact" | "planned" | "estimated" | undefined;
  handling?: "strict" | "lenient" | undefined;
  maxAffected?: number | undefined;
}

/** In the order in which `Preference-Applied` repeats them. */
const KNOWN = {
  resolution: ["merge-duplicates", "ignore-duplicates"],
  missing: ["default", "null"],
  return: ["representation", "minimal", "headers-only"],
  count: ["exact", "planned", "estimated"],
  handling: ["strict", "lenient"],
} as const;

type Choice = keyof typeof KNOWN;

/** No mistake to ask for, though Supabase leaves it to nobody to choose how a transaction ends. */
const WITHOUT_EFFECT = ["tx=commit", "tx=rollback"];

export function parsePreferences(header: string | null): Preferences {
  const given = (header ?? "").split(",").map((preference) => preference.trim()).filter(Boolean);
  const maxAffected = given.map((preference) => /^max-affected=(\d+)$/.exec(preference)?.[1]).find(Boolean);
  const preferences: Preferences = {
    resolution: firstOf(given, "resolution", KNOWN.resolution),
    missing: firstOf(given, "missing", KNOWN.missing),
    return: firstOf(given, "return", KNOWN.return),
    count: firstOf(given, "count", KNOWN.count),
    handling: firstOf(given, "handling", KNOWN.handling),
    maxAffected: maxAffected === undefined ? undefined : Number(maxAffected),
  };

  const unknown = given.filter((preference) => !isKnown(preference));
  if (preferences.handling === "strict" && unknown.length > 0) throw preferencesRefused(unknown);
  return preferences;
}

/** The value of `Preference-Applied`: of those that this kind of request honours, the ones it was given. */
export function preferencesApplied(
  preferences: Preferences,
  honoured: readonly (Choice | "maxAffected")[],
): string | undefined {
  const applied = (Object.keys(KNOWN) as Choice[])
    .filter((choice) => honoured.includes(choice) && preferences[choice] !== undefined)
    .map((choice) => `${choice}=${preferences[choice]}`);
  if (honoured.includes("maxAffected") && preferences.handling === "strict" && preferences.maxAffected !== undefined) {
    applied.push(`max-affected=${preferences.maxAffected}`);
  }
  return applied.length === 0 ? undefined : applied.join(", ");
}

/** Of a preference given more than once, the first counts. */
function firstOf<T extends string>(given: readonly string[], name: string, values: readonly T[]): T | undefined {
  const texts = values.map((value) => `${name}=${value}`);
  const first = given.find((preference) => texts.includes(preference));
  return first === undefined ? undefined : values[texts.indexOf(first)];
}

function isKnown(preference: string): boolean {
  if (preference.startsWith("max-affected=") || WITHOUT_EFFECT.includes(preference)) return true;
  return Object.entries(KNOWN).some(([choice, values]) => values.some((value) => preference === `${choice}=${value}`));
}

import type { MissingFunction } from "./errors.ts";

/** How alike two names must be, from 0 to 1, before one is suggested for the other. */
const LEAST_LIKENESS = 0.75;
/** What surrounds a name that does exist gives nothing away, so a vague likeness is suggested too. */
const LEAST_LIKENESS_OF_EXPOSED = 0.33;

export function hintForTable(table: string, others: Iterable<string>): string | null {
  const closest = mostAlike(table, others, LEAST_LIKENESS);
  return closest === undefined ? null : `Perhaps you meant the table 'public.${closest}'`;
}

export function hintForFunction({ name, args, namesakes, others }: MissingFunction): string | null {
  const called = (signature: string) => `Perhaps you meant to call the function public.${signature}`;
  if (namesakes.length === 0) {
    const closest = mostAlike(name, others, LEAST_LIKENESS);
    return closest === undefined ? null : called(closest);
  }
  const signature = (parameters: readonly string[]) => `(${parameters.toSorted().join(", ")})`;
  const known = namesakes.map(({ parameters }) => signature(parameters.map((parameter) => parameter.name)));
  const closest = mostAlike(signature(args), known, LEAST_LIKENESS_OF_EXPOSED);
  return closest === undefined ? null : called(name + closest);
}

export function hintForRelationship(target: string, related: Iterable<string>): string | null {
  const closest = mostAlike(target, related, LEAST_LIKENESS_OF_EXPOSED);
  return closest === undefined || closest === target ? null : `Perhaps you meant '${closest}' instead of '${target}'.`;
}

function mostAlike(text: string, candidates: Iterable<string>, least: number): string | undefined {
  let best: string | undefined;
  let bestLikeness = least;
  for (const candidate of candidates) {
    const likeness = likenessOf(text.toLowerCase(), candidate.toLowerCase());
    if (likeness > bestLikeness || (best === undefined && likeness === least)) {
      best = candidate;
      bestLikeness = likeness;
    }
  }
  return best;
}

/** One minus the share of characters that must change to make one text of the other. */
function likenessOf(one: string, other: string): number {
  const longest = Math.max(one.length, other.length);
  return longest === 0 ? 1 : 1 - editDistance(one, other) / longest;
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

import type { Measure } from "./measure.ts";
import type { Part } from "./parts.ts";
import { sentenceEnds } from "./sentences.ts";

/**
 * Where a chunk begins that repeats the end of the chunk before it, in whole blocks or else in whole sentences; nothing
 * if not even the last of those fits. Never where the chunk before begins, which would be in there twice.
 */
export function overlapStart(before: Part[], room: number, measure: Measure): number | undefined {
  let start: number | undefined;
  let left = room;
  for (let i = before.length - 1; i > 0; i--) {
    const part = before[i];
    if (part === undefined || part.tokens > left) break;
    start = part.start;
    left -= part.tokens + measure.countGap(before[i - 1]?.end ?? start, start);
  }
  const last = before.at(-1);
  return start ?? (last === undefined ? undefined : startOfLastSentences(last, room, measure));
}

function startOfLastSentences(part: Part, room: number, measure: Measure): number | undefined {
  // A fence is repeated as a whole or not at all.
  if (!part.isProse) return undefined;
  const ends = [...sentenceEnds(measure.content.slice(part.start, part.end))];
  let start: number | undefined;
  for (const end of ends.reverse()) {
    const from = part.start + end;
    if (measure.count({ start: from, end: part.end }) > room) break;
    start = from;
  }
  return start;
}

import { hashOf } from "./sentences.ts";
import type { Measure } from "./measure.ts";
import type { Part } from "./parts.ts";

/** Chunks of less than this share of the limit are made only where there is no other way. */
const LEAST_SHARE = 0.3;
/** What a place to cut at is recognised by: the beginning of what follows, so that an edit further on moves nothing. */
const RECOGNISED_BY = 48;

/**
 * The parts in groups that each fit in a chunk. Where a chunk ends is up to the text there, not to how much came
 * before: among the places that leave neither too little behind nor before them it is the strongest, and among equals
 * the one whose following words have the lowest hash. So the groups after an insertion soon are again what they were.
 */
export function* pack(parts: Iterable<Part>, limit: number, measure: Measure): Generator<Part[]> {
  const least = Math.floor(limit * LEAST_SHARE);
  let waiting: Part[] = [];
  let tokens = 0;
  for (const part of parts) {
    tokens += weightOf(waiting.at(-1), part, measure);
    waiting.push(part);
    while (tokens > limit + least && waiting.length > 1) {
      const taken = bestCut(waiting, { limit, least }, measure);
      yield waiting.slice(0, taken);
      waiting = waiting.slice(taken);
      tokens = weightOfAll(waiting, measure);
    }
  }
  while (tokens > limit && waiting.length > 1) {
    const taken = bestCut(waiting, { limit, least }, measure);
    yield waiting.slice(0, taken);
    waiting = waiting.slice(taken);
    tokens = weightOfAll(waiting, measure);
  }
  if (waiting.length > 0) yield waiting;
}

/** How many of the parts make the next chunk: one at least, and not all. */
function bestCut(parts: Part[], { limit, least }: { limit: number; least: number }, measure: Measure): number {
  const total = weightOfAll(parts, measure);
  let [best, strongest, lowest] = [0, -1, 0];
  let [furthest, tokens] = [1, 0];
  for (let i = 1; i < parts.length; i++) {
    const [before, part] = [parts[i - 1], parts[i]];
    if (before === undefined || part === undefined) break;
    tokens += weightOf(parts[i - 2], before, measure);
    if (tokens > limit) break;
    furthest = i;
    if (tokens < least || total - tokens < least) continue;
    if (part.strength < strongest) continue;
    const hash = hashOf(measure.content.slice(part.start, Math.min(part.end, part.start + RECOGNISED_BY)));
    if (part.strength > strongest || hash <= lowest) [best, strongest, lowest] = [i, part.strength, hash];
  }
  return best === 0 ? furthest : best;
}

function weightOfAll(parts: Part[], measure: Measure): number {
  return parts.reduce((sum, part, i) => sum + weightOf(parts[i - 1], part, measure), 0);
}

/** The tokens that a part adds to what it follows. Those of a whole are hardly ever more than those of its parts. */
function weightOf(before: Part | undefined, part: Part, measure: Measure): number {
  return part.tokens + (before === undefined ? 0 : measure.countGap(before.end, part.start));
}

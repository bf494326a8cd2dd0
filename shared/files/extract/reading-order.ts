import type { Line } from "./pdf-lines.ts";

/**
 * Nearly every program writes a page in the order in which it is read, columns included; that order knows more than
 * any guess. Only where lines jump up the page again and again is it found anew from where they stand.
 */
export function inReadingOrder(lines: Line[]): Line[] {
  if (lines.some(({ isLevel }) => !isLevel)) return lines;
  return jumpsUp(lines) > Math.max(2, 0.05 * lines.length) ? ordered(lines, 0) : lines;
}

/** How often a line stands above the one before it, in the same column. */
function jumpsUp(lines: Line[]): number {
  let jumps = 0;
  for (let at = 1; at < lines.length; at++) {
    const [before, line] = [lines[at - 1], lines[at]];
    if (before === undefined || line === undefined || line.y <= before.y + 0.5 * line.size) continue;
    const overlap = Math.min(before.right, line.right) - Math.max(before.x, line.x);
    if (overlap > 0.5 * Math.min(before.right - before.x, line.right - line.x)) jumps++;
  }
  return jumps;
}

const DEEPEST = 40;
const MOST_LINES = 3_000;

/** Cut at the gutter between columns if there is one, else at the widest gap across, and each part again. */
function ordered(lines: Line[], depth: number): Line[] {
  if (lines.length < 2) return lines;
  const parts = depth > DEEPEST || lines.length > MOST_LINES ? null : atGutter(lines) ?? atGap(lines);
  if (parts === null) return lines.toSorted((a, b) => b.y - a.y || a.x - b.x);
  return parts.flatMap((part) => ordered(part, depth + 1));
}

function atGutter(lines: Line[]): [Line[], Line[]] | null {
  const byLeft = lines.toSorted((a, b) => a.x - b.x);
  let right = Number.NEGATIVE_INFINITY;
  for (const [index, line] of byLeft.entries()) {
    const isGutter = index >= 2 && byLeft.length - index >= 2 && line.x - right > line.size;
    if (isGutter) return [byLeft.slice(0, index), byLeft.slice(index)];
    right = Math.max(right, line.right);
  }
  return null;
}

function atGap(lines: Line[]): [Line[], Line[]] | null {
  const byHeight = lines.toSorted((a, b) => b.y - a.y);
  let [widest, at] = [0, 0];
  for (let index = 1; index < byHeight.length; index++) {
    const [above, line] = [byHeight[index - 1], byHeight[index]];
    if (above === undefined || line === undefined) continue;
    const gap = (above.y - line.y) / line.size;
    if (gap > widest) [widest, at] = [gap, index];
  }
  return widest > 1.5 ? [byHeight.slice(0, at), byHeight.slice(at)] : null;
}

import type { Run } from "./pdf-lines.ts";

/** What PDF.js tells of what was put on a page: fields, notes, links. */
export interface Annotation {
  subtype?: string;
  annotationFlags?: number;
  /** Left, bottom, right, top. */
  rect?: number[];
  fieldType?: string | null;
  fieldValue?: unknown;
  password?: boolean;
  contentsObj?: { str: string };
}

/** The runs of a page and what was filled in or noted on it, which comes after the words it stands beside, or last. */
export function withFields(runs: Run[], annotations: Annotation[], turn: (run: Run) => Run): Run[] {
  const added = new Map<number, Run[]>();
  for (const annotation of annotations.slice(0, MOST_FIELDS)) {
    const [left, bottom, , top] = annotation.rect ?? [];
    if (left === undefined || bottom === undefined || top === undefined) continue;
    const field = linesIn(annotation).map((line, index) => turn(runAt(line, index, { left, bottom, top })));
    const [first] = field;
    if (first === undefined) continue;
    const label = labelOf(runs, first, top - bottom);
    added.set(label, [...added.get(label) ?? [], ...field.map((run) => inSizeOf(runs[label], run))]);
  }
  if (added.size === 0) return runs;
  const whole = runs.flatMap((run, index) => {
    const fields = added.get(index);
    return fields === undefined ? [run] : [{ ...run, hasEOL: true }, ...fields];
  });
  const last = whole.pop();
  return [...whole, ...last === undefined ? [] : [{ ...last, hasEOL: true }], ...added.get(NOTHING) ?? []];
}

const HIDDEN = 2;

/** What somebody wrote there; of a box that is ticked, the words beside it are text already. */
function linesIn(annotation: Annotation): string[] {
  const { subtype, annotationFlags = 0, fieldType, fieldValue, password, contentsObj } = annotation;
  if ((annotationFlags & HIDDEN) !== 0) return [];
  if (subtype === "FreeText") return textLines([contentsObj?.str]);
  const isFilledIn = subtype === "Widget" && password !== true && (fieldType === "Tx" || fieldType === "Ch");
  return isFilledIn ? textLines(Array.isArray(fieldValue) ? fieldValue : [fieldValue]) : [];
}

function textLines(values: unknown[]): string[] {
  return values.flatMap((value) => typeof value === "string" ? value.split(/\r\n?|\n/) : [])
    .filter((line) => line.trim() !== "");
}

/** Of one page; more are none that anybody fills in. */
const MOST_FIELDS = 2_000;
const USUAL_SIZE = 10;
/** Of a letter, on the average, in letters' heights. */
const WIDTH = 0.5;

function runAt(str: string, index: number, field: { left: number; bottom: number; top: number }): Run {
  const size = Math.max(1, Math.min(USUAL_SIZE, field.top - field.bottom));
  // A low field has its one line in its middle, a high one its first at its top.
  const first = Math.max(field.top - 1.2 * size, (field.top + field.bottom) / 2 - 0.4 * size);
  const y = first - 1.2 * size * index;
  return {
    str,
    transform: [size, 0, 0, size, field.left, y],
    width: WIDTH * size * str.length,
    height: size,
    hasEOL: true,
  };
}

/** How large it is drawn is not known; larger than the words beside it, it would be taken for a heading. */
function inSizeOf(label: Run | undefined, run: Run): Run {
  const size = label?.height || run.height;
  return { ...run, height: size, width: WIDTH * size * run.str.length };
}

const NOTHING = -1;

/** The nearest words to its left on about the same height. */
function labelOf(runs: Run[], { height, transform: [, , , , x = 0, y = 0] }: Run, room: number): number {
  const reach = Math.max(0.6 * height, 0.5 * Math.min(room, 2 * height));
  let [label, nearest] = [NOTHING, Number.NEGATIVE_INFINITY];
  runs.forEach(({ str, transform: [, , , , left = 0, baseline = 0] }, index) => {
    if (str.trim() === "" || left > x || left < nearest || Math.abs(baseline - y) > reach) return;
    [label, nearest] = [index, left];
  });
  return label;
}

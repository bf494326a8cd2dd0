/** What PDF.js tells of a run of text, as far as it is used. */
export interface Run {
  str: string;
  /** Scale, rotation and place: `[a, b, c, d, x, y]`, from the lower left corner of the page. */
  transform: number[];
  width: number;
  height: number;
  hasEOL: boolean;
}

/** A run as it stands on a page that is shown turned clockwise by so many degrees. */
export function turned(run: Run, degrees: number): Run {
  if (degrees % 360 === 0) return run;
  const [a = 1, b = 0, c = 0, d = 1, x = 0, y = 0] = run.transform;
  const point = (x: number, y: number) => TURNS[((degrees % 360) + 360) % 360]?.(x, y) ?? [x, y];
  return { ...run, transform: [...point(a, b), ...point(c, d), ...point(x, y)] };
}

const TURNS: Record<number, (x: number, y: number) => [number, number]> = {
  90: (x, y) => [y, -x],
  180: (x, y) => [-x, -y],
  270: (x, y) => [-y, x],
};

export interface Line {
  text: string;
  x: number;
  right: number;
  /** Of the baseline: greater is higher. */
  y: number;
  /** Of the letters. */
  size: number;
  /** Written across the page, as most lines are. */
  isLevel: boolean;
  /** What wide gaps part, as between the columns of a table; null where there are none. */
  cells: string[] | null;
}

/** Runs as the lines that they make, in the order in which the file has them. */
export function linesOf(runs: Run[]): Line[] {
  const lines: Line[] = [];
  let open: Run[] = [];
  const end = () => {
    const line = lineOf(open);
    if (line !== null) lines.push(line);
    open = [];
  };
  for (const run of runs) {
    if (run.str !== "") open.push(run);
    if (run.hasEOL) end();
  }
  end();
  return withMarks(lines);
}

/** Signs and numbers of items that a file has apart from them, put where they stand: before what is on their line. */
function withMarks(lines: Line[]): Line[] {
  const marks = new Set(lines.filter(({ text, isLevel }) => isLevel && MARK_ALONE.test(text)));
  if (marks.size === 0) return lines;
  const byHeight = new Map<number, Line[]>();
  for (const line of lines) {
    if (marks.has(line)) continue;
    const height = Math.round(line.y);
    const others = byHeight.get(height);
    if (others === undefined) byHeight.set(height, [line]);
    else others.push(line);
  }
  const placed = new Map<Line, Line>();
  for (const mark of [...marks].slice(0, MOST_MARKS)) {
    const isBeside = ({ x, size }: Line) => x >= mark.right - 1 && x - mark.right < 3 * size;
    const height = Math.round(mark.y);
    const item = byHeight.get(height - 1)?.find(isBeside) ?? byHeight.get(height)?.find(isBeside) ??
      byHeight.get(height + 1)?.find(isBeside);
    if (item !== undefined && !placed.has(item)) placed.set(item, mark);
  }
  const used = new Set(placed.values());
  return lines.filter((line) => !used.has(line)).map((line) => {
    const mark = placed.get(line);
    return mark === undefined ? line : { ...line, text: `${mark.text} ${line.text}`, x: mark.x };
  });
}

const MARK_ALONE = /^(?:[•◦▪▫‣⁃●○■□➢➤✓·–\uF0A7\uF0B7\uF0D8\uF0FC-]|\(?\d{1,3}[.)]|[a-z]\))$/;
const MOST_MARKS = 500;

function lineOf(runs: Run[]): Line | null {
  const visible = runs.filter(({ str }) => str.trim() !== "");
  const [first, last] = [visible[0], visible.at(-1)];
  if (first === undefined || last === undefined) return null;
  const longest = visible.reduce((a, b) => b.str.length > a.str.length ? b : a);
  const size = longest.height || Math.hypot(longest.transform[2] ?? 0, longest.transform[3] ?? 0) || 1;
  const cells = cellsOf(runs, size);
  const isLevel = Math.abs(first.transform[1] ?? 0) < 0.01 * size;
  return {
    text: cells.join(" | "),
    x: first.transform[4] ?? 0,
    right: (last.transform[4] ?? 0) + last.width,
    y: first.transform[5] ?? 0,
    size,
    isLevel,
    cells: cells.length > 1 && isLevel ? cells : null,
  };
}

/** How wide a gap is, in letters' heights, that stands between columns; and between words that a line is filled with. */
const GAP = 1.2;
const FILLING = 4;

/** Runs as the cells that wide gaps make of them. */
function cellsOf(runs: Run[], size: number): string[] {
  const cells: { text: string; gap: number }[] = [];
  let gap = 0;
  for (const { str, width } of runs) {
    const last = cells.at(-1);
    if (str.trim() === "") gap = Math.max(gap, width);
    else if (last === undefined || (gap > GAP * size && !isMark(last.text))) cells.push({ text: str, gap });
    else last.text += gap > 0 ? ` ${str}` : str;
    if (str.trim() !== "") gap = 0;
  }
  const texts = cells.map(({ text }) => text.replace(/\s+/g, " ").trim());
  return isFilled(texts, cells.slice(1).map(({ gap }) => gap), size) ? [texts.join(" ")] : texts;
}

/** What numbers a heading or marks an item often stands apart from it. */
function isMark(text: string): boolean {
  return /^\s*(?:[^\p{L}\d]{1,2}|\(?[\p{L}\d]{1,3}[.)]|[\d.]+)\s*$/u.test(text);
}

/** Whether it is a line of few words that is stretched to the width of its column: its gaps are all the same. */
function isFilled(cells: string[], gaps: number[], size: number): boolean {
  if (cells.some((cell) => cell.includes(" "))) return false;
  const least = gaps.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = gaps.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return most <= 1.3 * least && most <= FILLING * size;
}

/** Text for people; `--json` leaves it out altogether. */
export interface Output {
  line(text?: string): void;
  /** Whether a person watches, so that something may move. */
  isWatched: boolean;
  /** Writes over what was drawn last. */
  redraw(text: string): void;
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
}

export function createOutput(write: (text: string) => void, options: { color: boolean; isWatched: boolean }): Output {
  const paint = (code: number) => (text: string) => (options.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    line: (text = "") => write(`${text}\n`),
    isWatched: options.isWatched,
    redraw: (text) => write(`\r\u001b[2K${text}`),
    bold: paint(1),
    good: paint(32),
    bad: paint(31),
    dim: paint(2),
  };
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(header: string[], rows: (string | number)[][]): string[] {
  const cells = [header, ...rows.map((row) => row.map(String))];
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row, index) =>
    row.map((cell, column) => {
      const width = widths[column] ?? 0;
      const isNumber = index > 0 && typeof rows[index - 1]?.[column] === "number";
      return isNumber ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd()
  );
}

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;

/** `3 min ago`, in the largest unit that fits. */
export function age(since: string | null, now: Date): string {
  if (since === null) return "never";
  const seconds = Math.max(0, Math.round((now.getTime() - new Date(since).getTime()) / 1000));
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

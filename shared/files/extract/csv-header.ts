/** What stands above the rows of a table, as far as anything does. */
export interface Table {
  title: string | null;
  /** The names of the columns, where the first line gives some. */
  columns: string[] | null;
  rows: string[][];
}

/** How many rows are looked at to tell a name from a value. */
const SAMPLE = 20;
/** Lines with a title, a source or a date that stand above the names of the columns. */
const MOST_TITLES = 3;

/** The rows of a file apart from the lines above them that are none. */
export function tableOfRows(data: string[][]): Table {
  const titles: string[] = [];
  for (const [at, row] of data.slice(0, MOST_TITLES + 1).entries()) {
    const rows = data.slice(at + 1);
    const names = row.map((name) => name.replace(/\s+/g, " ").trim());
    if (isTitle(names, rows)) titles.push(filledOf(names).join(" "));
    else if (!isHeader(names, rows)) break;
    else return { title: titles.length === 0 ? null : titles.join("\n"), columns: numbered(names), rows };
  }
  return { title: null, columns: null, rows: data };
}

/** A line with nothing but one cell of words, above a table that is wider. */
function isTitle(cells: string[], rows: string[][]): boolean {
  const [title, ...others] = filledOf(cells);
  if (title === undefined || others.length > 0 || !/\p{L}/u.test(title)) return false;
  const below = rows.slice(0, SAMPLE);
  if (cells.length === 1 && below.some(isProse)) return false;
  return below.filter((row) => filledOf(row).length > 1).length > 0.5 * below.length;
}

/** In sentences, too, there are delimiters, with a space after them. */
function isProse(row: string[]): boolean {
  return row.some((cell) => /^ \S/.test(cell));
}

/** The first line names the columns unless it holds values: numbers, dates, the same as below, long sentences. */
function isHeader(names: string[], rows: string[][]): boolean {
  const filled = filledOf(names);
  if (filled.length === 0 || filled.length < 0.5 * names.length) return false;
  if (rows.length > 0 && names.length === 1 && (filled[0]?.length ?? 0) > 40) return false;
  if (filled.some((name) => name.length > 120)) return false;
  const below = rows.slice(0, SAMPLE);
  if (filled.some(isNumber) && !hasNumbersAsNames(names, below)) return false;
  const isDoubled = new Set(filled.map((name) => name.toLowerCase())).size < filled.length;
  return !isDoubled || standsAboveNumbers(names, below);
}

/** Years above amounts, or a few numbers above many. */
function hasNumbersAsNames(names: string[], below: string[][]): boolean {
  if (isNumber(names[0] ?? "") || below.length === 0) return false;
  const isYears = names.filter(isNumber).every(isYear);
  if (isYears && !below.some((row) => names.some((name, column) => isYear(name) && isYear(row[column] ?? "")))) {
    return true;
  }
  const numbersBelow = below.reduce((sum, row) => sum + row.filter(isNumber).length, 0);
  return 2 * names.filter(isNumber).length <= numbersBelow / below.length;
}

/** Whether a column that is called by a word holds something with digits in most rows. */
function standsAboveNumbers(names: string[], below: string[][]): boolean {
  return names.some((name, column) => {
    const values = below.map((row) => row[column] ?? "").filter((value) => value.trim() !== "");
    return name !== "" && !/\d/.test(name) && values.filter((value) => /\d/.test(value)).length > 0.5 * values.length;
  });
}

/** Of columns that are called the same, the second is told from the first. */
function numbered(names: string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const times = (seen.get(name.toLowerCase()) ?? 0) + 1;
    seen.set(name.toLowerCase(), times);
    return name === "" || times === 1 ? name : `${name} (${times})`;
  });
}

function filledOf(cells: string[]): string[] {
  return cells.filter((cell) => cell.trim() !== "");
}

function isNumber(text: string): boolean {
  return /^[-+\d.,:/\s%€$£]*\d[-+\d.,:/\s%€$£]*$/.test(text);
}

/** Also a school year: 2025-2026. */
function isYear(text: string): boolean {
  return /^(?:19|20)\d\d(?:\s?[-/]\s?(?:(?:19|20)?\d\d))?$/.test(text.trim());
}

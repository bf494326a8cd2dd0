/** A part of the content, from its first to behind its last character that is not blank. */
export interface Range {
  start: number;
  end: number;
}

/** Counts tokens of parts of a content, and no more of a part than it takes to see that it is too large. */
export interface Measure {
  readonly content: string;
  readonly limit: number;
  count(range: Range): number;
  /** The tokens of what is not larger than a chunk may be. */
  countIfFits(range: Range): number | undefined;
  /** The tokens of what stands between two parts. */
  countGap(start: number, end: number): number;
}

/** Prose has four or five letters a token: in so many times the limit there is nearly always more than the limit. */
const LETTERS_LOOKED_AT_FIRST = 8;
/** A beginning may have a few tokens that the whole has not: where it is cut off, a word may be two. */
const TOKENS_BY_CUTTING = 16;

export function measureOf(content: string, limit: number, countTokens: (text: string) => number): Measure {
  const gaps = new Map<string, number>();
  /** Found too large last: a block that is the only one of its section, or a sentence of its block, is asked for again. */
  let tooLarge: Range = { start: 0, end: 0 };

  const count = ({ start, end }: Range) => countTokens(content.slice(start, end));

  function countIfFits(range: Range): number | undefined {
    if (range.start === tooLarge.start && range.end === tooLarge.end) return undefined;
    const enough = range.start + limit * LETTERS_LOOKED_AT_FIRST;
    const looksTooLarge = range.end > enough && count({ start: range.start, end: enough }) > limit + TOKENS_BY_CUTTING;
    const tokens = looksTooLarge ? Number.POSITIVE_INFINITY : count(range);
    if (tokens <= limit) return tokens;
    tooLarge = range;
    return undefined;
  }

  function countGap(start: number, end: number): number {
    if (end - start > LONGEST_KNOWN_GAP) return count({ start, end });
    const gap = content.slice(start, end);
    const known = gap === "" ? 0 : gaps.get(gap);
    if (known !== undefined) return known;
    const tokens = countTokens(gap);
    if (gaps.size < MOST_KNOWN_GAPS) gaps.set(gap, tokens);
    return tokens;
  }

  return { content, limit, count, countIfFits, countGap };
}

const LONGEST_KNOWN_GAP = 8;
const MOST_KNOWN_GAPS = 256;

/** The range without blanks around it; those before its first word stay where they indent the line. */
export function rangeOf(content: string, start: number, end: number): Range | undefined {
  const text = content.slice(start, end);
  const words = text.trimStart();
  if (words === "") return undefined;
  const first = start + text.length - words.length;
  let from = first;
  while (from > start && (content[from - 1] === " " || content[from - 1] === "\t")) from--;
  const isLineStart = from === 0 || content[from - 1] === "\n";
  return { start: isLineStart ? from : first, end: first + words.trimEnd().length };
}

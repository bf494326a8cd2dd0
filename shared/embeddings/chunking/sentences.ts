/**
 * Where a text without any marks can be cut: behind sentences, lines, words and at last characters. Each gives the
 * offsets behind the parts, without the text's own end, and takes a time that grows with the length only.
 */

/** Not behind "e.g." within a sentence: what follows must not begin in lower case. */
const SENTENCE_END = /[.!?…؟۔](?:["'”’)\]*_]*(?:\s?»)?)\s+(?![\s\p{Ll}])|[。！？｡।][」』”’）)]*\s*/gu;
const LINE_END = /\n\s*/g;
const WORD_END = /\s+/g;

export function sentenceEnds(text: string): Generator<number> {
  return endsOf(SENTENCE_END, text);
}

export function lineEnds(text: string): Generator<number> {
  return endsOf(LINE_END, text);
}

export function wordEnds(text: string): Generator<number> {
  return endsOf(WORD_END, text);
}

function* endsOf(boundary: RegExp, text: string): Generator<number> {
  for (const { 0: match, index } of text.matchAll(boundary)) {
    const end = index + match.length;
    if (end < text.length) yield end;
  }
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Cuts a text without gaps behind characters as a reader sees them, into parts of at most so many UTF-16 units, and of
 * half as many at least. The cut is where a hash of what stands before it is lowest, so that further on an insertion
 * changes nothing. A character that is longer is cut between its code points.
 */
export function* characterEnds(text: string, longest: number): Generator<number> {
  for (let start = 0; text.length - start > longest;) {
    // One more than allowed: what stands at its end may be half a character.
    const window = text.slice(start, start + longest + 1);
    let [end, lowest] = [0, Number.POSITIVE_INFINITY];
    for (const { index } of graphemes.segment(window)) {
      if (index === 0) continue;
      const hash = hashBefore(window, index);
      if (end * 2 < longest || hash <= lowest) [end, lowest] = [index, hash];
    }
    if (end === 0) end = codePointEnd(window, longest);
    start += end;
    if (start < text.length) yield start;
  }
}

/** The last end of a code point in the first so many units, or of the first code point. */
function codePointEnd(text: string, longest: number): number {
  const splitsPair = isPair(text, longest - 1);
  if (!splitsPair) return longest;
  return longest > 1 ? longest - 1 : 2;
}

function isPair(text: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(at, at + 2));
}

function hashBefore(text: string, end: number): number {
  return hashOf(text.slice(Math.max(0, end - 4), end));
}

/** FNV-1a: quick, and the same everywhere. Says nothing to anyone who would look for texts of the same hash. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

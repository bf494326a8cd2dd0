/**
 * Where a text without any marks can be cut: behind sentences, lines, words, characters and at last code points. Each
 * gives the offsets behind the parts, without the text's own end, in a time that grows with the length only.
 */

/** Not behind "e.g." within a sentence: what follows must not begin in lower case. */
const SENTENCE_END = /[.!?…؟۔](?:["'”’)\]*_]*(?:\s?»)?)\s+(?![\s\p{Ll}])|[。！？｡।][」』”’）)]*\s*/gu;
/** Without the blanks that indent the next line. */
const LINE_END = /\n/g;
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
/** Characters are shorter, but for letters with dozens of accents: those are taken for several. */
const LONGEST_CHARACTER = 64;

/**
 * Cuts a text without gaps behind characters as a reader sees them, into parts of about half as many UTF-16 units as
 * given up to as many, or of a single character. The cut is where a hash of what stands before it is lowest, so that
 * further on an insertion changes nothing.
 */
export function* characterEnds(text: string, longest: number): Generator<number> {
  for (let start = 0; start < text.length;) {
    // One more than allowed: what stands at its end may be a part of a character.
    let [end, lowest] = [0, Number.POSITIVE_INFINITY];
    const window = text.slice(start, start + Math.max(longest, LONGEST_CHARACTER) + 1);
    for (const { index } of graphemes.segment(window)) {
      if (index > longest && end > 0) break;
      if (index === 0) continue;
      const hash = hashOf(window.slice(Math.max(0, index - RECOGNISED_BY), index));
      if (end * 2 < longest || hash <= lowest) [end, lowest] = [index, hash];
    }
    if (end === 0 || text.length - start <= longest) end = window.length;
    if (isPair(text, start + end - 1)) end--;
    start += Math.max(1, end);
    if (start < text.length) yield start;
  }
}

const RECOGNISED_BY = 4;

export function* codePointEnds(text: string): Generator<number> {
  let end = 0;
  for (const { length } of text) {
    end += length;
    if (end < text.length) yield end;
  }
}

function isPair(text: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(at, at + 2));
}

/** FNV-1a: quick, and the same everywhere. Says nothing to anyone who would look for texts of the same hash. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

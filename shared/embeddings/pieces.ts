import { sha256 } from "../platform/sha256.ts";

/** A part of a content that is embedded by itself. */
export interface Piece {
  /** `content.slice(start, end)` is its text. */
  start: number;
  end: number;
  text: string;
  tokens: number;
}

export interface PieceOptions {
  tokensPerPiece: number;
  /** Must not count more tokens in a whole than in its parts together. */
  countTokens(text: string): number;
}

/**
 * Cuts a content where a reader would: between paragraphs, else between sentences, else between words; inside a word
 * only where one word is longer than a piece may be. The same content always gives the same pieces, and blank content none.
 */
export function cutIntoPieces(content: string, { tokensPerPiece, countTokens }: PieceOptions): Piece[] {
  const pieces: Piece[] = [];
  let [start, end, openTokens] = [0, 0, 0];

  function close(): void {
    const text = content.slice(start, end).trim();
    if (text === "") return;
    const from = content.indexOf(text, start);
    pieces.push({ start: from, end: from + text.length, text, tokens: countTokens(text) });
  }

  /** Adds a part to the open piece: whole where it fits into a piece, else cut at the best places there are. */
  function add(from: number, to: number, boundaries: RegExp[]): void {
    const text = content.slice(from, to);
    const tokens = countTokens(text);
    if (tokens > tokensPerPiece && !isOneCharacter(text)) {
      const [boundary, ...lesser] = boundaries;
      let at = from;
      for (const part of partsOf(text, boundary)) {
        add(at, at + part.length, lesser);
        at += part.length;
      }
      return;
    }
    if (openTokens + tokens > tokensPerPiece) {
      close();
      [start, openTokens] = [from, 0];
    }
    end = to;
    openTokens += tokens;
  }

  add(0, content.length, BOUNDARIES);
  close();
  return pieces;
}

/** What identifies a piece: the same text in the same profile has the same vector, and need not be paid for twice. */
export function hashOfPiece(profileName: string, text: string): Promise<string> {
  return sha256(`${profileName}\n${text}`);
}

const PARAGRAPH_END = /\n[^\S\n]*\n\s*/g;
const SENTENCE_END = /(?:[.!?…]["'”)\]]*(?:\s?»)?\s|[。！？]|\n)\s*/g;
/** A gap is apart from the words around it, so that it is not what makes them too long. */
const WORD_OR_GAP_END = /\S+|\s+/g;

const BOUNDARIES = [PARAGRAPH_END, SENTENCE_END, WORD_OR_GAP_END];

/** A text in parts that each end with the boundary, or in halves where there is none left to look for. */
function* partsOf(text: string, boundary: RegExp | undefined): Generator<string> {
  let from = 0;
  for (const to of boundary === undefined ? [middleOf(text)] : endsOf(boundary, text)) {
    yield text.slice(from, to);
    from = to;
  }
  if (from < text.length) yield text.slice(from);
}

function* endsOf(boundary: RegExp, text: string): Generator<number> {
  for (const { 0: match, index } of text.matchAll(boundary)) yield index + match.length;
}

/** Never between the halves of one character. */
function middleOf(text: string): number {
  const middle = Math.floor(text.length / 2);
  return isOneCharacter(text.slice(middle - 1, middle + 1)) ? middle + 1 : middle;
}

function isOneCharacter(text: string): boolean {
  return text.length <= 1 || /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text);
}

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
  let open: Span | null = null;
  for (const part of partsWithin(content, { start: 0, end: content.length }, { tokensPerPiece, countTokens })) {
    const joined: Span = open === null ? part : { start: open.start, end: part.end, tokens: open.tokens + part.tokens };
    if (open !== null && joined.tokens > tokensPerPiece) {
      pieces.push(...pieceOf(content, open, countTokens));
      open = part;
    } else {
      open = joined;
    }
  }
  if (open !== null) pieces.push(...pieceOf(content, open, countTokens));
  return pieces;
}

/** What identifies a piece: the same text in the same profile has the same vector, and need not be paid for twice. */
export async function hashOfPiece(profileName: string, text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${profileName}\n${text}`));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Span {
  start: number;
  end: number;
  tokens: number;
}

const PARAGRAPH_END = /\n[^\S\n]*\n\s*/g;
const SENTENCE_END = /(?:[.!?…]["'”»)\]]*\s|[。！？]|\n)\s*/g;

/** Consecutive parts that are each small enough, cut at the best places that make them so. */
function* partsWithin(
  content: string,
  { start, end }: { start: number; end: number },
  options: PieceOptions,
  boundaries = [PARAGRAPH_END, SENTENCE_END],
): Generator<Span> {
  const text = content.slice(start, end);
  const tokens = options.countTokens(text);
  if (tokens <= options.tokensPerPiece || isOneCharacter(text)) {
    yield { start, end, tokens };
    return;
  }
  const [boundary, ...lesser] = boundaries;
  const cuts = boundary === undefined
    ? [middleOf(text)]
    : Array.from(text.matchAll(boundary), (match) => match.index + match[0].length);
  let from = 0;
  for (const to of new Set([...cuts, text.length])) {
    yield* partsWithin(content, { start: start + from, end: start + to }, options, lesser);
    from = to;
  }
}

/** The last gap between words in the first half, else the middle, but never between the halves of one character. */
function middleOf(text: string): number {
  const middle = Math.floor(text.length / 2);
  const gap = text.slice(0, middle).search(/\s\S*$/);
  if (gap > 0) return gap + 1;
  return isOneCharacter(text.slice(middle - 1, middle + 1)) ? middle + 1 : middle;
}

function isOneCharacter(text: string): boolean {
  return text.length <= 1 || /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text);
}

function pieceOf(content: string, span: Span, countTokens: PieceOptions["countTokens"]): Piece[] {
  const text = content.slice(span.start, span.end).trim();
  if (text === "") return [];
  const start = span.start + content.slice(span.start, span.end).search(/\S/);
  return [{ start, end: start + text.length, text, tokens: countTokens(text) }];
}

/** What the bytes from 0x80 on mean, in the order of how often a file is found to be written so. */
const ENCODINGS = {
  // Windows; the five bytes that mean nothing in it are an unknown sign.
  windows1252: "€\uFFFD‚ƒ„…†‡ˆ‰Š‹Œ\uFFFDŽ\uFFFD\uFFFD‘’“”•–—˜™š›œ\uFFFDžŸ\u00A0¡¢£¤¥¦§¨©ª«¬\u00AD®¯°±²³´µ¶·¸¹º»¼½¾¿" +
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
  // Older Unix, with the euro and the œ.
  latin9: "\uFFFD".repeat(32) +
    "\u00A0¡¢£€¥Š§š©ª«¬\u00AD®¯°±²³Žµ¶·ž¹º»ŒœŸ¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß" +
    "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
  // What Excel for Mac calls CSV (Macintosh), or plain CSV.
  macRoman: "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø" +
    "¿¡¬√ƒ≈∆«»…\u00A0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uF8FFÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ",
  // What Excel calls CSV (MS-DOS), with the euro that came later.
  dos850: "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐" +
    "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00AD±‗¾¶§÷¸°¨·¹³²■\u00A0",
};

type Encoding = keyof typeof ENCODINGS;
const NAMES = Object.keys(ENCODINGS) as Encoding[];

/** Text is made of the bytes in pieces: one number for each byte of a whole file would be as large again, twice over. */
const PIECE = 64 * 1024;

export function decodeOneByte(bytes: Uint8Array, encoding: Encoding): string {
  const high = [...ENCODINGS[encoding]].map((character) => character.charCodeAt(0));
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) {
    const codes = Uint16Array.from(bytes.subarray(at, at + PIECE));
    for (let index = 0; index < codes.length; index++) {
      const byte = codes[index] ?? 0;
      if (byte >= 0x80) codes[index] = high[byte - 0x80] ?? byte;
    }
    pieces.push(new TextDecoder("utf-16le", { ignoreBOM: true }).decode(codes));
  }
  return pieces.join("");
}

/** In which of the encodings the accents stand where words have them, and how many signs are out of place even so. */
export function likeliestEncoding(sample: Uint8Array): { encoding: Encoding; misplaced: number } {
  let best: { encoding: Encoding; score: number; misplaced: number } | null = null;
  for (const encoding of NAMES) {
    const { placed, misplaced } = placesOf(decodeOneByte(sample, encoding));
    const score = placed - 3 * misplaced;
    if (best === null || score > best.score) best = { encoding, score, misplaced };
  }
  return best ?? { encoding: "windows1252", misplaced: 0 };
}

/** Signs that stand inside of words or against them: the apostrophe, the dashes, the ellipsis, a space of fixed width. */
const BETWEEN_LETTERS = /[’–—…·\u00A0]/;
const WORD_OF_ONE_LETTER = /[àèéóô]/i;
const NEVER_IN_TEXT = /[¤\uFFFD\uF8FF]/;

function placesOf(text: string): { placed: number; misplaced: number } {
  let [placed, misplaced] = [0, 0];
  for (const { 0: sign, index } of text.matchAll(/[\u0080-\uFFFF]/g)) {
    const [before, after] = [text[index - 1] ?? " ", text[index + 1] ?? " "];
    if (isMisplaced(sign, before, after)) misplaced++;
    else if (isLetter(sign) || isPunctuation(sign, before, after)) placed++;
  }
  return { placed, misplaced };
}

function isMisplaced(sign: string, before: string, after: string): boolean {
  if (NEVER_IN_TEXT.test(sign)) return true;
  if (!isLetter(sign)) return isLetter(before) && isLetter(after) && !BETWEEN_LETTERS.test(sign);
  if (sign === before && sign === after) return true;
  if (!isLetter(before) && !isLetter(after) && !WORD_OF_ONE_LETTER.test(sign)) return true;
  if (isCapital(sign)) return isLetter(before) && (isSmall(before) || isSmall(after));
  return isCapital(after) || isDigit(before);
}

/** Quotation marks on their side of a word, and what stands between or after words. */
function isPunctuation(sign: string, before: string, after: string): boolean {
  if (/[“‘„‚«¿¡]/.test(sign)) return !isLetter(before) && !isBlank(after) || sign === "«";
  if (/[”»]/.test(sign)) return !isBlank(before) || sign === "»";
  return /[’–—…€°\u00A0]/.test(sign);
}

function isLetter(character: string): boolean {
  return /\p{Script=Latin}/u.test(character) && !/[ªºﬁﬂƒ]/.test(character);
}

function isCapital(character: string): boolean {
  return /\p{Lu}/u.test(character);
}

function isSmall(character: string): boolean {
  return /\p{Ll}/u.test(character);
}

function isDigit(character: string): boolean {
  return /\d/.test(character);
}

function isBlank(character: string): boolean {
  return /\s/.test(character);
}

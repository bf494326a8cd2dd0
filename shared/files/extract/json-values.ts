import { FileError } from "./file-error.ts";

/** Values within values of a file: each costs memory, however short it is. */
const MOST_VALUES = 250_000;

const [QUOTE, COMMA, MINUS, BACKSLASH, BRACKET, BRACE] = [0x22, 0x2c, 0x2d, 0x5c, 0x5b, 0x7b];
/** Integers of fewer digits are all different numbers. */
const EXACT_DIGITS = 15;

/**
 * The JSON with those numbers as texts that JavaScript would write otherwise than the file does: Article 1.10 is not
 * Article 1.1, and of a long identifier every digit counts. Refused is what has more values than fit into memory.
 */
export function jsonWithNumbersAsWritten(text: string): string {
  const pieces: string[] = [];
  let [copied, values] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === COMMA || code === BRACKET || code === BRACE) {
      if (++values > MOST_VALUES) throw tooManyValues();
    } else if (code === MINUS || isDigit(code)) {
      let end = at + 1;
      let isInteger = true;
      for (; isInNumber(text.charCodeAt(end)); end++) isInteger &&= isDigit(text.charCodeAt(end));
      if ((!isInteger || end - at > EXACT_DIGITS) && isWrittenOtherwise(text.slice(at, end))) {
        pieces.push(text.slice(copied, at), `"${text.slice(at, end)}"`);
        copied = end;
      }
      at = end - 1;
    }
  }
  return copied === 0 ? text : pieces.join("") + text.slice(copied);
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end;
  }
  return text.length;
}

function isWrittenOtherwise(number: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i.test(number) && `${Number(number)}` !== number;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Digits, a sign, a point, an exponent. */
function isInNumber(code: number): boolean {
  return isDigit(code) || code === 0x2b || code === MINUS || code === 0x2e || code === 0x45 || code === 0x65;
}

function tooManyValues(): FileError {
  return new FileError(
    "too_large",
    `The file has more than ${MOST_VALUES.toLocaleString("en-US")} values: split it into several files ` +
      "and upload those.",
  );
}

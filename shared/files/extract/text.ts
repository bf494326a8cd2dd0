import { cleanText } from "./clean.ts";
import { FileError } from "./file-error.ts";
import { decodeOneByte, likeliestEncoding } from "./one-byte-encodings.ts";

/** Where a file of an unknown encoding is looked at: what it is shows early. */
const SAMPLE_BYTES = 64 * 1024;

/** Of the characters, those whose place in a word no accent has: with more of them, no encoding is the right one. */
const MOST_MISPLACED = 0.02;

/** The text of the bytes in whatever encoding they are; not yet cleaned. */
export function decodeText(bytes: Uint8Array, declared: string | null = null): string {
  const encoding = encodingOf(bytes, declared);
  const text = encoding === null ? decodeWestern(bytes) : decode(bytes, encoding);
  if (isMostlyControl(text.slice(0, SAMPLE_BYTES))) throw notText();
  return text;
}

/** A plain text keeps its lines: its paragraphs are those that its author made. */
export function tidyText(text: string): string {
  const clean = cleanText(text);
  return clean.split("\n").map((line) => line.trimEnd()).join("\n").replace(/^\n+/, "").trimEnd();
}

/** A mark at the beginning tells; then what was declared; then what the bytes can be. Null where none of these tells. */
function encodingOf(bytes: Uint8Array, declared: string | null): string | null {
  const marked = markedEncoding(bytes) ?? encodingWithoutMark(bytes);
  if (marked !== null) return marked;
  const asked = declared === null ? null : decoderNamed(declared);
  // Many pages are UTF-8 and declare what their template once was: bytes that are UTF-8 by chance hardly exist.
  if (isUtf8(bytes)) return "utf-8";
  if (asked !== null && !asked.encoding.startsWith("utf-")) return asked.encoding;
  return isMostlyUtf8(bytes) ? "utf-8" : null;
}

/** Some versions of Node take Windows-1252 for Latin-1, and lose the euro, the quotation marks and the œ. */
function decode(bytes: Uint8Array, encoding: string): string {
  return encoding === "windows-1252" ? decodeOneByte(bytes, "windows1252") : new TextDecoder(encoding).decode(bytes);
}

/** A Western text of which nobody knows the encoding shows it by its first accents, wherever they are. */
function decodeWestern(bytes: Uint8Array): string {
  const accent = Math.max(0, bytes.findIndex((byte) => byte >= 0x80) - 100);
  const sample = bytes.subarray(accent, accent + SAMPLE_BYTES);
  if (!canBeOneByte(bytes.subarray(0, SAMPLE_BYTES)) || !canBeOneByte(sample)) throw notText();
  const { encoding, misplaced } = likeliestEncoding(sample);
  if (misplaced > MOST_MISPLACED * sample.length) throw notText();
  return decodeOneByte(bytes, encoding);
}

function markedEncoding(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return null;
}

/** UTF-16 of a European language: every other byte is zero, and only every other. */
function encodingWithoutMark(bytes: Uint8Array): string | null {
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  if (sample.length < 4) return null;
  const zeros: [number, number] = [0, 0];
  for (let at = 0; at < sample.length; at++) if (sample[at] === 0) zeros[at % 2 === 0 ? 0 : 1]++;
  const half = sample.length / 2;
  if (zeros[1] > 0.4 * half && zeros[0] < 0.05 * half) return "utf-16le";
  if (zeros[0] > 0.4 * half && zeros[1] < 0.05 * half) return "utf-16be";
  return null;
}

function decoderNamed(label: string): TextDecoder | null {
  try {
    return new TextDecoder(label.trim());
  } catch (error) {
    // A name that nobody knows declares nothing.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** A long UTF-8 text with a few broken bytes is still one: read as Windows-1252, every accent in it would be lost. */
function isMostlyUtf8(bytes: Uint8Array): boolean {
  let [good, bad] = [0, 0];
  for (let at = 0; at < bytes.length; at++) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) continue;
    const following = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
    let seen = 0;
    while (seen < following && isContinuation(bytes[at + seen + 1])) seen++;
    if (following > 0 && seen === following) good++;
    else bad++;
    at += seen;
  }
  return good > 4 * bad;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xc0;
}

/** Western texts are mostly ASCII, and controls do not stand in them. */
function canBeOneByte(sample: Uint8Array): boolean {
  let [ascii, controls] = [0, 0];
  for (const byte of sample) {
    if ((byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d)) ascii++;
    else if (byte < 0x20 || byte === 0x7f) controls++;
  }
  return ascii >= 0.6 * sample.length && controls <= 0.01 * sample.length;
}

function isMostlyControl(sample: string): boolean {
  let controls = 0;
  for (let at = 0; at < sample.length; at++) if (isControl(sample.charCodeAt(at))) controls++;
  return controls > 0.05 * sample.length;
}

/** But what ends lines and sets columns, and the escape that colours a log. */
function isControl(code: number): boolean {
  return code < 0x09 || (code > 0x0d && code < 0x20 && code !== 0x1b) || code === 0x7f;
}

function notText(): FileError {
  return new FileError(
    "unsupported_type",
    "The file is neither of a type that can be read nor a text: upload a PDF, a Word file (.docx), a web page, " +
      "Markdown, CSV, JSON or a plain text saved as UTF-8.",
  );
}

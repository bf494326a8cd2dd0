import { cleanText } from "./clean.ts";
import { FileError } from "./file-error.ts";

/** Where a file of an unknown encoding is looked at: what it is shows early. */
const SAMPLE_BYTES = 64 * 1024;

/** The text of the bytes in whatever encoding they are; not yet cleaned. */
export function decodeText(bytes: Uint8Array, declared: string | null = null): string {
  const decoder = decoderOf(bytes, declared);
  const decoded = decoder.decode(bytes);
  const text = decoder.encoding === "windows-1252" ? decoded.replace(/[\u0080-\u009F]/g, ofWindows1252) : decoded;
  if (isMostlyControl(text.slice(0, SAMPLE_BYTES))) throw notText();
  return text;
}

/** A plain text keeps its lines: its paragraphs are those that its author made. */
export function tidyText(text: string): string {
  const clean = cleanText(text);
  return clean.split("\n").map((line) => line.trimEnd()).join("\n").replace(/^\n+/, "").trimEnd();
}

/** A mark at the beginning tells; then what was declared; then what the bytes can be. */
function decoderOf(bytes: Uint8Array, declared: string | null): TextDecoder {
  const marked = markedEncoding(bytes) ?? encodingWithoutMark(bytes);
  if (marked !== null) return new TextDecoder(marked);
  const asked = declared === null ? null : decoderNamed(declared);
  // Many pages are UTF-8 and declare what their template once was: bytes that are UTF-8 by chance hardly exist.
  if (isUtf8(bytes)) return new TextDecoder("utf-8");
  if (asked !== null && !asked.encoding.startsWith("utf-")) return asked;
  if (isMostlyUtf8(bytes)) return new TextDecoder("utf-8");
  if (!canBeWindows1252(bytes.subarray(0, SAMPLE_BYTES))) throw notText();
  return new TextDecoder("windows-1252");
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

/** Western texts are mostly ASCII; five bytes mean nothing in this encoding, and controls do not stand in a text. */
function canBeWindows1252(sample: Uint8Array): boolean {
  let [ascii, impossible] = [0, 0];
  for (const byte of sample) {
    if ((byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d)) ascii++;
    else if (byte < 0x20 || byte === 0x7f || UNDEFINED_IN_1252.has(byte)) impossible++;
  }
  return ascii >= 0.6 * sample.length && impossible <= 0.01 * sample.length;
}

/** Some versions of Node take this encoding for Latin-1, and lose the euro, the quotation marks and the œ. */
function ofWindows1252(control: string): string {
  return FROM_0X80[control.charCodeAt(0) - 0x80] ?? control;
}

const FROM_0X80 = [..."€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ"];

const UNDEFINED_IN_1252 = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);

function isMostlyControl(sample: string): boolean {
  // deno-lint-ignore no-control-regex
  const controls = sample.match(/[\u0000-\u0008\u000E-\u001A\u001C-\u001F\u007F]/g)?.length ?? 0;
  return controls > 0.05 * sample.length;
}

function notText(): FileError {
  return new FileError(
    "unsupported_type",
    "The file is neither of a type that can be read nor a text: upload a PDF, a Word file (.docx), a web page, " +
      "Markdown, CSV, JSON or a plain text saved as UTF-8.",
  );
}

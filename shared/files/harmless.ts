import type { SourceFile } from "./extract/slice.ts";

/** A text of so many bytes is gone through in a moment, whatever is in it. */
const SHORT = 65_536;
/** PDF, ZIP and so Office files, and the Office files of old. */
const SIGNATURES = ["%PDF", "PK", "\xd0\xcf\x11\xe0"];
/** A PDF may begin a little later. */
const WHERE_SIGNATURES_ARE = 1_024;
/** Also in UTF-16, whose every other byte is zero. */
const MARKUP = /^[\s\xef\xbb\xbf\xff\xfe\0]*</;

/**
 * Whether a file is a short plain text, by its bytes and not by what is said of it. The readers of all others may need
 * more time or memory than there is, and end the worker.
 */
export function isHarmless({ name, mimeType, bytes }: SourceFile): boolean {
  if (bytes.length > SHORT || /htm/i.test(`${name} ${mimeType}`)) return false;
  const beginning = String.fromCharCode(...bytes.subarray(0, WHERE_SIGNATURES_ARE));
  return !MARKUP.test(beginning) && !SIGNATURES.some((signature) => beginning.includes(signature));
}

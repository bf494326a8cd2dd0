import { ascii, startsWith } from "./bytes.ts";

/** What a file is that nobody can take a text from, and what to upload instead. */
export interface ForeignType {
  what: string;
  instead: string;
}

const PICTURE = "upload a document with text in it, such as a PDF made by text recognition (OCR).";
const ARCHIVE = "unpack it and upload the files in it one by one.";
const RECORDING = "upload a transcript of it.";
const PROGRAM = "upload documents only.";

/** How the files of foreign types begin. None of these is how a text begins, but for those that `isBinary` is asked of. */
const SIGNATURES: { what: string; instead: string; bytes: Uint8Array; at?: number; isBinary?: true }[] = [
  { what: "a picture (PNG)", instead: PICTURE, bytes: Uint8Array.of(0x89, 0x50, 0x4e, 0x47) },
  { what: "a picture (JPEG)", instead: PICTURE, bytes: Uint8Array.of(0xff, 0xd8, 0xff) },
  { what: "a picture (GIF)", instead: PICTURE, bytes: ascii("GIF8") },
  { what: "a picture (WebP)", instead: PICTURE, bytes: ascii("WEBP"), at: 8 },
  { what: "a picture (TIFF)", instead: PICTURE, bytes: Uint8Array.of(0x49, 0x49, 0x2a, 0) },
  { what: "a picture (TIFF)", instead: PICTURE, bytes: Uint8Array.of(0x4d, 0x4d, 0, 0x2a) },
  { what: "a picture (BMP)", instead: PICTURE, bytes: ascii("BM"), isBinary: true },
  { what: "a picture (HEIC)", instead: PICTURE, bytes: ascii("ftyphei"), at: 4 },
  { what: "a picture (AVIF)", instead: PICTURE, bytes: ascii("ftypavif"), at: 4 },
  { what: "a film", instead: RECORDING, bytes: ascii("ftyp"), at: 4, isBinary: true },
  { what: "a film", instead: RECORDING, bytes: Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3) },
  { what: "a recording", instead: RECORDING, bytes: ascii("ID3"), isBinary: true },
  { what: "a recording", instead: RECORDING, bytes: ascii("OggS"), isBinary: true },
  { what: "a recording", instead: RECORDING, bytes: ascii("fLaC"), isBinary: true },
  { what: "a recording or a film", instead: RECORDING, bytes: ascii("RIFF"), isBinary: true },
  { what: "an archive (gzip)", instead: ARCHIVE, bytes: Uint8Array.of(0x1f, 0x8b) },
  { what: "an archive (7z)", instead: ARCHIVE, bytes: Uint8Array.of(0x37, 0x7a, 0xbc, 0xaf) },
  { what: "an archive (RAR)", instead: ARCHIVE, bytes: Uint8Array.of(0x52, 0x61, 0x72, 0x21, 0x1a) },
  { what: "an archive (bzip2)", instead: ARCHIVE, bytes: ascii("1AY&SY"), at: 4 },
  { what: "an archive (xz)", instead: ARCHIVE, bytes: Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a) },
  { what: "an archive (Zstandard)", instead: ARCHIVE, bytes: Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd) },
  { what: "an archive (tar)", instead: ARCHIVE, bytes: ascii("ustar"), at: 257 },
  { what: "a program", instead: PROGRAM, bytes: Uint8Array.of(0x7f, 0x45, 0x4c, 0x46) },
  { what: "a program", instead: PROGRAM, bytes: ascii("MZ"), isBinary: true },
  { what: "a program", instead: PROGRAM, bytes: Uint8Array.of(0xcf, 0xfa, 0xed, 0xfe) },
  { what: "a program", instead: PROGRAM, bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d) },
  { what: "a database (SQLite)", instead: "export its tables as CSV.", bytes: ascii("SQLite format 3\0") },
  { what: "a rich text (RTF)", instead: "save it as .docx or PDF and upload that.", bytes: ascii("{\\rtf") },
  { what: "PostScript", instead: "save it as PDF and upload that.", bytes: ascii("%!PS") },
];

/** What the bytes are by their beginning, where it is something without a text. */
export function foreignTypeOf(bytes: Uint8Array): ForeignType | null {
  for (const { what, instead, bytes: signature, at = 0, isBinary = false } of SIGNATURES) {
    if (startsWith(bytes, signature, at) && (!isBinary || isFullOfControls(bytes))) return { what, instead };
  }
  return null;
}

/** What follows the letters is numbers in all these formats, and small ones; in a text there is a NUL at most by chance. */
function isFullOfControls(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 64);
  return start.filter((byte) => byte < 9).length > 0.1 * start.length;
}

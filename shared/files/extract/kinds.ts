import { ascii, indexOf, startsWith } from "./bytes.ts";
import { FileError } from "./file-error.ts";
import { jsonWithNumbersAsWritten } from "./json-values.ts";
import { LIMITS } from "./limits.ts";
import { foreignTypeOf } from "./signatures.ts";
import type { SourceFile } from "./slice.ts";
import { decodeText } from "./text.ts";
import { directoryOf, ZIP_SIGNATURES, type ZipEntry } from "./zip.ts";

export const MIME_TYPES = {
  pdf: "application/pdf",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  html: "text/html",
  markdown: "text/markdown",
  csv: "text/csv",
  json: "application/json",
  text: "text/plain",
} as const;

export type TextKind = Exclude<keyof typeof MIME_TYPES, "pdf" | "docx">;

/** What a file is, and what was read of it to find out. */
export type Recognized =
  | { kind: "pdf" }
  | { kind: "docx"; entries: Map<string, ZipEntry> }
  | { kind: TextKind; text: string };

/**
 * What the bytes are, where they tell; then what was declared, then what the name ends in. A file that says it is a PDF
 * and is a web page is a web page. One that says it is a PDF and is nothing recognisable is refused: it is more likely
 * broken than a text.
 */
export function recognize(file: SourceFile): Recognized {
  const { bytes } = file;
  if (bytes.length === 0) {
    throw new FileError("empty", "The file has no bytes: its upload may have been cut off. Upload it again.");
  }
  const declared = declaredType(file);
  if (isPdf(bytes, declared.name === "pdf")) return { kind: "pdf" };
  if (startsWith(bytes, OLE_SIGNATURE)) throw oldOffice(bytes);
  if (ZIP_SIGNATURES.some((signature) => startsWith(bytes, signature))) return fromArchive(bytes);
  const foreign = foreignTypeOf(bytes);
  if (foreign !== null) {
    throw new FileError(
      "unsupported_type",
      `The file is ${foreign.what}, which has no text to read: ${foreign.instead}`,
    );
  }
  return fromText(bytes, declared);
}

interface DeclaredType {
  /** One of ours; null: nothing in particular; `other`: something that no text is. */
  name: keyof typeof MIME_TYPES | "other" | null;
  charset: string | null;
  said: string;
}

const NAMES_BY_MIME_TYPE = new Map<string, DeclaredType["name"]>(Object.entries({
  ...Object.fromEntries(Object.entries(MIME_TYPES).map(([name, type]) => [type, name as keyof typeof MIME_TYPES])),
  "application/xhtml+xml": "html",
  "text/x-markdown": "markdown",
  "application/csv": "csv",
  "text/tab-separated-values": "csv",
  // What Windows says of a CSV file where Excel is installed.
  "application/vnd.ms-excel": null,
  "text/json": "json",
  "application/ld+json": "json",
  "application/x-ndjson": "json",
  "application/jsonl": "json",
  // What uploads say that do not know better.
  "text/plain": null,
  "application/octet-stream": null,
  "binary/octet-stream": null,
}));

/** Types that are texts to whoever does not know them. */
const TEXT_LIKE = /^(text\/|application\/([\w.-]+\+)?(xml|yaml|x-yaml|toml|sql|x-sh|javascript)$)/;

const NAMES_BY_EXTENSION = new Map<string, DeclaredType["name"]>(Object.entries({
  pdf: "pdf",
  docx: "docx",
  docm: "docx",
  html: "html",
  htm: "html",
  xhtml: "html",
  md: "markdown",
  markdown: "markdown",
  mdx: "markdown",
  csv: "csv",
  tsv: "csv",
  json: "json",
  jsonl: "json",
  ndjson: "json",
  geojson: "json",
  txt: "text",
  text: "text",
}));

function declaredType({ name, mimeType }: SourceFile): DeclaredType {
  const [type = "", ...parameters] = (mimeType ?? "").toLowerCase().split(";").map((part) => part.trim());
  const charset = parameters.find((part) => part.startsWith("charset="))?.slice(8).replace(/^"|"$/g, "") ?? null;
  const byName = NAMES_BY_EXTENSION.get(/\.([a-z0-9]{1,8})$/i.exec(name)?.[1]?.toLowerCase() ?? "") ?? null;
  const byType = type === "" ? null : NAMES_BY_MIME_TYPE.get(type);
  const said = type === "" ? "" : ` (${type.slice(0, 100)})`;
  if (byType === undefined) return { name: TEXT_LIKE.test(type) ? byName : "other", charset, said };
  return { name: byType ?? byName, charset, said };
}

const PDF_SIGNATURE = ascii("%PDF-");

/** Readers look for it in the first kilobyte; where it is not first, only a file that calls itself one is believed. */
function isPdf(bytes: Uint8Array, isDeclared: boolean): boolean {
  return startsWith(bytes, PDF_SIGNATURE) || (isDeclared && indexOf(bytes, PDF_SIGNATURE, 0, 1024) !== -1);
}

const OLE_SIGNATURE = Uint8Array.of(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1);
const ENCRYPTED_PACKAGE = ascii([..."EncryptedPackage"].join("\0"));

/** The container of Office before 2007, in which a document with a password is wrapped to this day. */
function oldOffice(bytes: Uint8Array): FileError {
  if (indexOf(bytes, ENCRYPTED_PACKAGE) !== -1) {
    return new FileError(
      "encrypted",
      "The document asks for a password: save a copy without one and upload that.",
    );
  }
  return new FileError(
    "unsupported_type",
    "The file has the format of Word, Excel or PowerPoint before 2007: save it as .docx, CSV or PDF and upload that.",
  );
}

const MAIN_PART = /^word\/document\d*\.xml$/;

function fromArchive(bytes: Uint8Array): Recognized {
  const entries = directoryOf(bytes);
  if (entries === null) {
    throw new FileError(
      "damaged",
      "The end of the file is missing or damaged, and with it the list of its parts: it was not uploaded as a whole. " +
        "Upload it again.",
    );
  }
  const names = [...entries.keys()];
  if (names.includes("[Content_Types].xml") && names.some((name) => MAIN_PART.test(name))) {
    return { kind: "docx", entries };
  }
  const { what, instead } = archiveOf(names);
  throw new FileError("unsupported_type", `The file is ${what}, which cannot be read: ${instead}`);
}

function archiveOf(names: string[]): { what: string; instead: string } {
  if (names.some((name) => name.startsWith("xl/"))) {
    return { what: "an Excel workbook", instead: "save its sheets as CSV and upload those." };
  }
  if (names.some((name) => name.startsWith("ppt/"))) {
    return { what: "a PowerPoint presentation", instead: "save it as PDF and upload that." };
  }
  if (names.includes("META-INF/container.xml")) return { what: "an e-book (EPUB)", instead: "save it as PDF or HTML." };
  if (names.includes("content.xml") && names.includes("META-INF/manifest.xml")) {
    return { what: "an OpenDocument file", instead: "save it as .docx or PDF and upload that." };
  }
  return { what: "an archive (ZIP)", instead: "unpack it and upload the files in it one by one." };
}

function fromText(bytes: Uint8Array, declared: DeclaredType): Recognized {
  const isUnreadable = declared.name === "pdf" || declared.name === "docx" || declared.name === "other";
  if (bytes.length > LIMITS.textBytes) {
    throw new FileError(
      "too_large",
      `The file has ${(bytes.length / 1024 / 1024).toFixed(0)} MB, and a text may have ` +
        `${LIMITS.textBytes / 1024 / 1024}: split it into several files and upload those.`,
    );
  }
  const charset = declared.charset ?? charsetOfPage(bytes);
  const text = decodeText(bytes, charset);
  if (text.trim() === "") {
    throw new FileError("empty", "The file has nothing but white space: upload one that has a text.");
  }
  if (isWebPage(text)) return { kind: "html", text };
  if (isUnreadable) throw unlikeItsType(declared);
  if (declared.name === null) return { kind: isJson(text) ? "json" : "text", text };
  if (declared.name === "text" && isJson(text)) return { kind: "json", text };
  return { kind: declared.name as TextKind, text };
}

function unlikeItsType({ name, said }: DeclaredType): FileError {
  if (name === "pdf" || name === "docx") {
    const what = name === "pdf" ? "a PDF" : "a Word file";
    return new FileError(
      "damaged",
      `The file says that it is ${what}${said}, but its content is not: it is damaged or was saved wrongly. ` +
        "Save it anew and upload it again.",
    );
  }
  return new FileError(
    "unsupported_type",
    `The file says that it is of a type that cannot be read${said}: upload a PDF, a Word file (.docx), a web page, ` +
      "Markdown, CSV, JSON or plain text.",
  );
}

/** How far down a page may say which encoding it is in: some put scripts and styles first. */
const CHARSET_BYTES = 16 * 1024;

/** What a page says of its own encoding, for which it must be readable before it is known. */
function charsetOfPage(bytes: Uint8Array): string | null {
  const beginning = String.fromCharCode(...bytes.subarray(0, CHARSET_BYTES));
  return /<meta\s[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]{1,40})/i.exec(beginning)?.[1] ??
    /^<\?xml\s[^>]{0,100}?encoding\s*=\s*["']([\w-]{1,40})/i.exec(beginning)?.[1] ?? null;
}

/** Whether the text begins as a whole page does, after comments and declarations. */
function isWebPage(text: string): boolean {
  let start = text.slice(0, 10_000).replace(/^\uFEFF/, "").trimStart();
  for (;;) {
    const skipped = /^(?:<!--[\s\S]*?-->|<\?xml[^>]*>)/.exec(start);
    if (skipped === null) break;
    start = start.slice(skipped[0].length).trimStart();
  }
  return /^<(?:!doctype\s+html|html|head|body)[\s>]/i.test(start);
}

function isJson(text: string): boolean {
  const trimmed = text.trim();
  if (!(trimmed.startsWith("{") && trimmed.endsWith("}")) && !(trimmed.startsWith("[") && trimmed.endsWith("]"))) {
    return false;
  }
  try {
    JSON.parse(jsonWithNumbersAsWritten(trimmed));
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

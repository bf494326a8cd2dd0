import { cleanLine, cleanText, isBlank } from "./clean.ts";
import { readCsv } from "./csv.ts";
import { readDocxSlice } from "./docx.ts";
import { FileError } from "./file-error.ts";
import { readHtml } from "./html.ts";
import { readJson } from "./json.ts";
import { MIME_TYPES, recognize, type Recognized } from "./kinds.ts";
import { refuseTooManyCharacters } from "./limits.ts";
import { localeOf, withVotes } from "./locale.ts";
import { readMarkdown } from "./markdown.ts";
import { readPdfSlice } from "./pdf.ts";
import type { Budget, Progress, Reading, Slice, SourceFile } from "./slice.ts";
import { tidyText } from "./text.ts";

export { FileError, type FileErrorCode } from "./file-error.ts";
export type { Budget, Part, Progress, Slice, SourceFile } from "./slice.ts";

/**
 * The text of a file, as far as the budget goes: call again with `next` until it is null. A file that has none, or that
 * cannot be read, is a FileError, and no other attempt will make it anything else.
 */
export async function extractSlice(file: SourceFile, from: Progress | null, budget: Budget): Promise<Slice> {
  const recognized = recognize(file);
  if (recognized.kind === "pdf") return await readPdfSlice(file, from, budget);
  if (recognized.kind === "docx") return await readDocxSlice(file, recognized.entries, from, budget);
  return sliceOf(readingOf(recognized), MIME_TYPES[recognized.kind]);
}

function readingOf(recognized: Extract<Recognized, { text: string }>): Reading {
  switch (recognized.kind) {
    case "html":
      return readHtml(recognized.text);
    case "markdown":
      return readMarkdown(recognized.text);
    case "csv":
      return readCsv(recognized.text);
    case "json":
      return readJson(recognized.text);
    case "text":
      return { content: tidyText(recognized.text), title: null, language: null, metadata: {} };
  }
}

function sliceOf({ content, title, language, metadata }: Reading, mimeType: string): Slice {
  if (isBlank(content)) {
    throw new FileError("empty", "The file has nothing in it that could be read: upload one that has a text.");
  }
  refuseTooManyCharacters(content.length);
  return {
    parts: [{ page: null, content: cleanText(content) }],
    next: null,
    title: cleanLine(title),
    locale: localeOf(language, withVotes({}, content)),
    mimeType,
    metadata: cleaned(metadata),
  };
}

/** What a file says of itself goes into a jsonb, which takes no NUL either. */
function cleaned(metadata: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(metadata, (_, value) => typeof value === "string" ? cleanText(value) : value));
}

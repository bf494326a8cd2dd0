import { ascii, indexOf } from "./bytes.ts";
import { cleanLine, cleanText } from "./clean.ts";
import { FileError } from "./file-error.ts";
import { MIME_TYPES } from "./kinds.ts";
import { LIMITS, refuseTooManyCharacters } from "./limits.ts";
import { localeOf } from "./locale.ts";
import { withFields } from "./pdf-fields.ts";
import { pageText } from "./pdf-layout.ts";
import { type Run, turned } from "./pdf-lines.ts";
import { openPdf, type PdfDocument } from "./pdfjs.ts";
import type { Budget, Progress, Slice, SourceFile } from "./slice.ts";
import { newProgress, readSteps } from "./steps.ts";

/** Pages from where the last slice ended until the budget is spent, one at least. */
export async function readPdfSlice(file: SourceFile, from: Progress | null, budget: Budget): Promise<Slice> {
  const task = await openPdf(file.bytes);
  try {
    const pdf = await task.promise.catch((error: unknown) => {
      throw openingError(error);
    });
    const { title, language, author } = await properties(pdf);
    const hasFields = FIELDS.some((name) => indexOf(file.bytes, name) !== -1);
    const { parts, progress, isRead } = await readSteps(
      { begin: () => firstProgress(pdf, title), read: (page) => readPage(pdf, page, hasFields), hasPages: true },
      from,
      budget,
    );
    if (isRead && progress.characters === 0) throw withoutText(file.bytes, progress);
    return {
      parts,
      next: isRead ? null : progress,
      title: progress.title,
      locale: localeOf(language, progress.votes),
      mimeType: MIME_TYPES.pdf,
      metadata: {
        pageCount: progress.pages,
        ...(author === null ? {} : { author }),
        ...(progress.pagesWithoutText === 0 ? {} : { pagesWithoutText: progress.pagesWithoutText }),
        ...(progress.unreadablePages === 0 ? {} : { unreadablePages: progress.unreadablePages }),
      },
    };
  } finally {
    await task.destroy();
  }
}

function firstProgress({ numPages }: PdfDocument, title: string | null): Progress {
  // No page of such a file can be had.
  if (numPages < 1) throw openingError(new Error(`The PDF counts ${numPages} pages.`));
  if (numPages <= LIMITS.pages) return newProgress(numPages, title);
  throw new FileError(
    "too_large",
    `The PDF has ${numPages} pages, and may have ${LIMITS.pages}: split it into several files and upload those.`,
  );
}

/** Without any of these a PDF has no fields: to ask each page for them takes its time. Packed objects may hold them. */
const FIELDS = [ascii("/Widget"), ascii("/FreeText"), ascii("/ObjStm")];

/** The text of a page; null where the page is damaged, which is no reason to lose the others. */
async function readPage(pdf: PdfDocument, number: number, hasFields: boolean): Promise<string | null> {
  const runs = await runsOf(pdf, number, hasFields).catch((error: unknown) => {
    if (error instanceof FileError) throw error;
    // Whatever PDF.js stumbles over is in the page; the count of such pages is kept.
    return null;
  });
  return runs === null ? null : cleanText(pageText(runs));
}

async function runsOf(pdf: PdfDocument, number: number, hasFields: boolean): Promise<Run[]> {
  const page = await pdf.getPage(number);
  const reader = page.streamTextContent().getReader();
  const runs: Run[] = [];
  let characters = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const item of value.items) {
      if (!("str" in item)) continue;
      runs.push(turned(item, page.rotate));
      characters += item.str.length + 1;
    }
    // Forms within forms can make a few bytes of a page as long as they like.
    if (characters > LIMITS.characters || runs.length > LIMITS.runs) {
      await reader.cancel(new Error("The page is too long."));
      refuseTooManyCharacters(characters);
      throw tooManyRuns(number);
    }
  }
  const annotations = hasFields ? await page.getAnnotations() : [];
  page.cleanup();
  return withFields(runs, annotations, (run) => turned(run, page.rotate));
}

function tooManyRuns(number: number): FileError {
  return new FileError(
    "too_large",
    `Page ${number} of the PDF has more than ${
      LIMITS.runs.toLocaleString("en-US")
    } pieces of text, which no page that ` +
      "is read has: take it out, or export its text as a text file, and upload that.",
  );
}

const NO_PROPERTIES: Awaited<ReturnType<PdfDocument["getMetadata"]>> = { info: {}, metadata: null };

interface Properties {
  title: string | null;
  language: string | null;
  author: string | null;
}

/** What the file says of itself; where that is damaged, it says nothing. */
async function properties(pdf: PdfDocument): Promise<Properties> {
  const { info, metadata } = await pdf.getMetadata().catch(() => NO_PROPERTIES);
  const { Title, Author, Language } = info;
  const title = cleanLine(metadata?.get("dc:title")) ?? cleanLine(Title);
  return { title: isOfProgram(title) ? null : title, language: cleanLine(Language), author: cleanLine(Author) };
}

/** Many programs call a document by its file: "Microsoft Word - Contrat v3.doc" is no title that anybody chose. */
function isOfProgram(title: string | null): boolean {
  return title !== null &&
    (/^(microsoft (word|powerpoint|excel)|untitled|sans titre|unbenannt|document\d*$)/i.test(title) ||
      /\.(docx?|odt|pptx?|xlsx?|indd|tex|pdf|rtf|html?|dvi|qxd|pub)$/i.test(title));
}

function openingError(error: unknown): FileError {
  if (error instanceof Error && error.name === "PasswordException") {
    return new FileError("encrypted", "The PDF asks for a password: save a copy without one and upload that.", {
      cause: error,
    });
  }
  return new FileError(
    "damaged",
    "The PDF cannot be opened: it is damaged or was not uploaded as a whole. Save it anew and upload it again.",
    { cause: error },
  );
}

const IMAGE = [ascii("/Subtype/Image"), ascii("/Subtype /Image")];

function withoutText(bytes: Uint8Array, { pages, unreadablePages }: Progress): FileError {
  const count = pages === 1 ? "one page" : `${pages} pages`;
  if (unreadablePages > 0) {
    return new FileError(
      "damaged",
      `The PDF has ${count}, and none with a text that can be read: ${unreadablePages} of them damaged. ` +
        "Save it anew and upload it again.",
    );
  }
  if (IMAGE.some((image) => indexOf(bytes, image) !== -1)) {
    return new FileError(
      "image_only",
      `The PDF has ${count} of pictures and no text, as scanners make them: run a text recognition (OCR) over it and ` +
        "upload the result.",
    );
  }
  return new FileError("empty", `The PDF has ${count} without any text: upload one that has a text.`);
}

import type { Annotation } from "./pdf-fields.ts";
import type { Run } from "./pdf-lines.ts";

/** What is used of PDF.js; the types that its package has cannot be resolved by TypeScript as it resolves modules here. */
interface PdfJs {
  getDocument(options: Record<string, unknown>): LoadingTask;
}

export interface LoadingTask {
  promise: Promise<PdfDocument>;
  destroy(): Promise<void>;
}

export interface PdfDocument {
  numPages: number;
  getPage(number: number): Promise<PdfPage>;
  getMetadata(): Promise<{ info: Record<string, unknown>; metadata: { get(name: string): unknown } | null }>;
}

interface PdfPage {
  /** Degrees by which the page is shown turned, clockwise. */
  rotate: number;
  /** Runs of text, and marks that are none. */
  streamTextContent(): ReadableStream<{ items: (Run | { type: string })[] }>;
  /** Those that are shown. */
  getAnnotations(): Promise<Annotation[]>;
  cleanup(): boolean;
}

/** Opens a PDF with nothing but what its text needs: no fonts drawn, no pictures decoded, no code of its own run. */
export async function openPdf(bytes: Uint8Array): Promise<LoadingTask> {
  loading ??= load().catch((error: unknown) => {
    // What could not be loaded now may be there for the next file.
    loading = undefined;
    throw error;
  });
  const { getDocument } = await loading;
  return getDocument({
    // It takes over what it is given, and the caller's bytes are the caller's.
    data: bytes.slice(),
    verbosity: 0,
    isEvalSupported: false,
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    useWasm: false,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
  });
}

let loading: Promise<PdfJs> | undefined;

/** For PDFs alone: it takes its time. */
async function load(): Promise<PdfJs> {
  takeForgottenRejections();
  // What its types say is not known here, for the reason above; the tests hold the shape to what it does.
  return await import("pdfjs-serverless") as unknown as PdfJs;
}

/**
 * PDF.js fetches the pages that come next, and forgets what it fetched where the file is damaged. A rejection that
 * nobody takes ends the whole process in Deno, and with it the work on every other file.
 */
function takeForgottenRejections(): void {
  // Node has no such event; there, only tests read files.
  if (typeof globalThis.addEventListener !== "function") return;
  globalThis.addEventListener("unhandledrejection", takeRejection);
}

function takeRejection(event: PromiseRejectionEvent): void {
  if (isOfPdfJs(event.reason)) event.preventDefault();
}

const EXCEPTIONS = new Set(
  ("XRefEntryException XRefParseException ParserEOFException MissingDataException InvalidPDFException FormatError " +
    "UnknownErrorException").split(" "),
);

export function isOfPdfJs(reason: unknown): boolean {
  return reason instanceof Error && EXCEPTIONS.has(reason.name);
}

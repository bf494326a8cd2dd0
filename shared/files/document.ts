import { cleanLine } from "./extract/clean.ts";
import type { Slice } from "./extract/slice.ts";
import type { FileJob, ReadFile } from "./queue.ts";

/** As the column asks for it. */
const LOCALE = /^[a-z]{2}(-[A-Z]{2})?$/;

/** The last slice of a file as the document that it completes: what the uploader says of it comes first. */
export function documentOf(job: FileJob, { parts, title, locale, mimeType, metadata }: Slice): ReadFile {
  const { token, objectVersion } = job;
  const named = nameOf(job, title);
  return {
    token,
    objectVersion,
    parts,
    title: named.title,
    locale: [said(job, "locale"), locale].find(isLocale) ?? null,
    mimeType,
    // A document that is called after its path is called otherwise when its file is moved.
    metadata: { file: metadata, titleFrom: named.from },
  };
}

function nameOf(job: FileJob, ofFile: string | null): { title: string; from: "uploader" | "file" | "path" } {
  const byUploader = cleanLine(said(job, "title"));
  if (byUploader !== null) return { title: byUploader, from: "uploader" };
  const byFile = cleanLine(ofFile);
  if (byFile !== null) return { title: byFile, from: "file" };
  return { title: titleOfPath(job.filePath), from: "path" };
}

/** `rapports/bilan_annuel-2025.pdf` is called "bilan annuel 2025". */
function titleOfPath(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return cleanLine((dot > 0 ? name.slice(0, dot) : name).replace(/[-_]/g, " ")) ?? path;
}

function isLocale(value: unknown): value is string {
  return typeof value === "string" && LOCALE.test(value);
}

function said({ userMetadata }: FileJob, key: string): unknown {
  return typeof userMetadata === "object" && userMetadata !== null ? Reflect.get(userMetadata, key) : undefined;
}

import { cleanLine } from "./clean.ts";
import { stretchesOf } from "./docx-body.ts";
import { FileError } from "./file-error.ts";
import { readHtml } from "./html.ts";
import { MIME_TYPES } from "./kinds.ts";
import { localeOf } from "./locale.ts";
import type { Budget, Progress, Slice, SourceFile } from "./slice.ts";
import { newProgress, readSteps } from "./steps.ts";
import { type Allowance, newAllowance, unpack, type ZipEntry } from "./zip.ts";

/** What mammoth reads an archive by; it is the same as it makes for itself, but unpacks with care. */
interface Archive {
  exists(name: string): boolean;
  read(name: string, encoding?: string): Promise<string | Uint8Array>;
}

const STYLES = [
  "p[style-name='Title'] => h1:fresh",
  "p[style-name='Subtitle'] => p:fresh",
  "p[style-name='Quote'] => blockquote > p:fresh",
  "p[style-name='Intense Quote'] => blockquote > p:fresh",
  "p[style-name='Block Text'] => blockquote > p:fresh",
  "p[style-name='Quotations'] => blockquote > p:fresh",
  "p[style-name='Source Code'] => pre:separator('\\n')",
  "p[style-name='HTML Preformatted'] => pre:separator('\\n')",
  "p[style-name='Preformatted Text'] => pre:separator('\\n')",
  "r[style-name='Verbatim Char'] => code",
  "r[style-name='Source Text'] => code",
];

/** A Word file by way of HTML, so that both become the same Markdown; a long one in several stretches. */
export async function readDocxSlice(
  { bytes }: SourceFile,
  entries: Map<string, ZipEntry>,
  from: Progress | null,
  budget: Budget,
): Promise<Slice> {
  if ([...entries.values()].some(({ isEncrypted }) => isEncrypted)) throw encrypted();
  const archive = archiveOf(bytes, entries, newAllowance());
  const { title, author, language } = await properties(archive);
  const main = await mainPart(archive);
  const stretches = stretchesOf(await bytesOf(archive, main));
  const { parts, progress, isRead } = await readSteps(
    {
      begin: () => newProgress(stretches.count, title),
      read: async (stretch) => readHtml(await htmlOf(withPart(archive, main, stretches.at(stretch)))).content,
      hasPages: false,
    },
    from,
    budget,
  );
  if (isRead && progress.characters === 0) {
    throw new FileError("empty", "The Word file has no text: upload one that has some.");
  }
  return {
    parts,
    next: isRead ? null : progress,
    title: progress.title,
    locale: localeOf(language, progress.votes),
    mimeType: MIME_TYPES.docx,
    metadata: author === null ? {} : { author },
  };
}

/** Where the text is, found as mammoth finds it: were it another part, that one would be read whole at each step. */
async function mainPart(archive: Archive): Promise<string> {
  const relations = archive.exists("_rels/.rels") ? String(await archive.read("_rels/.rels", "utf-8")) : "";
  for (const [relation] of relations.matchAll(/<Relationship\s[^>]{1,1000}>/g)) {
    const target = /\sTarget="([^"]+)"/.exec(relation)?.[1]?.replace(/^\//, "") ?? "";
    if (/\sType="[^"]+\/officeDocument"/.test(relation) && archive.exists(target)) return target;
  }
  return "word/document.xml";
}

async function bytesOf(archive: Archive, name: string): Promise<Uint8Array> {
  const content = await archive.read(name);
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

function withPart(archive: Archive, name: string, content: string): Archive {
  return {
    ...archive,
    read: async (asked, encoding) => asked === name ? content : await archive.read(asked, encoding),
  };
}

/** What the parts say that describe the document. */
async function properties(archive: Archive): Promise<{ [name in "title" | "author" | "language"]: string | null }> {
  const { core, styles } = await describing(archive);
  return {
    title: cleanLine(elementOf(core, "dc:title")),
    author: cleanLine(elementOf(core, "dc:creator")),
    language: elementOf(core, "dc:language") ?? /<w:lang\s[^>]{0,200}?w:val="([\w-]{2,20})"/.exec(styles)?.[1] ?? null,
  };
}

async function describing(archive: Archive): Promise<{ core: string; styles: string }> {
  const text = async (name: string) => archive.exists(name) ? String(await archive.read(name, "utf-8")) : "";
  return { core: await text("docProps/core.xml"), styles: await text("word/styles.xml") };
}

function archiveOf(bytes: Uint8Array, entries: Map<string, ZipEntry>, allowance: Allowance): Archive {
  const unpacked = new Map<string, Promise<Uint8Array>>();
  return {
    exists: (name) => entries.has(name),
    async read(name, encoding) {
      const entry = entries.get(name);
      if (entry === undefined) throw damaged();
      const content = unpacked.get(name) ?? unpack(bytes, entry, allowance);
      unpacked.set(name, content);
      return encoding === undefined ? await content : new TextDecoder(encoding).decode(await content);
    },
  };
}

async function htmlOf(archive: Archive): Promise<string> {
  const { default: mammoth } = await import("mammoth");
  try {
    const { value } = await mammoth.convertToHtml(
      // Not among its types: an archive that is open already.
      { file: archive } as unknown as { arrayBuffer: ArrayBuffer },
      {
        styleMap: STYLES,
        includeEmbeddedStyleMap: false,
        // Pictures are left packed: of them, only what is said in words is read.
        convertImage: mammoth.images.imgElement(() => Promise.resolve({ src: "" })),
      },
    );
    return value.replace(/<a href="#(?:foot|end)note-ref-[^"]*">↑<\/a>/g, "");
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw damaged(error);
  }
}

/** What stands in an element of the short list of properties, which needs no parser. */
function elementOf(xml: string, name: string): string | null {
  const [, text = ""] = new RegExp(`<${name}(?:\\s[^>]{0,200})?>([^<]{1,1000})</${name}>`).exec(xml) ?? [];
  return text.trim() === "" ? null : readHtml(text).content;
}

function encrypted(): FileError {
  return new FileError("encrypted", "The Word file asks for a password: save a copy without one and upload that.");
}

function damaged(cause?: unknown): FileError {
  return new FileError(
    "damaged",
    "The Word file cannot be read: it is damaged or was not uploaded as a whole. Save it anew and upload it again.",
    { cause },
  );
}

import { cleanLine } from "./clean.ts";
import { stretchesOf } from "./docx-body.ts";
import { notesFor, numberedBy, readThrough, shortNumbering, shortStyles, withinLimit } from "./docx-parts.ts";
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
  "p[style-name='Titre'] => h1:fresh",
  "p[style-name='Subtitle'] => p:fresh",
  "p[style-name='Sous-titre'] => p:fresh",
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
  const besides = partsOf(archive);
  const stretches = stretchesOf(await bytesOf(archive, main), numberedBy(await besides.numbering()));
  const { parts, progress, isRead } = await readSteps(
    {
      begin: () => newProgress(stretches.count, title),
      async read(stretch) {
        const text = stretches.at(stretch);
        const html = await htmlOf({
          exists: besides.exists,
          read: async (name) => name === main ? readThrough(text) : await besides.read(name, text),
        });
        return readHtml(withNumbers(html, stretches.notesBefore(stretch))).content;
      },
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

/** The parts besides the text, as short as they may be: they are parsed anew with each stretch. */
interface Parts {
  exists(name: string): boolean;
  /** For a stretch of the text. */
  read(name: string, stretch: string): Promise<string>;
  numbering(): Promise<string>;
}

const NUMBERING = "word/numbering.xml";

function partsOf(archive: Archive): Parts {
  const short = new Map<string, Promise<string>>();
  const shortOf = (name: string) => {
    const part = short.get(name) ?? shortened(archive, name);
    short.set(name, part);
    return part;
  };
  return {
    // What was remarked beside a text is none of it, and mammoth does not write it.
    exists: (name) => archive.exists(name) && !/\/comments\d*\.xml$/.test(name),
    async read(name, stretch) {
      const part = await shortOf(name);
      const [, kind] = /\/(foot|end)notes\d*\.xml$/.exec(name) ?? [];
      const notes = kind === "foot" || kind === "end" ? notesFor(stretch, part, `${kind}note`) : part;
      return withinLimit(notes, name);
    },
    numbering: async () => archive.exists(NUMBERING) ? await shortOf(NUMBERING) : "",
  };
}

async function shortened(archive: Archive, name: string): Promise<string> {
  const part = String(await archive.read(name, "utf-8"));
  if (/\/styles\d*\.xml$/.test(name)) return shortStyles(part);
  if (/\/numbering\d*\.xml$/.test(name)) return shortNumbering(part);
  return /\/(?:foot|end)notes\d*\.xml$/.test(name) ? readThrough(part) : part;
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
  // Its build for Node looks for `path`, `buffer` and `file`, in this order, and takes the last for an archive that is open
  // already. That is written nowhere, but holds for the version that is pinned; `arrayBuffer` is for its types alone.
  const input = { file: archive, arrayBuffer: new ArrayBuffer(0) };
  try {
    const { value } = await mammoth.convertToHtml(
      input,
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

/** Each stretch has the numbers of its notes go on from those before it. */
function withNumbers(html: string, before: number): string {
  if (before === 0) return html;
  return html
    .replace(/( id="(?:foot|end)note-ref-[^"]*">\[)(\d+)(?=\]<\/a>)/g, (_, link: string, number: string) => {
      return `${link}${Number(number) + before}`;
    })
    .replace(/<ol>(?=<li id="(?:foot|end)note-)/, `<ol start="${before + 1}">`);
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

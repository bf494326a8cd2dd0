import { deflateRawSync } from "node:zlib";

export interface Packed {
  name: string;
  content: string | Uint8Array;
  /** What the directory says it unpacks to, where that is a lie. */
  said?: number;
  isEncrypted?: boolean;
}

/** A ZIP archive with these entries, deflated; without checksums, which nobody here asks for. */
export function archiveOf(entries: Packed[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, content, said, isEncrypted = false } of entries) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const packed = deflateRawSync(bytes);
    const header = new Uint8Array(26);
    const view = new DataView(header.buffer);
    view.setUint16(0, 20, true);
    view.setUint16(2, isEncrypted ? 1 : 0, true);
    view.setUint16(4, 8, true);
    view.setUint32(14, packed.length, true);
    view.setUint32(18, said ?? bytes.length, true);
    view.setUint16(22, name.length, true);
    const local = [Uint8Array.of(0x50, 0x4b, 3, 4), header, ascii(name), packed];
    const place = new Uint8Array(14);
    new DataView(place.buffer).setUint32(10, offset, true);
    directory.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), header, place, ascii(name));
    parts.push(...local);
    offset += lengthOf(local);
  }
  const end = new Uint8Array(22);
  const view = new DataView(end.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, entries.length, true);
  view.setUint16(10, entries.length, true);
  view.setUint32(12, lengthOf(directory), true);
  view.setUint32(16, offset, true);
  return joined([...parts, ...directory, end]);
}

const WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
const TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml";
const RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument";

/** A Word file with this body, and these parts besides. */
export function wordFileOf(body: string, others: Packed[] = []): Uint8Array {
  return archiveOf([
    {
      name: "[Content_Types].xml",
      content: '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">' +
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
        `<Override PartName="/word/document.xml" ContentType="${TYPES}.document.main+xml"/></Types>`,
    },
    {
      name: "_rels/.rels",
      content: `<Relationships xmlns="${RELATIONSHIPS}">` +
        `<Relationship Id="r1" Type="${OFFICE_DOCUMENT}" Target="word/document.xml"/></Relationships>`,
    },
    { name: "word/document.xml", content: `<w:document ${WORD}><w:body>${body}</w:body></w:document>` },
    ...others,
  ]);
}

export function wordParagraph(text: string, style = ""): string {
  const properties = style === "" ? "" : `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`;
  return `<w:p>${properties}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function lengthOf(parts: Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

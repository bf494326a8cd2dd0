import { ascii, indexOf, startsWith } from "./bytes.ts";
import { FileError } from "./file-error.ts";
import { LIMITS } from "./limits.ts";

/** Of the XML of a Word file, what is read in one step: bytes, some sixty pages, or elements, which cost most. */
const STEP = { bytes: 1024 * 1024, elements: 25_000 };

/** The main part of a Word file in stretches, each a document of its own. */
export interface Stretches {
  count: number;
  /** From 1, as pages are. */
  at(stretch: number): string;
  /** How many notes are referred to before a stretch. */
  notesBefore(stretch: number): number;
}

/** Where a stretch begins. */
interface Cut {
  at: number;
  notes: number;
  /** What is open there, and is closed in the stretch before and opened again. */
  open: Wrapper[];
  /** How many fields are; some programs put whole chapters in one. */
  fields: number;
}

/** An element that holds paragraphs, or rows of them, and may be cut in. */
interface Wrapper {
  name: string;
  from: number;
  /** Where what is said again ends: of a table how it is made, and its rows of headings. */
  to: number;
  isHead: boolean;
}

/**
 * Cuts between the paragraphs of the body, and the rows of its tables. What cannot be cut for sure is one stretch: a
 * program may name things in its own way, and a damaged file is for the reader to find out. Only what is asked for
 * becomes a string, which takes twice the memory of its bytes.
 */
export function stretchesOf(xml: Uint8Array, isNumbered: (paragraph: string) => boolean): Stretches {
  const text = (from?: number, to?: number) => new TextDecoder().decode(xml.subarray(from, to));
  const body = indexOf(xml, ascii("<w:body"));
  const cuts = body === -1 ? null : new Cutter(xml, xml.indexOf(CLOSE, body) + 1, isNumbered).cuts();
  if (cuts === null) return { count: 1, at: () => withinElements(text()), notesBefore: () => 0 };
  const [head, tail] = [text(0, cuts[0]?.at), text(cuts.at(-1)?.at)];
  return {
    count: cuts.length - 1,
    at(stretch) {
      const [cut, next] = [cuts[stretch - 1], cuts[stretch]];
      const opened = cut === undefined ? "" : fieldsOf(cut) + cut.open.map(({ from, to }) => text(from, to)).join("");
      const closed = next?.open.map(({ name }) => `</${name}>`).reverse().join("") ?? "";
      return withinElements(`${head}${opened}${text(cut?.at, next?.at)}${closed}${tail}`);
    },
    notesBefore: (stretch) => cuts[stretch - 1]?.notes ?? 0,
  };
}

function fieldsOf({ fields }: Cut): string {
  return fields === 0 ? "" : `<w:p><w:r>${'<w:fldChar w:fldCharType="begin"/>'.repeat(fields)}</w:r></w:p>`;
}

/** What cannot be cut may be a single paragraph, cell or row, however long. */
function withinElements(xml: string): string {
  let elements = 0;
  for (let at = xml.indexOf("<"); at !== -1; at = xml.indexOf("<", at + 1)) if (xml[at + 1] !== "/") elements++;
  if (elements <= LIMITS.elements && xml.length <= LIMITS.stretchBytes) return xml;
  throw new FileError(
    "too_large",
    "The Word file has a paragraph, a cell or a box that is as long as a book, which cannot be read in steps: " +
      "save it anew from Word, with its text in paragraphs of their own, or as PDF, and upload that.",
  );
}

const [OPEN, CLOSE, SLASH, EXCLAMATION, QUESTION] = [0x3c, 0x3e, 0x2f, 0x21, 0x3f];
const END_OF_BODY = ascii("</w:body>");

const WRAPPERS = new Set("w:tbl w:tr w:tc w:sdt w:sdtContent w:customXml w:smartTag w:ins w:moveTo".split(" "));
const BLOCKS = new Set(["w:p", "w:tbl"]);
const NOTES = new Set(["w:footnoteReference", "w:endnoteReference"]);
const HEADING_ROW = ascii("<w:tblHeader");
const NOTE = ascii("noteReference");
/** Of a note, about how many elements are read with the words that refer to it. */
const OF_NOTE = 15;
const BEGIN = ascii('"begin"');
const END = ascii('"end"');
/** Of a table, what may be said again in each stretch. */
const LONGEST_HEAD = 32 * 1024;
const MOST_FIELDS = 100;
/** Beyond so many steps, a list is cut as well, and a cell: it holds whole pages, and its row is none of a table. */
const LATEST = 1.5;

class Cutter {
  readonly #xml: Uint8Array;
  readonly #isNumbered: (paragraph: string) => boolean;
  readonly #cuts: Cut[];
  readonly #open: Wrapper[] = [];
  /** How many elements are open in the body. */
  #depth = 0;
  #elements = 0;
  #notes = 0;
  #fields = 0;
  /** How deep the deleted text is that is open; notes in it are none. */
  #deleted: number | null = null;
  /** The mark of the last paragraph is deleted: the next one goes on with it. */
  #goesOn = false;

  constructor(xml: Uint8Array, from: number, isNumbered: (paragraph: string) => boolean) {
    this.#xml = xml;
    this.#isNumbered = isNumbered;
    this.#cuts = [{ at: from, notes: 0, open: [], fields: 0 }];
  }

  /** Where the stretches begin, and where the last of them ends; null where that is not sure. */
  cuts(): Cut[] | null {
    const xml = this.#xml;
    for (let at = xml.indexOf(OPEN, this.#cuts[0]?.at); at !== -1;) {
      const close = xml.indexOf(CLOSE, at);
      if (close === -1) return null;
      const mark = xml[at + 1];
      // Comments and the like may hold anything; Word writes none.
      if (mark === EXCLAMATION || mark === QUESTION) return null;
      if (mark === SLASH) {
        if (this.#depth === 0) return startsWith(xml, END_OF_BODY, at) ? this.#ended(at) : null;
        this.#close(close + 1);
      } else this.#start(at, close);
      at = xml.indexOf(OPEN, close);
    }
    return null;
  }

  #ended(at: number): Cut[] {
    return [...this.#cuts, { at, notes: this.#notes, open: [], fields: 0 }];
  }

  #start(at: number, close: number): void {
    const xml = this.#xml;
    const isEmpty = xml[close - 1] === SLASH;
    const isBetween = this.#depth === this.#open.length;
    const name = isBetween || mayMatter(xml, at + 1) ? nameAt(xml, at + 1) : "";
    if (isBetween) this.#cutBefore(name, at);
    this.#elements++;
    if (name === "w:p") this.#goesOn = false;
    else if (name === "w:del" && isEmpty) this.#goesOn = true;
    else if (NOTES.has(name) && this.#deleted === null) this.#countNote();
    else if (name === "w:fldChar") this.#readField(at, close);
    if (isEmpty) return;
    if (name === "w:del") this.#deleted ??= this.#depth;
    if (isBetween && WRAPPERS.has(name) && this.#open.length < LIMITS.depth) {
      this.#open.push({ name, from: at, to: close + 1, isHead: true });
    }
    this.#depth++;
  }

  #close(end: number): void {
    this.#depth--;
    if (this.#deleted === this.#depth) this.#deleted = null;
    const closed = this.#depth < this.#open.length ? this.#open.pop() : undefined;
    const table = this.#open.at(-1);
    if (this.#depth > this.#open.length || table?.name !== "w:tbl" || !table.isHead) return;
    const has = (wanted: Uint8Array) => indexOf(this.#xml, wanted, closed?.from, end) !== -1;
    // Of a table, how it is made stands before its rows; of these, the first may be headings. A note that is referred to
    // again would be counted again.
    table.isHead = end - table.from <= LONGEST_HEAD &&
      (closed?.name === "w:tr" ? has(HEADING_ROW) && !has(NOTE) : closed === undefined);
    if (table.isHead) table.to = end;
  }

  #countNote(): void {
    this.#notes++;
    this.#elements += OF_NOTE;
  }

  #readField(at: number, close: number): void {
    if (indexOf(this.#xml, BEGIN, at, close) !== -1) this.#fields = Math.min(MOST_FIELDS, this.#fields + 1);
    else if (indexOf(this.#xml, END, at, close) !== -1) this.#fields = Math.max(0, this.#fields - 1);
  }

  #cutBefore(name: string, at: number): void {
    const last = this.#cuts.at(-1);
    const steps = Math.max((at - (last?.at ?? 0)) / STEP.bytes, this.#elements / STEP.elements);
    if (steps < 1 || this.#goesOn) return;
    const holder = this.#open.at(-1)?.name;
    const isRow = name === "w:tr";
    if (!isRow && (!BLOCKS.has(name) || holder === "w:tbl" || holder === "w:tr")) return;
    if (steps < LATEST && (this.#isInCell() || (name === "w:p" && this.#isNumbered(this.#paragraphAt(at))))) return;
    const open = this.#open.map((wrapper) => ({ ...wrapper }));
    this.#cuts.push({ at, notes: this.#notes, open, fields: this.#fields });
    this.#elements = 0;
  }

  #isInCell(): boolean {
    return this.#open.some(({ name }) => name === "w:tc");
  }

  #paragraphAt(at: number): string {
    const end = indexOf(this.#xml, ascii("</w:pPr>"), at, at + 4_096);
    return end === -1 ? "" : new TextDecoder().decode(this.#xml.subarray(at, end));
  }
}

const NAMES = new TextDecoder();

/** Whether a name may be one that is looked at wherever it stands: most are not, and need not be read. */
function mayMatter(xml: Uint8Array, at: number): boolean {
  const [letter, next] = [xml[at + 2], xml[at + 3] ?? 0];
  return letter === D || letter === E || letter === F || (letter === P && (next <= 0x20 || next === CLOSE));
}

const [D, E, F, P] = ascii("defp");

function nameAt(xml: Uint8Array, at: number): string {
  let end = at;
  while (end < xml.length && end - at < 24) {
    const byte = xml[end] ?? 0;
    if (byte === CLOSE || byte === SLASH || byte <= 0x20) break;
    end++;
  }
  return NAMES.decode(xml.subarray(at, end));
}

import { ascii, indexOf, startsWith } from "./bytes.ts";

/** Of the XML of a Word file, what is read in one step: some sixty pages. */
const STEP = 1024 * 1024;

/** The main part of a Word file in stretches, each a document of its own. */
export interface Stretches {
  count: number;
  /** From 1, as pages are. */
  at(stretch: number): string;
}

/**
 * Cuts between the paragraphs and tables of the body. What cannot be cut for sure is one stretch: a program may name
 * things in its own way, and a damaged file is for the reader to find out. Only what is asked for becomes a string, which
 * takes twice the memory of its bytes.
 */
export function stretchesOf(xml: Uint8Array): Stretches {
  const text = (from?: number, to?: number) => new TextDecoder().decode(xml.subarray(from, to));
  const body = indexOf(xml, ascii("<w:body"));
  const cuts = body === -1 ? null : cutsOf(xml, xml.indexOf(CLOSE, body) + 1);
  if (cuts === null) return { count: 1, at: () => text() };
  const [head, tail] = [text(0, cuts[0]), text(cuts.at(-1))];
  return { count: cuts.length - 1, at: (stretch) => `${head}${text(cuts[stretch - 1], cuts[stretch])}${tail}` };
}

const [OPEN, CLOSE, SLASH, EXCLAMATION, QUESTION] = [0x3c, 0x3e, 0x2f, 0x21, 0x3f];
const END_OF_BODY = ascii("</w:body>");

/** Where the stretches begin, and where the last of them ends. */
function cutsOf(xml: Uint8Array, from: number): number[] | null {
  const cuts = [from];
  let depth = 0;
  for (let open = xml.indexOf(OPEN, from); open !== -1;) {
    const close = xml.indexOf(CLOSE, open);
    if (close === -1) return null;
    const mark = xml[open + 1];
    // Comments and the like may hold anything; Word writes none.
    if (mark === EXCLAMATION || mark === QUESTION) return null;
    if (mark === SLASH) depth--;
    else if (xml[close - 1] !== SLASH) depth++;
    if (depth < 0) return startsWith(xml, END_OF_BODY, open) ? [...cuts, open] : null;
    if (depth === 0 && close + 1 - (cuts.at(-1) ?? 0) >= STEP) cuts.push(close + 1);
    open = xml.indexOf(OPEN, close);
  }
  return null;
}

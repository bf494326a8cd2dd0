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
 * things in its own way, and a damaged file is for the reader to find out.
 */
export function stretchesOf(xml: string): Stretches {
  const start = /<w:body(?:\s[^>]*)?>/.exec(xml);
  const cuts = start === null ? null : cutsOf(xml, start.index + start[0].length);
  if (start === null || cuts === null) return { count: 1, at: () => xml };
  const head = xml.slice(0, cuts[0]);
  const tail = xml.slice(cuts.at(-1));
  return { count: cuts.length - 1, at: (stretch) => `${head}${xml.slice(cuts[stretch - 1], cuts[stretch])}${tail}` };
}

/** Where the stretches begin, and where the last of them ends. */
function cutsOf(xml: string, from: number): number[] | null {
  const cuts = [from];
  let depth = 0;
  for (let open = xml.indexOf("<", from); open !== -1;) {
    const close = xml.indexOf(">", open);
    if (close === -1) return null;
    const mark = xml[open + 1];
    // Comments and the like may hold anything; Word writes none.
    if (mark === "!" || mark === "?") return null;
    if (mark === "/") depth--;
    else if (xml[close - 1] !== "/") depth++;
    if (depth < 0) return xml.startsWith("</w:body>", open) ? [...cuts, open] : null;
    if (depth === 0 && close + 1 - (cuts.at(-1) ?? 0) >= STEP) cuts.push(close + 1);
    open = xml.indexOf("<", close);
  }
  return null;
}

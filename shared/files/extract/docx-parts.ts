import { FileError } from "./file-error.ts";
import { LIMITS } from "./limits.ts";

/**
 * The parts of a Word file besides its text are read again with each stretch of it. What of them nobody asks for is
 * left out, so that they cost little however large they are.
 */

interface Style {
  type: string;
  id: string;
  name: string;
  basedOn: string | null;
  /** From 0; 9 is the text's. Null where the style says nothing of it. */
  outline: number | null;
  /** The numbering that a style of lists stands for. */
  numbering: string | null;
}

const STYLE_TAGS = tagsOf("style name basedOn outlineLvl numId");

/** The styles, with those that are headings by what they are based on, or by their outline, called so. */
export function shortStyles(xml: string): string {
  if (!xml.includes("<w:styles")) return xml;
  const styles = stylesIn(xml);
  const byId = new Map(styles.filter(({ type }) => type === "paragraph").map((style) => [style.id, style]));
  const written = styles.map((style) => {
    const level = style.type === "paragraph" ? headingLevel(style, byId) : null;
    const numbering = style.numbering === null
      ? ""
      : `<w:pPr><w:numPr><w:numId w:val="${style.numbering}"/></w:numPr></w:pPr>`;
    return `<w:style w:type="${style.type}" w:styleId="${style.id}">` +
      `<w:name w:val="${level === null ? style.name : `heading ${level}`}"/>${numbering}</w:style>`;
  });
  return `<w:styles xmlns:w="${WORD}">${written.join("")}</w:styles>`;
}

const WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

function stylesIn(xml: string): Style[] {
  const styles: Style[] = [];
  for (const [tag] of xml.matchAll(STYLE_TAGS)) {
    if (tag.startsWith("</")) continue;
    const value = attributeOf(tag, "w:val");
    const style = styles.at(-1);
    if (tag.startsWith("<w:style")) {
      const [type, id] = [attributeOf(tag, "w:type") ?? "paragraph", attributeOf(tag, "w:styleId") ?? ""];
      styles.push({ type, id, name: "", basedOn: null, outline: null, numbering: null });
    } else if (style === undefined || value === null) continue;
    else if (tag.startsWith("<w:name")) style.name ||= value;
    else if (tag.startsWith("<w:basedOn")) style.basedOn ??= value;
    else if (tag.startsWith("<w:outlineLvl")) style.outline ??= Number(value);
    else style.numbering ??= value;
  }
  return styles;
}

const NAMED = /^(?:heading|titre|überschrift|título|titolo) ?([1-9])$/i;
const DEEPEST_HEADING = 6;
const LONGEST_LINE = 20;

/** Of the style itself or of the one it is based on; null where it is none, or a title, which is told by its name. */
function headingLevel(style: Style, byId: Map<string, Style>): number | null {
  let of: Style | undefined = style;
  for (let steps = 0; of !== undefined && steps < LONGEST_LINE; steps++) {
    const named = NAMED.exec(of.name)?.[1];
    const level = named === undefined ? of.outline === null ? null : of.outline + 1 : Number(named);
    if (level !== null) return level >= 1 && level <= 9 ? Math.min(level, DEEPEST_HEADING) : null;
    of = of.basedOn === null ? undefined : byId.get(of.basedOn);
  }
  return null;
}

const NUMBERING_TAGS = tagsOf("numbering abstractNum lvl numFmt pStyle num abstractNumId numStyleLink");

/** How lists are numbered. */
export function shortNumbering(xml: string): string {
  return xml.includes("<w:numbering") ? (xml.match(NUMBERING_TAGS) ?? []).join("") : xml;
}

/** Whether a paragraph, of which its properties are given, is an item of a list. */
export function numberedBy(numbering: string): (paragraph: string) => boolean {
  const styles = new Set<string | null>();
  for (const [tag] of numbering.matchAll(tagsOf("pStyle"))) styles.add(attributeOf(tag, "w:val"));
  return (paragraph) => {
    const [style] = tagsOf("pStyle").exec(paragraph) ?? [];
    return paragraph.includes("<w:numPr") || (style !== undefined && styles.has(attributeOf(style, "w:val")));
  };
}

/** Of the notes those that are referred to in a stretch. */
export function notesFor(stretch: string, notes: string, kind: "footnote" | "endnote"): string {
  const begin = notes.search(new RegExp(`<w:${kind}[\\s>]`));
  if (begin === -1) return notes;
  const wanted = new Set<string | null>();
  for (const [tag] of stretch.matchAll(tagsOf(`${kind}Reference`))) wanted.add(attributeOf(tag, "w:id"));
  const end = `</w:${kind}>`;
  const pieces = notes.slice(begin).split(end);
  const tail = pieces.pop() ?? "";
  const kept = pieces.filter((note) => wanted.has(attributeOf(note.slice(0, note.indexOf(">") + 1), "w:id")));
  return `${notes.slice(0, begin)}${kept.map((note) => note + end).join("")}${tail}`;
}

/** What mammoth passes over with all that is in it, as what it reads through: fields, what was moved, formulas. */
export function readThrough(xml: string): string {
  return xml.replace(PASSED_OVER, (_, slash: string, name: string) => {
    if (name === "m:r" || name === "m:t") return `<${slash}w:${name.slice(2)}`;
    const sign = slash === "" ? BEFORE[name] : AFTER[name];
    const run = sign === undefined ? "" : `<w:r><w:t>${sign}</w:t></w:r>`;
    return slash === "" ? `${run}<w:smartTag` : `${run}</w:smartTag`;
  });
}

const PASSED_OVER = new RegExp(
  "<(/?)(w:(?:moveTo|fldSimple|customXml|bdo|dir|ruby|rubyBase)|" +
    "m:(?:oMathPara|oMath|r|t|f|num|den|sSup|sSub|sSubSup|sPre|e|sup|sub|rad|deg|d|nary|func|fName|limLow|limUpp|lim|" +
    "m|mr|eqArr|acc|bar|box|groupChr|borderBox))(?=[\\s>])",
  "g",
);

/** Signs that a formula needs on one line, before its parts and after them. */
const BEFORE: Record<string, string> = {
  "m:num": "(",
  "m:den": "/(",
  "m:sup": "^(",
  "m:sub": "_(",
  "m:rad": "√(",
  "m:d": "(",
};
const AFTER: Record<string, string> = {
  "m:num": ")",
  "m:den": ")",
  "m:sup": ")",
  "m:sub": ")",
  "m:rad": ")",
  "m:d": ")",
};

/** A part as it is handed on to be parsed. */
export function withinLimit(part: string, name: string): string {
  let elements = 0;
  for (let at = part.indexOf("<"); at !== -1; at = part.indexOf("<", at + 1)) if (part[at + 1] !== "/") elements++;
  if (elements <= LIMITS.elements / 2) return part;
  throw new FileError(
    "too_large",
    `What the Word file says besides its text (${name.slice(0, 80)}) is longer than of any book: save a copy with ` +
      "nothing but the text, or a PDF of it, and upload that.",
  );
}

/** Opening, closing and empty tags of these names; a value may hold ">", and nothing between tags a "<". */
function tagsOf(names: string): RegExp {
  return new RegExp(`</?w:(?:${names.replaceAll(" ", "|")})(?=[\\s/>])[^<>"]*(?:"[^"<]*"[^<>"]*)*>`, "g");
}

/** As it is written, with its entities. */
function attributeOf(tag: string, name: string): string | null {
  const [, double, single] = new RegExp(`\\s${name}=(?:"([^"<]*)"|'([^'"<]*)')`).exec(tag) ?? [];
  return double ?? single ?? null;
}

import { FileError } from "./file-error.ts";
import { readHtml } from "./html.ts";
import { LIMITS, refuseTooManyCharacters } from "./limits.ts";
import { escapedStart } from "./markdown-writer.ts";

// Names of fields in English, French and the other languages whose legal documents are published as JSON.
export const TITLE_FIELDS = ["title", "titre", "title_full", "titrefull", "heading", "intitule", "intitulé", "name"]
  .concat([
    "nom",
    "label",
    "libelle",
    "libellé",
    "subject",
    "objet",
    "headline",
    "titel",
    "titulo",
    "título",
    "titolo",
  ]);
export const LANGUAGE_FIELDS = ["lang", "language", "locale", "langue", "idioma", "sprache", "lingua"];
const NUMBER_FIELDS = ["num", "number", "numero", "numéro", "no", "nummer", "section_number", "article_number"];
const BODY_FIELDS = new Set(
  ["text", "texte", "body", "content", "contenu", "corps", "description", "summary", "resume", "résumé", "abstract"]
    .concat([
      "html",
      "markdown",
      "paragraph",
      "texto",
      "testo",
      "inhalt",
      "contenido",
      "conteudo",
      "answer",
      "reponse",
    ]),
);

/** Of the fields that are looked for. */
const LONGEST_NAME = 20;

/** From here on a text is a paragraph of its own. */
const LONG = 160;

type Fields = Record<string, unknown>;

/** Puts Markdown together from any JSON value. */
export class JsonWriter {
  readonly #blocks: string[] = [];
  #lines: string[] = [];
  #characters = 0;

  /** `name` is the field that the value is of, and `isOneOfMany` whether its list is. */
  write(value: unknown, level = 1, name = "", isOneOfMany = false, depth = 1): void {
    if (depth > LIMITS.depth) throw tooDeep();
    if (Array.isArray(value)) this.#writeList(value, level, name, depth);
    else if (isFields(value)) this.#writeFields(value, level, name, isOneOfMany, depth);
    else this.#writeScalar(name, value);
  }

  toString(): string {
    this.#endLines();
    return this.#blocks.join("\n\n");
  }

  #writeList(values: unknown[], level: number, name: string, depth: number): void {
    this.#endLines();
    if (values.some((value) => typeof value === "object" && value !== null)) {
      for (const value of values) {
        this.write(value, level, name, true, depth + 1);
        this.#endLines();
      }
      return;
    }
    const items = values.map(textOf).filter((text) => text !== "");
    if (items.length === 0) return;
    const isProse = items.some((item) => item.length > LONG);
    if (name !== "" && !BODY_FIELDS.has(name.toLowerCase())) this.#addLine(`${labelOf(name)}:`);
    if (isProse) { for (const item of items) this.#addBlock(item); }
    else this.#addBlock(items.map((item) => `- ${item.replace(/\s*\n\s*/g, " ")}`).join("\n"));
  }

  #writeFields(fields: Fields, level: number, name: string, isOneOfMany: boolean, depth: number): void {
    const names = Object.keys(fields);
    const isSection = names.some((field) => isBody(field, fields[field]) || hasParts(fields[field]));
    const label = name === "" || isOneOfMany ? null : { text: labelOf(name), fields: [] };
    const heading = isSection ? headingOf(fields, name, isOneOfMany) : label;
    const inner = heading === null ? level : level + 1;
    if (heading !== null) this.#addBlock(`${"#".repeat(Math.min(level, 6))} ${heading.text}`);
    for (const field of names) {
      const value = fields[field];
      if (heading?.fields.includes(field) === true) continue;
      if (hasParts(value)) {
        this.#endLines();
        this.write(value, inner, field, false, depth + 1);
        this.#endLines();
      } else if (Array.isArray(value)) this.#writeList(value, inner, field, depth);
      else if (isBody(field, value)) this.#writeBody(field, textOf(value));
      else this.#writeScalar(field, value);
    }
    if (isOneOfMany) this.#endLines();
  }

  #writeBody(field: string, text: string): void {
    const body = isMarkup(text) ? readHtml(text).content : escapedStart(text.trim());
    if (body === "") return;
    this.#addBlock(BODY_FIELDS.has(field.toLowerCase()) ? body : `${labelOf(field)}: ${body}`);
  }

  #writeScalar(name: string, value: unknown): void {
    const text = textOf(value);
    if (text === "" || isForMachines(text)) return;
    this.#addLine(name === "" ? text : `${labelOf(name)}: ${text}`);
  }

  #addLine(line: string): void {
    this.#lines.push(line);
    this.#count(line);
  }

  #addBlock(block: string): void {
    this.#endLines();
    this.#blocks.push(block);
    this.#count(block);
  }

  #endLines(): void {
    if (this.#lines.length > 0) this.#blocks.push(this.#lines.join("\n"));
    this.#lines = [];
  }

  #count(text: string): void {
    this.#characters += text.length;
    refuseTooManyCharacters(this.#characters);
  }
}

/** The first of the fields that has a text of one line. */
export function fieldOf(value: unknown, names: string[]): string | null {
  if (!isFields(value)) return null;
  const found = findField(value, names);
  return found === null ? null : textOf(value[found]);
}

function findField(fields: Fields, names: string[]): string | null {
  let [found, rank] = [null as string | null, names.length];
  for (const field in fields) {
    const place = field.length > LONGEST_NAME ? -1 : names.indexOf(field.toLowerCase());
    if (place === -1 || place >= rank) continue;
    const text = textOf(fields[field]);
    if (text !== "" && text.length <= 300 && !text.includes("\n")) [found, rank] = [field, place];
  }
  return found;
}

/** "Article 3 – Duration" from a number, a title and the list that it is in, as far as there are any. */
function headingOf(fields: Fields, name: string, isOneOfMany: boolean): { text: string; fields: string[] } | null {
  const title = findField(fields, TITLE_FIELDS);
  const number = findField(fields, NUMBER_FIELDS);
  const label = labelOf(isOneOfMany ? singular(name) : name);
  if (title === null && number === null) return isOneOfMany || name === "" ? null : { text: label, fields: [] };
  const numbered = number === null ? "" : textOf(fields[number]);
  const first = numbered !== "" && isOneOfMany && /^\d/.test(numbered) ? `${label} ${numbered}`.trim() : numbered;
  const titled = title === null ? "" : textOf(fields[title]);
  const isRepeated = titled.toLowerCase().startsWith(first.toLowerCase());
  const text = [isRepeated ? "" : first, titled].filter((part) => part !== "").join(" – ");
  return { text: text.replace(/<[^<>]{0,200}>/g, ""), fields: [title, number].filter((field) => field !== null) };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether more is in the value than a line can say. */
function hasParts(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((part) => typeof part === "object" && part !== null);
  return isFields(value);
}

function isBody(field: string, value: unknown): boolean {
  if (typeof value !== "string" || isForMachines(value)) return false;
  return value.length > LONG || value.includes("\n") || isMarkup(value) || BODY_FIELDS.has(field.toLowerCase());
}

function isMarkup(text: string): boolean {
  return /<\/?(?:p|br|div|ul|ol|li|h[1-6]|table|blockquote|strong|em|span)\b[^<>]{0,500}>/i.test(text);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value.trim();
  return typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" ? `${value}` : "";
}

/** Identifiers, hashes and embedded files: a search would never be asked for them, and would find them by chance. */
function isForMachines(text: string): boolean {
  if (/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text) || /^[0-9a-f]{24,}$/i.test(text)) return true;
  return /^data:[\w/+.-]+[;,]/.test(text) || (text.length > 100 && /^[\w+/=-]+$/.test(text));
}

/** `date_publication`, `datePublication` → "Date publication". */
function labelOf(name: string): string {
  const words = name.replace(/([\p{Ll}\d])(\p{Lu})/gu, "$1 $2").replace(/[_\s-]+/g, " ").trim();
  if (words === "") return "";
  const lower = words === words.toUpperCase() ? words : words.toLowerCase();
  return `${lower[0]?.toUpperCase()}${lower.slice(1)}`;
}

function singular(name: string): string {
  return name.length > 3 && /[^s]s$/i.test(name) ? name.slice(0, -1) : name;
}

function tooDeep(): FileError {
  return new FileError(
    "too_deep",
    `The file has more than ${LIMITS.depth} values one inside the other: flatten it and upload it again.`,
  );
}

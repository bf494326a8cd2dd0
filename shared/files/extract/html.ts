import { Parser } from "htmlparser2";
import { cleanText } from "./clean.ts";
import { FileError } from "./file-error.ts";
import { type Attributes, isBoilerplate, isMain, isNeverText } from "./html-rules.ts";
import { HtmlWriter } from "./html-writer.ts";
import { LIMITS, refuseTooManyCharacters } from "./limits.ts";
import type { Reading } from "./slice.ts";

/** Which part of a page is its text. */
type Scope = "main" | "article" | "page" | "everything";

/** A page as Markdown, without what stands around its text. */
export function readHtml(html: string): Reading {
  const clean = cleanText(html);
  const page = read(clean, "page");
  const scoped = scopedReading(clean, page);
  // A page that is nothing but header and footer, for want of the tags that would say otherwise, is read as it is.
  const { content } = scoped.content === "" ? read(clean, "everything") : scoped;
  return { content, title: page.title ?? page.heading, language: page.language, metadata: page.metadata };
}

/** What says of itself that it is the text, if it holds most of it. */
function scopedReading(html: string, page: PageReading): PageReading {
  if (/<main[\s>]|role\s*=\s*["']?main/i.test(html)) {
    const main = read(html, "main");
    if (main.content !== "") return main;
  }
  if (/<article[\s>]/i.test(html)) {
    const articles = read(html, "article");
    if (articles.content.length > 0.5 * page.content.length) return articles;
  }
  return page;
}

interface PageReading {
  content: string;
  title: string | null;
  heading: string | null;
  language: string | null;
  metadata: Record<string, unknown>;
}

/** Text is given to the parser in pieces, so that a page that is refused is refused early. */
const PIECE = 64 * 1024;

function read(html: string, scope: Scope): PageReading {
  const reader = new PageReader(scope);
  const parser = new Parser(reader, { decodeEntities: true });
  for (let at = 0; at < html.length; at += PIECE) parser.write(html.slice(at, at + PIECE));
  parser.end();
  return reader.reading();
}

class PageReader {
  readonly #scope: Scope;
  readonly #writer = new HtmlWriter();
  #depth = 0;
  /** How deep the element is that is left out with all that is in it. */
  #silentDepth: number | null = null;
  /** How many elements are open that hold the text that is asked for, or an article. */
  #inScope = 0;
  #inArticle = 0;
  /** Which of the open elements count for those. */
  readonly #open: { isScope: boolean; isArticle: boolean }[] = [];
  #title: string | null = null;
  #isTitle = false;
  #sharedTitle: string | null = null;
  #language: string | null = null;
  #pageLanguage: string | null = null;
  readonly #metadata: Record<string, unknown> = {};

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  onopentag(tag: string, attributes: Attributes): void {
    if (++this.#depth > LIMITS.depth) throw tooDeep();
    const isArticle = tag === "article" || isMain(tag, attributes);
    const isScope = this.#scope === "main" ? isMain(tag, attributes) : this.#scope === "article" && tag === "article";
    this.#open.push({ isScope, isArticle });
    if (isScope) this.#inScope++;
    if (isArticle) this.#inArticle++;
    if (this.#silentDepth !== null) return;
    if (tag === "html") this.#language ??= attributes["lang"] ?? attributes["xml:lang"] ?? null;
    if (tag === "title") this.#isTitle = this.#title === null;
    else if (tag === "meta") this.#readMeta(attributes);
    else if (this.#isLeftOut(tag, attributes)) this.#silentDepth = this.#depth;
    else if (this.#isWanted()) this.#writer.open(tag, attributes);
  }

  onclosetag(tag: string): void {
    const isWanted = this.#isWanted();
    const isSilent = this.#silentDepth !== null;
    if (this.#silentDepth === this.#depth) this.#silentDepth = null;
    this.#depth--;
    const { isScope, isArticle } = this.#open.pop() ?? { isScope: false, isArticle: false };
    if (isScope) this.#inScope--;
    if (isArticle) this.#inArticle--;
    if (tag === "title") this.#isTitle = false;
    else if (!isSilent && isWanted) this.#writer.close(tag);
  }

  ontext(text: string): void {
    if (this.#isTitle) this.#title = `${this.#title ?? ""}${text}`.slice(0, 1_000);
    else if (this.#silentDepth === null && this.#isWanted()) {
      this.#writer.text(text);
      refuseTooManyCharacters(this.#writer.length);
    }
  }

  reading(): PageReading {
    return {
      content: this.#writer.toString(),
      title: this.#title ?? this.#sharedTitle,
      heading: this.#writer.firstHeading,
      language: this.#language ?? this.#pageLanguage,
      metadata: this.#metadata,
    };
  }

  #isLeftOut(tag: string, attributes: Attributes): boolean {
    if (this.#scope === "everything") return isNeverText(tag, attributes);
    return isBoilerplate(tag, attributes, this.#inArticle > 0);
  }

  #isWanted(): boolean {
    return this.#scope === "page" || this.#scope === "everything" || this.#inScope > 0;
  }

  #readMeta(attributes: Attributes): void {
    const name = (attributes["name"] ?? attributes["property"] ?? attributes["http-equiv"] ?? "").toLowerCase();
    const content = attributes["content"] ?? "";
    if (content.trim() === "") return;
    if (name === "og:title") this.#sharedTitle ??= content;
    else if (name === "content-language" || name === "og:locale") this.#pageLanguage ??= content;
    else if (name === "description") this.#metadata["description"] ??= content.slice(0, 1_000);
    else if (name === "author") this.#metadata["author"] ??= content.slice(0, 300);
  }
}

function tooDeep(): FileError {
  return new FileError(
    "too_deep",
    `The page has more than ${LIMITS.depth} elements one inside the other, which no browser shows: save it anew from ` +
      "a browser, or as PDF, and upload that.",
  );
}

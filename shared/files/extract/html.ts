import { Parser } from "htmlparser2";
import { cleanText } from "./clean.ts";
import { HTML_LIMITS, refuseLargePage, tooDeep } from "./html-limits.ts";
import { Nesting } from "./html-nesting.ts";
import { type Attributes, HEADINGS, isBoilerplate, isMain, isNeverText } from "./html-rules.ts";
import { HtmlWriter } from "./html-writer.ts";
import { refuseTooManyCharacters } from "./limits.ts";
import type { Reading } from "./slice.ts";

/** Which part of a page is its text; `measure`: it is only found out which. */
type Scope = "measure" | "main" | "article" | "page" | "everything";

/** A page as Markdown, without what stands around its text. */
export function readHtml(html: string): Reading {
  refuseLargePage(html);
  const clean = cleanText(html);
  const asked = saysWhatIsText(clean) ? read(clean, "measure").scopeOfText : "page";
  const page = read(clean, asked);
  // A page that is nothing but header and footer, for want of the tags that would say otherwise, is read as it is.
  const content = page.content === "" && asked !== "everything" ? read(clean, "everything").content : page.content;
  return { content, title: page.title, language: page.language, metadata: page.metadata };
}

function saysWhatIsText(html: string): boolean {
  return /<main[\s>]|role\s*=\s*["']?main|<article[\s>]/i.test(html);
}

/** What says of itself that it is the text is it, if it holds so much of the page: scripts fill what is empty. */
const LEAST_SHARE = { main: 0.2, article: 0.5 };

/** Text is given to the parser in pieces, so that a page that is refused is refused early. */
const PIECE = 64 * 1024;

function read(html: string, scope: Scope): PageReader {
  const reader = new PageReader(scope);
  const parser = new Parser(reader, { decodeEntities: true });
  for (let at = 0; at < html.length; at += PIECE) parser.write(html.slice(at, at + PIECE));
  parser.end();
  return reader;
}

interface OpenElement {
  tag: string;
  isMain: boolean;
  isArticle: boolean;
  isHeading: boolean;
}

class PageReader {
  readonly #scope: Scope;
  readonly #writer = new HtmlWriter();
  readonly #nesting = new Nesting<OpenElement>();
  /** The element that is left out with all that is in it. */
  #silent: OpenElement | null = null;
  /** How many of these are open. */
  readonly #in = { main: 0, article: 0, heading: 0 };
  /** Characters of text. */
  readonly #lengths = { main: 0, article: 0, page: 0 };
  #title: string | null = null;
  #isTitle = false;
  #sharedTitle: string | null = null;
  #language: string | null = null;
  #pageLanguage: string | null = null;
  readonly metadata: Record<string, unknown> = {};

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  get content(): string {
    return this.#writer.toString();
  }

  get title(): string | null {
    return this.#title ?? this.#sharedTitle ?? this.#writer.firstHeading;
  }

  get language(): string | null {
    return this.#language ?? this.#pageLanguage;
  }

  get scopeOfText(): Scope {
    const { main, article, page } = this.#lengths;
    if (page === 0) return "everything";
    if (main > LEAST_SHARE.main * page) return "main";
    return article > LEAST_SHARE.article * page ? "article" : "page";
  }

  onopentag(tag: string, attributes: Attributes): void {
    for (const ended of this.#nesting.endBefore(tag)) this.#end(ended);
    if (this.#nesting.depth >= HTML_LIMITS.depth) throw tooDeep();
    const isOfMain = isMain(tag, attributes);
    const element = { tag, isMain: isOfMain, isArticle: tag === "article", isHeading: HEADINGS.has(tag) };
    this.#nesting.open(element);
    this.#count(element, 1);
    if (this.#silent !== null) return;
    if (tag === "html") this.#language ??= attributes["lang"] ?? attributes["xml:lang"] ?? null;
    if (tag === "title") this.#isTitle = this.#title === null;
    else if (tag === "meta") this.#readMeta(attributes);
    else if (this.#isLeftOut(tag, attributes)) this.#silent = element;
    else if (this.#isWanted()) this.#writer.open(tag, attributes);
  }

  onclosetag(): void {
    const element = this.#nesting.close();
    if (element !== null) this.#end(element);
  }

  ontext(text: string): void {
    if (this.#isTitle) this.#title = `${this.#title ?? ""}${text}`.slice(0, 1_000);
    else if (this.#silent === null) {
      if (this.#scope === "measure") this.#measure(text.trim().length);
      else if (this.#isWanted()) {
        this.#writer.text(text);
        refuseTooManyCharacters(this.#writer.length);
      }
    }
  }

  #end(element: OpenElement): void {
    const isWanted = this.#isWanted() && this.#silent === null;
    this.#count(element, -1);
    if (element === this.#silent) this.#silent = null;
    if (element.tag === "title") this.#isTitle = false;
    else if (isWanted) this.#writer.close(element.tag);
  }

  #count({ isMain, isArticle, isHeading }: OpenElement, by: 1 | -1): void {
    if (isMain) this.#in.main += by;
    if (isArticle) this.#in.article += by;
    if (isHeading) this.#in.heading += by;
  }

  #measure(length: number): void {
    this.#lengths.page += length;
    if (this.#in.main > 0) this.#lengths.main += length;
    if (this.#in.article > 0) this.#lengths.article += length;
  }

  #isLeftOut(tag: string, attributes: Attributes): boolean {
    const isInHeading = this.#in.heading > 0;
    if (this.#scope === "everything") return isNeverText(tag, attributes, isInHeading);
    return isBoilerplate(tag, attributes, { isInArticle: this.#in.main + this.#in.article > 0, isInHeading });
  }

  #isWanted(): boolean {
    if (this.#scope === "main") return this.#in.main > 0;
    if (this.#scope === "article") return this.#in.article > 0;
    return this.#scope !== "measure";
  }

  #readMeta(attributes: Attributes): void {
    const name = (attributes["name"] ?? attributes["property"] ?? attributes["http-equiv"] ?? "").toLowerCase();
    const content = attributes["content"] ?? "";
    if (content.trim() === "") return;
    if (name === "og:title") this.#sharedTitle ??= content;
    else if (name === "content-language" || name === "og:locale") this.#pageLanguage ??= content;
    else if (name === "description") this.metadata["description"] ??= content.slice(0, 1_000);
    else if (name === "author") this.metadata["author"] ??= content.slice(0, 300);
  }
}

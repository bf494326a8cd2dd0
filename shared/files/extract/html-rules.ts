/** What the tags and attributes of a page say about its text. */

/** Nothing in them is text to read. */
const SILENT = new Set(
  ("script style template noscript svg math iframe object embed canvas video audio select textarea datalist " +
    "dialog map meter progress").split(" "),
);

/** What names a section, a term or a part that unfolds: a button in it is its name, one elsewhere is no text. */
export const HEADINGS = new Set("h1 h2 h3 h4 h5 h6 summary dt".split(" "));

/** Parts of the page rather than of its text; those of an article are the article's. */
const AROUND = new Set(["header", "footer", "aside"]);

const SILENT_ROLES = new Set(
  "navigation banner contentinfo complementary search menu menubar toolbar dialog alertdialog tablist tooltip".split(
    " ",
  ),
);

/** What asks for consent to cookies, by the names that its makers gave it. */
const CONSENT =
  /(?:^|[\s_-])(?:onetrust|didomi|tarteaucitron|axeptio|cookiebot|cybot|usercentrics|cookie-?(?:banner|bar|notice|consent|popup|modal)|(?:consent|gdpr|rgpd)-?(?:banner|bar|notice|popup|modal))/i;

/** A heading's link to itself, which shows as a sign and reads as noise. */
const OWN_LINK = /(?:^|\s)(?:headerlink|header-anchor|heading-anchor|anchor-link|hash-link)(?:\s|$)/;

/** An aside with a name like these is a part of the text. */
const REMARK = /note|tip|warn|caution|important|admonition|callout|info|danger|hint/i;

export type Attributes = Record<string, string>;

/** Whether the element and all in it are no part of the page's text. */
export function isBoilerplate(
  tag: string,
  attributes: Attributes,
  { isInArticle, isInHeading }: { isInArticle: boolean; isInHeading: boolean },
): boolean {
  if (isNeverText(tag, attributes, isInHeading)) return true;
  if (tag === "html" || tag === "body" || tag === "main") return false;
  const role = attributes["role"]?.trim().toLowerCase() ?? "";
  if (tag === "nav" || SILENT_ROLES.has(role)) return true;
  const names = `${attributes["id"] ?? ""} ${attributes["class"] ?? ""}`.slice(0, 500);
  if (CONSENT.test(names) || (tag === "a" && OWN_LINK.test(names))) return true;
  if (!AROUND.has(tag)) return false;
  if (tag === "aside") return !(isInArticle && (role === "note" || REMARK.test(names)));
  return !isInArticle;
}

/** What is no text on any page, whatever is left of it without. */
export function isNeverText(tag: string, attributes: Attributes, isInHeading: boolean): boolean {
  if (SILENT.has(tag) || (tag === "button" && !isInHeading)) return true;
  // Scripts hide the whole page until they are done.
  if (tag === "html" || tag === "body") return false;
  const hidden = attributes["hidden"];
  if (hidden !== undefined && hidden !== "until-found") return true;
  if (attributes["aria-hidden"] === "true") return true;
  const style = attributes["style"];
  return style !== undefined && /(?:display\s*:\s*none|visibility\s*:\s*hidden)/i.test(style.slice(0, 1_000));
}

/** Elements that begin and end a block of text. */
export const BLOCKS = new Set(
  ("address article aside body caption center details div dl fieldset figcaption figure footer form header hgroup html " +
    "legend main nav p section summary tbody tfoot thead").split(" "),
);

export function isMain(tag: string, attributes: Attributes): boolean {
  return tag === "main" || attributes["role"]?.trim().toLowerCase() === "main";
}

/** What a picture shows, where that is said in words. */
export function textOfImage({ alt = "" }: Attributes): string {
  const text = alt.trim();
  return /^\S+\.(png|jpe?g|gif|webp|svg|avif)$/i.test(text) ? "" : text;
}

/** The language of a block of code, as most highlighters write it. */
export function languageOfCode(attributes: Attributes): string {
  const names = `${attributes["class"] ?? ""} ${attributes["data-lang"] ?? ""}`.slice(0, 500);
  return /(?:^|\s)(?:language|lang|highlight-source)-([\w+#-]{1,20})/.exec(names)?.[1] ?? "";
}

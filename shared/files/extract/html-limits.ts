import { FileError } from "./file-error.ts";

/** What a page may have so that it is read within the time and memory of one call; each is far above what people write. */
export const HTML_LIMITS = {
  /** With its markup. */
  characters: 12_000_000,
  tags: 800_000,
  /** Of its tables; each costs as much as several other elements. */
  cells: 150_000,
  /**
   * Elements within elements. Unclosed tags of old pages come to some thousands, and with each the parser takes longer
   * for the next.
   */
  depth: 5_000,
} as const;

/** Seen before the page is parsed, which would take what it must not. */
export function refuseLargePage(html: string): void {
  if (html.length > HTML_LIMITS.characters) throw tooLarge("characters");
  let tags = 0;
  for (let at = html.indexOf("<"); at !== -1; at = html.indexOf("<", at + 1)) {
    if (++tags > HTML_LIMITS.tags) throw tooLarge("tags");
  }
}

function tooLarge(what: "characters" | "tags"): FileError {
  return new FileError(
    "too_large",
    `The page has more than ${
      numberOf(what)
    } ${what}, its markup included: split it into several pages, or save it as ` +
      "PDF or plain text, and upload that.",
  );
}

export function tooManyCells(): FileError {
  return new FileError(
    "too_large",
    `The page's tables have more than ${
      numberOf("cells")
    } cells: save them as CSV, in several files, and upload those.`,
  );
}

export function tooDeep(): FileError {
  return new FileError(
    "too_deep",
    `The page has more than ${
      numberOf("depth")
    } elements one inside the other, or that are never closed: open it in a ` +
      "browser, save it from there or as PDF, and upload that.",
  );
}

function numberOf(limit: keyof typeof HTML_LIMITS): string {
  return HTML_LIMITS[limit].toLocaleString("en-US");
}

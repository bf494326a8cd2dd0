import { tidyText } from "./text.ts";
import type { Reading } from "./slice.ts";

/** Markdown stays as it is, but for the metadata at its very top, which is taken for what it says. */
export function readMarkdown(text: string): Reading {
  const clean = tidyText(text);
  const { fields, body } = withoutFrontMatter(clean);
  const description = fields["description"];
  return {
    // Metadata alone is all that there is to read.
    content: body === "" ? clean : body,
    title: fields["title"] ?? firstHeading(body),
    language: fields["lang"] ?? fields["language"] ?? fields["locale"] ?? null,
    metadata: description === undefined ? {} : { description },
  };
}

/** The first heading of the highest level that the first lines have. */
export function firstHeading(markdown: string): string | null {
  let isCode = false;
  let best: { level: number; title: string } | null = null;
  for (const line of markdown.slice(0, 10_000).split("\n").slice(0, 200)) {
    if (/^ {0,3}(```|~~~)/.test(line)) isCode = !isCode;
    const [, marks = "", title = ""] = isCode ? [] : /^ {0,3}(#{1,6}) +([^\n]+)$/.exec(line) ?? [];
    if (marks === "" || (best !== null && best.level <= marks.length)) continue;
    best = { level: marks.length, title: title.trim().replace(/ #+$/, "").replace(/[*_`]/g, "") };
  }
  return best?.title ?? null;
}

/** YAML between `---`, TOML between `+++`: of both, only plain fields of one line. */
function withoutFrontMatter(text: string): { fields: Record<string, string>; body: string } {
  const mark = /^(---|\+\+\+)[ \t]*\n(?=\S)/.exec(text);
  if (mark === null) return { fields: {}, body: text };
  const end = text.indexOf(`\n${mark[1]}`, mark[0].length - 1);
  const afterEnd = end === -1 ? -1 : text.indexOf("\n", end + 1);
  const closing = end === -1 ? "" : text.slice(end + 1, afterEnd === -1 ? undefined : afterEnd);
  if (closing.trim() !== mark[1]) return { fields: {}, body: text };
  const fields: Record<string, string> = {};
  for (const line of text.slice(mark[0].length, end).split("\n")) {
    const [, name = "", value = ""] = /^([\w-]{1,40})[ \t]*[:=][ \t]*(\S.*)$/.exec(line) ?? [];
    const plain = value.trim().replace(/^(["'])(.*)\1$/, "$2").trim();
    if (name !== "" && plain !== "") fields[name.toLowerCase()] ??= plain;
  }
  return { fields, body: afterEnd === -1 ? "" : text.slice(afterEnd + 1).replace(/^\n+/, "") };
}

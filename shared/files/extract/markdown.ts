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
  const lines = markdown.slice(0, 10_000).split("\n").slice(0, 200);
  for (const [at, line] of lines.entries()) {
    if (/^ {0,3}(```|~~~)/.test(line)) isCode = !isCode;
    const heading = isCode ? null : headingOf(line) ?? underlinedHeadingOf(lines, at);
    if (heading === null || (best !== null && best.level <= heading.level)) continue;
    best = { level: heading.level, title: heading.title.trim().replace(/ #+$/, "").replace(/[*_`]/g, "") };
  }
  return best?.title ?? null;
}

function headingOf(line: string): { level: number; title: string } | null {
  const [, marks = "", title = ""] = /^ {0,3}(#{1,6}) +(.+)$/.exec(line) ?? [];
  return marks === "" ? null : { level: marks.length, title };
}

/** A paragraph of one line above a line of `=` or `-`. */
function underlinedHeadingOf(lines: string[], at: number): { level: number; title: string } | null {
  const title = lines[at] ?? "";
  if (!/^ {0,3}[\p{L}\p{N}*_`"'«“(¿¡[]/u.test(title) || (lines[at - 1] ?? "").trim() !== "") return null;
  const [, mark] = /^ {0,3}([=-])\1{2,}[ \t]*$/.exec(lines[at + 1] ?? "") ?? [];
  return mark === undefined ? null : { level: mark === "=" ? 1 : 2, title };
}

/** YAML between `---`, TOML between `+++`: of both, only plain fields. */
function withoutFrontMatter(text: string): { fields: Record<string, string>; body: string } {
  const mark = /^(---|\+\+\+)[ \t]*\n(?=\S)/.exec(text);
  if (mark === null) return { fields: {}, body: text };
  const end = text.indexOf(`\n${mark[1]}`, mark[0].length - 1);
  const afterEnd = end === -1 ? -1 : text.indexOf("\n", end + 1);
  const closing = end === -1 ? "" : text.slice(end + 1, afterEnd === -1 ? undefined : afterEnd);
  if (closing.trim() !== mark[1]) return { fields: {}, body: text };
  const fields: Record<string, string> = {};
  const lines = text.slice(mark[0].length, end).split("\n");
  for (const [at, line] of lines.entries()) {
    const [, name = "", value = ""] = /^([\w-]{1,40})[ \t]*[:=][ \t]*(\S.*)$/.exec(line) ?? [];
    const plain = /^[>|][-+1-9]{0,2}(?: +#.*)?$/.test(value) ? indentedText(lines.slice(at + 1)) : plainValue(value);
    if (name !== "" && plain !== "") fields[name.toLowerCase()] ??= plain;
  }
  return { fields, body: afterEnd === -1 ? "" : text.slice(afterEnd + 1).replace(/^\n+/, "") };
}

/** A value without its quotation marks, or without the comment after it. */
function plainValue(value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"|^'((?:[^']|'')*)'/.exec(value);
  if (quoted === null) return value.replace(/[ \t]+#.*$/, "").trim();
  return (quoted[1]?.replace(/\\(["\\])/g, "$1") ?? quoted[2]?.replaceAll("''", "'") ?? "").trim();
}

/** What YAML's `>` and `|` announce: the lines that follow as far as they are indented, as one. */
function indentedText(lines: string[]): string {
  const end = lines.findIndex((line) => /^\S/.test(line));
  return (end === -1 ? lines : lines.slice(0, end)).map((line) => line.trim()).filter((line) => line !== "").join(" ");
}

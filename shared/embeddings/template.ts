/** What of a chunk and its row can stand in a template: {chunk}, {headings}, and {column}. */
export interface TemplateValues {
  chunk: string;
  headings: string[];
  fields: Record<string, unknown>;
}

const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** What is embedded of a chunk. Lines that only held something empty are left out. */
export function render(template: string, { chunk, headings, fields }: TemplateValues): string {
  // The chunk goes in last, so that braces in a text are never taken for a placeholder, nor its own blank lines removed.
  const [before = "", ...after] = template.split("{chunk}");
  const fill = (part: string) =>
    part.replace(PLACEHOLDER, (_, name: string) => name === "headings" ? headings.join(" > ") : textOf(fields[name]));
  return [fill(before).replace(/^\s+/, ""), ...after.map(fill)].join(chunk).trim();
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

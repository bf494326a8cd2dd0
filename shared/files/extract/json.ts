import { cleanText } from "./clean.ts";
import { FileError } from "./file-error.ts";
import { jsonWithNumbersAsWritten } from "./json-values.ts";
import { fieldOf, JsonWriter, LANGUAGE_FIELDS, TITLE_FIELDS } from "./json-writer.ts";
import type { Reading } from "./slice.ts";

/** JSON, or JSON Lines, as Markdown: what has a title or a number becomes a section, what is said of it a line. */
export function readJson(text: string): Reading {
  const value = parsed(jsonWithNumbersAsWritten(text.replace(/^\uFEFF/, "")));
  const writer = new JsonWriter();
  writer.write(value);
  return {
    content: cleanText(writer.toString()),
    title: fieldOf(value, TITLE_FIELDS),
    language: fieldOf(value, LANGUAGE_FIELDS) ?? fieldOf(metadataOf(value), LANGUAGE_FIELDS),
    metadata: Array.isArray(value) ? { records: value.length } : {},
  };
}

function metadataOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return null;
  const { metadata, meta } = value as { metadata?: unknown; meta?: unknown };
  return metadata ?? meta ?? null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const lines = jsonLines(text);
    if (lines !== null) return lines;
    throw new FileError(
      "damaged",
      "The file is no valid JSON: it is damaged or was not uploaded as a whole. Check it and upload it again.",
      { cause: error },
    );
  }
}

function jsonLines(text: string): unknown[] | null {
  const values: unknown[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    try {
      values.push(JSON.parse(line));
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }
  // A single line that is valid would have been valid as a whole.
  return values.length > 1 ? values : null;
}

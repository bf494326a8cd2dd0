// @ts-types="npm:@types/papaparse@5.5.2"
import Papa from "papaparse";
import { cleanText, isBlank } from "./clean.ts";
import { FileError } from "./file-error.ts";
import { LIMITS, refuseTooManyCharacters } from "./limits.ts";
import type { Reading } from "./slice.ts";

/**
 * Each row as a paragraph of `column: value` lines. As a table, only the first chunk of a long file would know what the
 * columns are; like this each row makes sense alone, wherever it is cut and found.
 */
export function readCsv(text: string): Reading {
  const { rows, columns } = rowsOf(cleanText(text));
  const paragraphs: string[] = [];
  let characters = 0;
  for (const row of rows) {
    const paragraph = paragraphOf(row, columns);
    if (paragraph === "") continue;
    characters += paragraph.length + 2;
    refuseTooManyCharacters(characters);
    paragraphs.push(paragraph);
  }
  // A file of one line has nothing that its columns would name.
  const content = paragraphs.length > 0 || columns === null ? paragraphs.join("\n\n") : columns.join("\n");
  return {
    content,
    title: null,
    language: null,
    metadata: { rows: paragraphs.length, ...(columns === null ? {} : { columns: columns.slice(0, 50) }) },
  };
}

function rowsOf(text: string): { rows: string[][]; columns: string[] | null } {
  // The line by which Excel is told of the delimiter.
  const said = /^sep=(.)\n/i.exec(text);
  const { data } = Papa.parse(said === null ? text : text.slice(said[0].length), {
    delimiter: said?.[1] ?? "",
    delimitersToGuess: [",", ";", "\t", "|"],
    skipEmptyLines: "greedy",
  }) as { data: string[][] };
  const widest = data.reduce((columns, row) => Math.max(columns, row.length), 0);
  if (widest > LIMITS.columns) {
    throw new FileError(
      "too_large",
      `The table has ${widest} columns, and may have ${LIMITS.columns}: leave out those that nobody asks about, and ` +
        "upload it again.",
    );
  }
  const [first = [], ...others] = data;
  const columns = first.map((name) => name.replace(/\s+/g, " ").trim());
  return isHeader(columns, others) ? { rows: others, columns } : { rows: data, columns: null };
}

/** The first line names the columns unless it holds values: numbers, dates, the same twice, long sentences. */
function isHeader(names: string[], rows: string[][]): boolean {
  const filled = names.filter((name) => name !== "");
  if (filled.length === 0 || filled.length < 0.5 * names.length) return false;
  if (rows.length > 0 && names.length === 1 && (filled[0]?.length ?? 0) > 40) return false;
  if (filled.some((name) => name.length > 120 || /^[-+\d.,:/\s%€$£]*\d[-+\d.,:/\s%€$£]*$/.test(name))) return false;
  return new Set(filled.map((name) => name.toLowerCase())).size === filled.length;
}

function paragraphOf(row: string[], columns: string[] | null): string {
  if (columns === null) return row.map(oneLine).filter((value) => value !== "").join(" | ");
  const lines: string[] = [];
  row.forEach((value, index) => {
    if (isBlank(value)) return;
    const name = columns[index] ?? "";
    lines.push(name === "" ? oneLine(value) : `${name}: ${oneLine(value)}`);
  });
  return lines.join("\n");
}

/** A cell of several lines stays in its row's paragraph. */
function oneLine(value: string): string {
  return value.replace(/\n\s*/g, "\n").trim();
}

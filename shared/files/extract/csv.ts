// @ts-types="npm:@types/papaparse@5.5.2"
import Papa from "papaparse";
import { cleanText, isBlank } from "./clean.ts";
import { type Table, tableOfRows } from "./csv-header.ts";
import { FileError } from "./file-error.ts";
import { LIMITS } from "./limits.ts";
import type { Reading } from "./slice.ts";

/**
 * Each row as a paragraph of `column: value` lines. As a table, only the first chunk of a long file would know what the
 * columns are; like this each row makes sense alone, wherever it is cut and found.
 */
export function readCsv(text: string): Reading {
  const { title, rows, columns } = tableOf(cleanText(text));
  const paragraphs: string[] = [];
  let characters = title?.length ?? 0;
  for (const row of rows) {
    const paragraph = paragraphOf(row, columns);
    if (paragraph === "") continue;
    characters += paragraph.length + 2;
    if (characters > LIMITS.characters) throw tooLong();
    paragraphs.push(paragraph);
  }
  // A file of one line has nothing that its columns would name.
  const table = paragraphs.length > 0 || columns === null ? paragraphs.join("\n\n") : columns.join("\n");
  return {
    content: title === null ? table : `${title}\n\n${table}`,
    title: title?.split("\n")[0] ?? null,
    language: null,
    metadata: { rows: paragraphs.length, ...(columns === null ? {} : { columns: columns.slice(0, 50) }) },
  };
}

function tableOf(text: string): Table {
  // The line by which Excel is told of the delimiter.
  const said = /^sep=(.)\n/i.exec(text);
  const data = said === null ? rowsOf(text) : parse(text.slice(said[0].length), said[1]).rows;
  const widest = data.reduce((columns, row) => Math.max(columns, row.length), 0);
  if (widest > LIMITS.columns) {
    throw new FileError(
      "too_large",
      `The table has ${widest} columns, and may have ${LIMITS.columns}: leave out those that nobody asks about, and ` +
        "upload it again.",
    );
  }
  return tableOfRows(data);
}

/** A title may hide the delimiter; what it stands above shows it, unless that is prose with commas in it. */
function rowsOf(text: string): string[][] {
  const { rows } = parse(text);
  if (rows.some((row) => row.length > 1)) return rows;
  const { delimiter, rows: below } = parse(text.slice(0, SAMPLE_CHARACTERS).replace(/^\s*[^\n]*\n/, ""));
  return delimiter !== "," && below.some((row) => row.length > 1) ? parse(text, delimiter).rows : rows;
}

const SAMPLE_CHARACTERS = 10_000;

function parse(text: string, delimiter = ""): { rows: string[][]; delimiter: string } {
  const { data, meta } = Papa.parse(text, {
    delimiter,
    delimitersToGuess: [",", ";", "\t", "|"],
    skipEmptyLines: "greedy",
  }) as { data: string[][]; meta: { delimiter: string } };
  return { rows: data, delimiter: meta.delimiter };
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

function tooLong(): FileError {
  return new FileError(
    "too_large",
    `The table would have more than ${
      LIMITS.characters.toLocaleString("en-US")
    } characters as text, in which each row ` +
      "repeats what its columns are called: leave out columns that nobody asks about, shorten their names, or split the " +
      "file into several and upload those.",
  );
}

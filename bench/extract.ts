import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { locateDeno } from "../local/functions/deno-binary.ts";
import type { Progress } from "../shared/files/extract/extract.ts";
import { type Figure, median } from "./report.ts";
import { DOCUMENTS } from "./support/documents.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const SCRIPT = fileURLToPath(new URL("support/extract-process.ts", import.meta.url));
const PAGES = 100;
const LONG = 1_000;
const ROUNDS = 3;
/** What the platform grants to a call, and what a slice may use of it before it stops after the page it is at. */
const GRANTED = { seconds: 2, megabytes: 256 };
const ALLOWED_SECONDS = 1.4;

/** What the script tells of one slice; seconds are the processor's, in all threads of the process. */
export interface ExtractCost {
  /** Until its first line. */
  startSeconds: number;
  /** For the program and the file to be there. */
  loadSeconds: number;
  workSeconds: number;
  /** Megabytes at most. */
  memory: number;
  characters: number;
  next: Progress | null;
}

/** What it costs the platform's Deno to take the text from files of each format, and from a long PDF by slices. */
export async function extract(): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "accord-bench-"));
  try {
    const figures: Figure[] = [];
    for (const format of Object.keys(DOCUMENTS)) figures.push(...await wholeDocument(folder, format));
    return [...figures, ...await bySlices(folder)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function wholeDocument(folder: string, format: string): Promise<Figure[]> {
  const file = fileOf(folder, format, PAGES);
  const rounds: ExtractCost[] = [];
  while (rounds.length < ROUNDS) rounds.push(await costOf(file, format, null, Number.POSITIVE_INFINITY));
  const middle = (part: (cost: ExtractCost) => number) => median(rounds.map(part));
  const seconds = middle(secondsOf);
  const memory = middle(({ memory }) => memory);
  console.log(
    `${format}: ${PAGES} pages, ${rounds[0]?.characters} characters: ${
      ms(middle(({ workSeconds }) => workSeconds))
    } of ` +
      `processor time, after ${ms(middle(({ startSeconds }) => startSeconds))} for Deno and ` +
      `${ms(middle(({ loadSeconds }) => loadSeconds))} for the program; memory at most ${memory.toFixed(0)} MB`,
  );
  return [
    { name: `extract.${format}_cpu_seconds_per_${PAGES}_pages`, value: seconds, aim: atMost(GRANTED.seconds) },
    { name: `extract.${format}_megabytes_for_${PAGES}_pages`, value: memory, aim: atMost(GRANTED.megabytes) },
  ];
}

/** Each slice in a process of its own, as a call may be that starts the function anew. */
async function bySlices(folder: string): Promise<Figure[]> {
  const file = fileOf(folder, "pdf", LONG);
  const slices: ExtractCost[] = [];
  let from: Progress | null = null;
  do {
    const slice = await costOf(file, "pdf", from, ALLOWED_SECONDS);
    slices.push(slice);
    from = slice.next;
  } while (from !== null);
  const [seconds, memory] = [Math.max(...slices.map(secondsOf)), Math.max(...slices.map(({ memory }) => memory))];
  const characters = slices.reduce((sum, slice) => sum + slice.characters, 0);
  console.log(
    `pdf by slices: ${LONG} pages, ${characters} characters in ${slices.length} slices that stop at ` +
      `${ms(ALLOWED_SECONDS)}: ${ms(seconds)} of processor time at most, ${memory.toFixed(0)} MB at most`,
  );
  return [
    { name: `extract.pdf_slices_for_${LONG}_pages`, value: slices.length, aim: atMost(LONG / PAGES) },
    { name: `extract.pdf_cpu_seconds_per_slice`, value: seconds, aim: atMost(GRANTED.seconds) },
    { name: `extract.pdf_megabytes_per_slice`, value: memory, aim: atMost(GRANTED.megabytes) },
  ];
}

function fileOf(folder: string, format: string, pages: number): string {
  const file = join(folder, `${pages}.${format}`);
  writeFileSync(file, documentOf(format).make(pages));
  return file;
}

async function costOf(file: string, format: string, from: Progress | null, allowed: number): Promise<ExtractCost> {
  const { name, mimeType } = documentOf(format);
  const flags = ["run", "--node-modules-dir=manual", "--no-lock", "--allow-all"];
  const args = [...flags, SCRIPT, file, name, mimeType, JSON.stringify(from), `${allowed}`];
  const { stdout } = await promisify(execFile)(locateDeno("deno-edge"), args, { cwd: PROJECT });
  return JSON.parse(stdout) as ExtractCost;
}

function documentOf(format: string): (typeof DOCUMENTS)[string] {
  const found = DOCUMENTS[format];
  if (found === undefined) throw new Error(`There are no documents of the format ${format}.`);
  return found;
}

function secondsOf({ startSeconds, loadSeconds, workSeconds }: ExtractCost): number {
  return startSeconds + loadSeconds + workSeconds;
}

function atMost(value: number): Figure["aim"] {
  return { operator: "<=", value };
}

function ms(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { locateDeno } from "../local/functions/deno-binary.ts";
import { type Figure, median } from "./report.ts";
import { dataPath } from "./support/arguments.ts";
import { readHistory } from "./support/history.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const SCRIPT = fileURLToPath(new URL("support/chunking-process.ts", import.meta.url));
const PAGES = 50;
const ROUNDS = 5;
const TARGET_TOKENS = 256;

/** What the script tells; seconds are the processor's, in all threads of the process. */
export interface ChunkingCost {
  /** Until its first line. */
  startSeconds: number;
  /** For the tokenizer to be there. */
  tokenizerSeconds: number;
  /** For chunks, tokens and hashes. */
  workSeconds: number;
  /** Megabytes at most. */
  memoryWithTokenizer: number;
  memory: number;
  chunks: number;
  tokens: number;
}

/** What it costs the platform's Deno to cut, count and hash pages of Markdown, from nothing. */
export async function chunking(): Promise<Figure[]> {
  if (dataPath === undefined) {
    console.log("chunking needs --data <history-deno-docs-en.jsonl.br, or its folder>, and is left out.");
    return [];
  }
  const pages = readHistory(dataPath).filter(({ step }) => step === 0).slice(0, PAGES)
    .flatMap(({ text }) => text ?? []);
  const rounds: ChunkingCost[] = [];
  const folder = mkdtempSync(join(tmpdir(), "accord-bench-"));
  try {
    const file = join(folder, "pages.json");
    writeFileSync(file, JSON.stringify(pages));
    while (rounds.length < ROUNDS) rounds.push(await costOf(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const middle = (part: (cost: ChunkingCost) => number) => median(rounds.map(part));
  const letters = pages.reduce((sum, text) => sum + text.length, 0);
  console.log(
    `${pages.length} pages, ${letters} characters, ${rounds[0]?.tokens} tokens in ${
      rounds[0]?.chunks
    } chunks of up to ` +
      `${TARGET_TOKENS}: ${ms(middle(({ workSeconds }) => workSeconds))} of processor time, after ` +
      `${ms(middle(({ tokenizerSeconds }) => tokenizerSeconds))} for the tokenizer (a module of ` +
      `${(tokenizerBytes() / 1e6).toFixed(2)} MB) and ${ms(middle(({ startSeconds }) => startSeconds))} for Deno; ` +
      `memory at most ${middle(({ memory }) => memory).toFixed(0)} MB, ` +
      `${middle(({ memoryWithTokenizer }) => memoryWithTokenizer).toFixed(0)} MB before the first page`,
  );
  return [{
    name: "chunking.cpu_seconds_per_50_pages",
    value: middle(({ startSeconds, tokenizerSeconds, workSeconds }) => startSeconds + tokenizerSeconds + workSeconds),
    aim: { operator: "<=", value: 2 },
  }];
}

async function costOf(file: string): Promise<ChunkingCost> {
  const flags = ["run", "--node-modules-dir=manual", "--no-lock", "--allow-all"];
  const args = [...flags, SCRIPT, file, `${TARGET_TOKENS}`];
  const { stdout } = await promisify(execFile)(locateDeno("deno-edge"), args, { cwd: PROJECT });
  return JSON.parse(stdout) as ChunkingCost;
}

function tokenizerBytes(): number {
  return statSync(join(PROJECT, "node_modules", "gpt-tokenizer", "esm", "bpeRanks", "cl100k_base.js")).size;
}

function ms(seconds: number): string {
  return `${(seconds * 1000).toFixed(0)} ms`;
}

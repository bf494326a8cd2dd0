import { readFileSync } from "node:fs";
import process from "node:process";
import type { ChunkingCost } from "../chunking.ts";
import { processorSeconds } from "./processor-time.ts";

// Run by the platform's Deno: texts come as a file of JSON, what they cost goes to the standard output.
const [, , file = "", targetTokens = ""] = process.argv;
const texts: string[] = JSON.parse(readFileSync(file, "utf8"));

const startSeconds = processorSeconds(process.pid);
const { countTokens } = await import("../../shared/embeddings/chunking/tokens.ts");
countTokens("The first count makes what all others use.");
const tokenizerSeconds = processorSeconds(process.pid) - startSeconds;
const memoryWithTokenizer = peakMemory();

const { chunk } = await import("../../shared/embeddings/chunking/chunk.ts");
const { sha256 } = await import("../../shared/platform/sha256.ts");
let [chunks, tokens] = [0, 0];
for (const content of texts) {
  for (const piece of chunk(content, { targetTokens: Number(targetTokens), overlapTokens: 0, countTokens })) {
    await sha256(`${piece.headings.join("\n")}\n${piece.text}`);
    chunks++;
    tokens += piece.tokens;
  }
}

const cost: ChunkingCost = {
  startSeconds,
  tokenizerSeconds,
  workSeconds: processorSeconds(process.pid) - startSeconds - tokenizerSeconds,
  memoryWithTokenizer,
  memory: peakMemory(),
  chunks,
  tokens,
};
console.log(JSON.stringify(cost));

/** Megabytes. */
function peakMemory(): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
}

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Progress } from "../../shared/files/extract/extract.ts";
import type { ExtractCost } from "../extract.ts";
import { processorSeconds } from "./processor-time.ts";

// Run by the platform's Deno, one slice of a file: what it costs goes to the standard output.
const [, , file = "", name = "", mimeType = "", from = "null", allowedSeconds = ""] = process.argv;
const startSeconds = processorSeconds(process.pid);
const { extractSlice } = await import("../../shared/files/extract/extract.ts");
const bytes = new Uint8Array(readFileSync(file));
const loadSeconds = processorSeconds(process.pid) - startSeconds;
const isSpent = () => processorSeconds(process.pid) >= Number(allowedSeconds);
const slice = await extractSlice({ name, mimeType, bytes }, JSON.parse(from) as Progress | null, { isSpent });
const cost: ExtractCost = {
  startSeconds,
  loadSeconds,
  workSeconds: processorSeconds(process.pid) - startSeconds - loadSeconds,
  memory: Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024,
  characters: slice.parts.reduce((sum, { content }) => sum + content.length, 0),
  next: slice.next,
};
console.log(JSON.stringify(cost));

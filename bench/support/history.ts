import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { z } from "zod";

const Edit = z.object({ step: z.int(), path: z.string(), text: z.string().nullable() });

/** A page as it is from a step on; null where it is deleted. Step 0 is what there is at first. */
export type Edit = z.infer<typeof Edit>;

/** The edits of a documentation, oldest first, from a file or from the one that a folder holds. */
export function readHistory(path: string): Edit[] {
  const file = statSync(path).isDirectory() ? join(path, "history-deno-docs-en.jsonl.br") : path;
  const lines = brotliDecompressSync(readFileSync(file)).toString("utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => Edit.parse(JSON.parse(line)));
}

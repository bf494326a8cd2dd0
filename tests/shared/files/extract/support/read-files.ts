import { readFileSync } from "node:fs";
import process from "node:process";
import { extractSlice, FileError } from "../../../../../shared/files/extract/extract.ts";

// Run by Deno, as functions are: reads the files that are named, and tells of each its text or why it has none.
for (const path of process.argv.slice(2)) {
  const bytes = new Uint8Array(readFileSync(path));
  const outcome = await extractSlice({ name: path, mimeType: null, bytes }, null, { isSpent: () => false }).catch(
    (error: unknown) => {
      if (error instanceof FileError) return { code: error.code };
      throw error;
    },
  );
  // What was forgotten is told when nothing else is to be done.
  await new Promise((resolve) => setTimeout(resolve, 0));
  console.log(JSON.stringify(outcome));
}

import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { functionChecks, functionFaults } from "./check/functions.ts";
import { deno, program, type Step } from "./check/step.ts";
import { openFreshDatabase } from "./fresh-database.ts";
import { adviceOn } from "./official-cli.ts";

/** `npm run check`: the one gate before a commit. Two steps at a time, one line for each, faults in full. */
const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const AT_A_TIME = 2;

// The slow ones first: the quick ones fill what room is left beside them.
const steps: Step[] = [
  { name: "advisors", check: advice },
  program("types", process.execPath, [join(PROJECT, "node_modules", ".bin", "tsc"), "-p", PROJECT]),
  deno("format", "fmt", "--check", PROJECT),
  deno("lint", "lint", PROJECT),
  ...functionChecks(PROJECT),
  { name: "config and pins", check: () => Promise.resolve(functionFaults(PROJECT).join("\n")) },
];

async function advice(): Promise<string> {
  const database = await openFreshDatabase({ migrated: true });
  try {
    const { exitCode, output } = await adviceOn(database.url);
    return exitCode === 0 ? "" : output;
  } finally {
    await database.close();
  }
}

async function take(step: Step): Promise<boolean> {
  const startedAt = performance.now();
  const fault = await step.check().catch((error: unknown) => error instanceof Error ? error.message : String(error));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  console.log(`${fault === "" ? "ok  " : "FAIL"} ${seconds} s  ${step.name}`);
  if (fault !== "") console.log(`${fault}\n`);
  return fault === "";
}

let failures = 0;
const waiting = steps.values();
await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
  for (const step of waiting) if (!await take(step)) failures++;
}));
if (failures > 0) console.log(`${failures} of ${steps.length} checks failed.`);
process.exitCode = failures > 0 ? 1 : 0;

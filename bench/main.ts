import process from "node:process";
import { type Figure, printFigure } from "./report.ts";
import { chunking } from "./chunking.ts";
import { coherence } from "./coherence.ts";
import { drain } from "./drain.ts";
import { extract } from "./extract.ts";
import { fanOut } from "./fan-out.ts";
import { history } from "./history.ts";
import { lexical } from "./lexical.ts";
import { start } from "./start.ts";
import { names } from "./support/arguments.ts";
import { triggers } from "./triggers.ts";
import { verify } from "./verify.ts";

const BENCHMARKS: Record<string, () => Promise<Figure[]>> = {
  start,
  triggers,
  drain,
  "fan-out": fanOut,
  verify,
  coherence,
  lexical,
  history,
  chunking,
  extract,
};

const unknown = names.find((name) => !(name in BENCHMARKS));
if (unknown !== undefined) {
  console.error(`There is no benchmark "${unknown}"; there are ${Object.keys(BENCHMARKS).join(", ")}.`);
  process.exit(1);
}
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  for (const figure of await run()) printFigure(figure);
}

import { fileURLToPath } from "node:url";
import { locateDeno } from "../local/functions/deno-binary.ts";
import { supabase, withoutTls } from "./official-cli.ts";
import { run } from "./run.ts";

export const TYPES_FILE = fileURLToPath(new URL("../shared/platform/database.types.ts", import.meta.url));

const HEADER = `// Made by \`npm run types\` from the migrations; not edited by hand.\n`;

/** The schema's types as the official CLI gives them, in this project's format. */
export async function generatedTypes(databaseUrl: string): Promise<string> {
  const generated = await supabase(["gen", "types", "--schema", "public", `--remote=${withoutTls(databaseUrl)}`]);
  if (generated.exitCode !== 0) throw new Error(`supabase gen types failed:\n${generated.output}`);
  const formatted = await run(locateDeno(), ["fmt", "--ext", "ts", "-"], { input: HEADER + generated.stdout });
  if (formatted.exitCode !== 0) throw new Error(`deno fmt refused the generated types:\n${formatted.output}`);
  return formatted.stdout;
}

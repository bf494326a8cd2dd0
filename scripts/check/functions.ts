import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { locateDeno } from "../../local/functions/deno-binary.ts";
import { readFunctionSettings } from "../../local/functions/settings.ts";
import { program, type Step } from "./step.ts";

const DenoConfig = z.object({ imports: z.record(z.string(), z.string()).default({}) });
const PackageFile = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});

const PIN = /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)(?:\/.*)?$/;

/** Folders such as `_shared` hold no function. */
export function functionNames(project: string): string[] {
  return readdirSync(join(project, "supabase", "functions"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
    .map((entry) => entry.name);
}

/** Every function must compile for the current Deno and for the platform's. */
export function functionChecks(project: string): Step[] {
  return functionNames(project).flatMap((name) =>
    (["deno", "deno-edge"] as const).map((version) => {
      const flags = ["--no-lock", "--node-modules-dir=manual", "--config", "deno.json"];
      const folder = join(project, "supabase", "functions", name);
      return program(`${name} on ${version}`, locateDeno(version), ["check", ...flags, "index.ts"], folder);
    })
  );
}

/** What a deployment would find only when it is too late: blocks without a folder, folders without a block, other versions. */
export function functionFaults(project: string): string[] {
  const names = functionNames(project);
  const declared = [...readFunctionSettings(readFileSync(join(project, "supabase", "config.toml"), "utf8")).keys()];
  const packages = PackageFile.parse(JSON.parse(readFileSync(join(project, "package.json"), "utf8")));
  const installed = { ...packages.devDependencies, ...packages.dependencies };
  return [
    ...names.filter((name) => !declared.includes(name))
      .map((name) => `supabase/functions/${name} has no block [functions.${name}] in supabase/config.toml`),
    ...declared.filter((name) => !names.includes(name))
      .map((name) => `[functions.${name}] in supabase/config.toml has no folder supabase/functions/${name}`),
    ...names.flatMap((name) => pinFaults(project, name, installed)),
  ];
}

function pinFaults(project: string, name: string, installed: Record<string, string>): string[] {
  const file = `supabase/functions/${name}/deno.json`;
  const { imports } = DenoConfig.parse(JSON.parse(readFileSync(join(project, file), "utf8")));
  return Object.values(imports).flatMap((specifier) => {
    const [, dependency = "", version] = PIN.exec(specifier) ?? [];
    if (version === undefined) return [`${file} pins "${specifier}", which is no exact version of an npm package`];
    const expected = installed[dependency];
    if (expected === undefined) return [`${file} pins ${dependency}, which package.json does not have`];
    if (expected !== version) return [`${file} pins ${dependency} ${version}, and package.json has ${expected}`];
    return [];
  });
}

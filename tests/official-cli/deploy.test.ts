import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { locateDeno } from "../../local/functions/deno-binary.ts";
import { functionNames } from "../../scripts/check/functions.ts";
import { supabase } from "../../scripts/official-cli.ts";
import { run } from "../../scripts/run.ts";
import { standInForTheManagementApi } from "./support/management-api.ts";

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const TOKEN = `sbp_${"0123456789abcdef0123456789abcdef01234567"}`;

const ModuleGraph = z.object({ modules: z.array(z.object({ local: z.string().optional() })) });

/** What the function imports, file by file, as Deno itself sees it; packages come from the registry. */
async function filesOf(name: string): Promise<string[]> {
  const folder = join(PROJECT, "supabase", "functions", name);
  const flags = ["--json", "--no-lock", "--node-modules-dir=manual", "--config", join(folder, "deno.json")];
  const { exitCode, stdout, output } = await run(locateDeno(), ["info", ...flags, join(folder, "index.ts")], {
    cwd: PROJECT,
  });
  expect(exitCode, output).toBe(0);
  const { modules } = ModuleGraph.parse(JSON.parse(stdout));
  const own = modules.flatMap(({ local }) => local === undefined ? [] : [relative(PROJECT, local)])
    .filter((path) => !path.startsWith("node_modules"));
  return [`supabase/functions/${name}/deno.json`, ...own].sort();
}

/** A copy, because the CLI leaves notes of its own beside what it deploys. */
function copyOfTheProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "accord-project-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const part of ["supabase", "shared"]) cpSync(join(PROJECT, part), join(folder, part), { recursive: true });
  return folder;
}

test("functions deploy uploads every file that a function needs, and nothing else", async () => {
  const api = await standInForTheManagementApi();
  const { exitCode, output } = await supabase(
    ["functions", "deploy", "--use-api", "--yes", "--remote=abcdefghijklmnopqrst", "--profile", api.profile],
    { project: copyOfTheProject(), environment: { SUPABASE_ACCESS_TOKEN: TOKEN } },
  );
  expect(exitCode, output).toBe(0);

  const names = functionNames(PROJECT).sort();
  expect(api.deployments.map(({ slug }) => slug).sort()).toEqual(names);
  for (const { slug, token, metadata, files } of api.deployments) {
    expect([...files.keys()].sort(), `what ${slug} uploads`).toEqual(await filesOf(slug));
    for (const [path, content] of files) expect(content, path).toBe(readFileSync(join(PROJECT, path), "utf8"));
    expect(token).toBe(`Bearer ${TOKEN}`);
    expect(metadata).toMatchObject({
      name: slug,
      verify_jwt: false,
      entrypoint_path: `supabase/functions/${slug}/index.ts`,
      import_map_path: `supabase/functions/${slug}/deno.json`,
    });
  }
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { functionFaults } from "../../scripts/check/functions.ts";

/** A project of two functions in good order, but for the files given. */
function projectWith(files: Record<string, string>): string {
  const project = mkdtempSync(join(tmpdir(), "accord-check-"));
  onTestFinished(() => rmSync(project, { recursive: true }));
  const all = {
    "package.json": `{"dependencies":{"zod":"4.0.0"},"devDependencies":{"@supabase/server":"1.0.0"}}`,
    "supabase/config.toml": "[functions.health]\nverify_jwt = false\n[functions.search]\n",
    "supabase/functions/health/deno.json": `{"imports":{"zod":"npm:zod@4.0.0","s":"npm:@supabase/server@1.0.0/core"}}`,
    "supabase/functions/search/deno.json": "{}",
    "supabase/functions/_shared/door.ts": "",
    ...files,
  };
  for (const [path, content] of Object.entries(all)) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), content);
  }
  return project;
}

test("a project in good order has no faults", () => {
  expect(functionFaults(projectWith({}))).toEqual([]);
});

test("a folder without a block, and a block without a folder, are named", () => {
  const config = "[functions.health]\n[functions.serach]\n";
  expect(functionFaults(projectWith({ "supabase/config.toml": config }))).toEqual([
    "supabase/functions/search has no block [functions.search] in supabase/config.toml",
    "[functions.serach] in supabase/config.toml has no folder supabase/functions/serach",
  ]);
});

test.each([
  ["npm:zod@4.0.1", "supabase/functions/health/deno.json pins zod 4.0.1, and package.json has 4.0.0"],
  ["npm:zod@^4.0.0", "supabase/functions/health/deno.json pins zod ^4.0.0, and package.json has 4.0.0"],
  ["npm:zod", `supabase/functions/health/deno.json pins "npm:zod", which is no exact version of an npm package`],
  ["jsr:@zod/zod@4.0.0", expect.stringContaining("which is no exact version of an npm package")],
  ["npm:hono@4.0.0", "supabase/functions/health/deno.json pins hono, which package.json does not have"],
])("the pin %s is a fault", (specifier, fault) => {
  const pins = JSON.stringify({ imports: { zod: specifier } });
  expect(functionFaults(projectWith({ "supabase/functions/health/deno.json": pins }))).toEqual([fault]);
});

import { afterEach, describe, expect, test } from "vitest";
import { describeSettingsError, readFunctionSettings } from "../../local/functions/settings.ts";
import { createProject, type Project } from "./fixtures/functions/project.ts";

const HELLO = `export default { fetch: () => new Response("hello") };`;

describe("the functions of config.toml", () => {
  test("each way of writing a table is understood", () => {
    const settings = readFunctionSettings(`
      project_id = "accord" # [functions.commented]
      note = """
      [functions.quoted]
      verify_jwt = false
      """
      [functions.plain]
      verify_jwt = false
      import_map = ""
      [functions."in-quotes"]
      enabled = false # for now
      entrypoint = './functions/elsewhere/main.ts'
      static_files = ["a.html"]
      [functions]
      inline = { verify_jwt = false, import_map = "import_map.json" }
      dotted.verify_jwt = false
    `);
    expect(Object.fromEntries(settings)).toEqual({
      plain: { enabled: true, verifyJwt: false, importMap: undefined, entrypoint: undefined },
      "in-quotes": {
        enabled: false,
        verifyJwt: true,
        importMap: undefined,
        entrypoint: "./functions/elsewhere/main.ts",
      },
      inline: { enabled: true, verifyJwt: false, importMap: "import_map.json", entrypoint: undefined },
      dotted: { enabled: true, verifyJwt: false, importMap: undefined, entrypoint: undefined },
    });
  });

  test.each([
    ["[functions.a]\nverify_jwt = flase", /^line 2, column 14: /],
    ["[functions.a]\nverify_jwt = 'false'", /^functions\.a\.verify_jwt: .*boolean.*"false"/],
    ["functions = 1", /^functions: .*1/],
  ])("%j is refused in words that say where and what", (configToml, words) => {
    expect(() => readFunctionSettings(configToml)).toThrow();
    try {
      readFunctionSettings(configToml);
    } catch (error) {
      expect(describeSettingsError(error)).toMatch(words);
    }
  });
});

describe("a project whose config.toml", () => {
  let project: Project;
  afterEach(() => project.close());

  test("is not there has every default", async () => {
    project = createProject({ hello: HELLO }, { configPath: "/nowhere/config.toml" });
    expect((await project.call("hello")).status).toBe(401);
  });

  test("cannot be read is not served at all", () => {
    project = createProject({});
    expect(() => createProject({ "supabase/config.toml": "[functions" })).toThrow(
      /supabase\/config\.toml: line 1, column /,
    );
  });

  test("is edited takes effect at the next call, unless the edit cannot be read", async () => {
    project = createProject({ hello: HELLO });
    expect((await project.call("hello")).status).toBe(200);
    project.write("supabase/config.toml", "[functions.hello]\nenabled = false");
    expect((await project.call("hello")).status).toBe(404);
    project.write("supabase/config.toml", "[functions.hello]\nenabled = ");
    expect((await project.call("hello")).status).toBe(404);
    expect(project.log.lines.at(-1)).toMatch(
      /^error .*config\.toml: line 2.*; the settings from before the edit stay$/,
    );
    project.write("supabase/config.toml", "[functions.hello]\nverify_jwt = false");
    expect((await project.call("hello")).status).toBe(200);
  });

  test("names an entrypoint and an import map has them used", async () => {
    project = createProject({
      "supabase/config.toml": `[functions.named]
        verify_jwt = false
        entrypoint = "./elsewhere/main.ts"
        import_map = "./elsewhere/map.json"`,
      "supabase/elsewhere/main.ts": `import { word } from "words"; export default { fetch: () => new Response(word) };`,
      "supabase/elsewhere/map.json": `{ "imports": { "words": "./words.ts" } }`,
      "supabase/elsewhere/words.ts": `export const word = "found";`,
    });
    expect(await (await project.call("named")).text()).toBe("found");
  });

  test.each(["deno.json", "deno.jsonc", "import_map.json"])(
    "says nothing of it has %s beside the function used",
    async (file) => {
      project = createProject({
        mapped: `import { word } from "words"; export default { fetch: () => new Response(word) };`,
        [`supabase/functions/mapped/${file}`]: `{ "imports": { "words": "./words.ts" } }`,
        "supabase/functions/mapped/words.ts": `export const word = "${file}";`,
      });
      expect(await (await project.call("mapped")).text()).toBe(file);
    },
  );
});

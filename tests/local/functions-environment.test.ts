import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { passedThrough, platformEnvironment } from "../../local/functions/environment.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";
import { createProject, DENOS, environment, type Project } from "./fixtures/functions/project.ts";

const TELLING = `export default { fetch: () => Response.json(Deno.env.toObject()) };`;
const NAMES = `export default { fetch: () => Response.json(Object.keys(Deno.env.toObject()).sort()) };`;

/** https://supabase.com/docs/guides/functions/secrets, and SUPABASE_FUNCTION_SLUG, which the CLI sets besides. */
const OF_THE_PLATFORM = [
  "DENO_DEPLOYMENT_ID",
  "SB_EXECUTION_ID",
  "SB_REGION",
  "SUPABASE_ANON_KEY",
  "SUPABASE_DB_URL",
  "SUPABASE_FUNCTION_SLUG",
  "SUPABASE_JWKS",
  "SUPABASE_PUBLISHABLE_KEYS",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_SERVICE_ROLE_KEY",
  "SUPABASE_URL",
];

describe.each(DENOS)("the environment of a function on %s", (deno) => {
  let project: Project;
  beforeEach(() => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "the developer's own");
    vi.stubEnv("HOME", "/nonexistent");
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await project.close();
  });

  test("is the platform's and nothing else: nothing of the developer's", async () => {
    project = createProject({ names: NAMES }, { deno });
    expect(await (await project.call("names")).json()).toEqual(OF_THE_PLATFORM);
  });

  test("holds what supabase/functions/.env says, which cannot speak for the platform", async () => {
    project = createProject({
      telling: TELLING,
      "supabase/functions/.env": `# comment\nGREETING="good morning"\nSUPABASE_URL=http://elsewhere\nLINES='a\nb'\n`,
    }, { deno });
    expect(await (await project.call("telling")).json()).toMatchObject({
      GREETING: "good morning",
      LINES: "a\nb",
      SUPABASE_URL: environment.SUPABASE_URL,
    });
    project.write("supabase/functions/.env", "GREETING=hello\n");
    expect((await (await project.call("telling")).json()).GREETING).toBe("hello");
  });

  test("is never in the log", async () => {
    project = createProject({ silent: TELLING, broken: `throw new Error("broken")` }, { deno });
    await Promise.all([project.call("silent"), project.call("broken")]);
    for (const value of Object.values(environment)) expect(project.log.lines.join("\n")).not.toContain(value);
  });

  test("tells functions and processes apart", async () => {
    project = createProject({ first: TELLING, second: TELLING }, { deno });
    const [first, second] = await Promise.all([project.call("first"), project.call("second")]);
    const [one, two] = [await first.json(), await second.json()];
    expect([one.SUPABASE_FUNCTION_SLUG, two.SUPABASE_FUNCTION_SLUG]).toEqual(["first", "second"]);
    expect(one.SB_EXECUTION_ID).toBe(first.headers.get("x-deno-execution-id"));
    expect(one.SB_EXECUTION_ID).not.toBe(two.SB_EXECUTION_ID);
  });
});

describe("what is given to every function", () => {
  test("the keys are those of `supabase start`, by name, and the legacy ones are its very tokens", async () => {
    const given = await platformEnvironment({ url: "http://127.0.0.1:54321", databaseUrl: "postgres://" });
    expect(JSON.parse(given.SUPABASE_PUBLISHABLE_KEYS ?? "")).toEqual({ default: PUBLISHABLE_KEY });
    expect(JSON.parse(given.SUPABASE_SECRET_KEYS ?? "")).toEqual({ default: SECRET_KEY });
    expect(JSON.parse(given.SUPABASE_JWKS ?? "").keys[0]).not.toHaveProperty("d");
    expect(given.SUPABASE_ANON_KEY).toBe(
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9." +
        "CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0",
    );
  });

  test("of the developer's environment, only what is asked for", () => {
    const developers = { OPENAI_API_KEY: "k", ACCORD_MODEL: "m", HOME: "/home/me", NOT_ACCORD_: "x" };
    expect(passedThrough(/^(OPENAI_API_KEY|ACCORD_.*)$/, developers)).toEqual({
      OPENAI_API_KEY: "k",
      ACCORD_MODEL: "m",
    });
  });
});

import { AccordError, RefusedError } from "../../shared/platform/errors.ts";
import { type Check, Health } from "../../shared/platform/health.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import type { Project } from "../project.ts";

/** Whether everything is in place, and what to do about each thing that is not. */
export const doctor: Command = {
  name: "doctor",
  summary: "whether everything is in place, with the mend for what is not",
  async run({ project, output }) {
    const checks = await examine(project);
    const ok = checks.every((check) => check.ok);
    const width = Math.max(...checks.map(({ name }) => name.length));
    output.line(output.bold(`Accord at ${project.url}`));
    output.line();
    for (const { name, ok, detail, mend } of checks) {
      output.line(`  ${ok ? output.good("ok  ") : output.bad("FAIL")}  ${name.padEnd(width)}  ${detail}`);
      if (mend !== null) output.line(`        ${output.dim(mend)}`);
    }
    output.line();
    const failing = checks.filter((check) => !check.ok).length;
    output.line(ok ? `All ${checks.length} checks pass.` : `${failing} of ${checks.length} checks fail.`);
    return { code: ok ? EXIT.agree : EXIT.differences, json: { ok, checks } };
  },
};

async function examine(project: Project): Promise<Check[]> {
  const database = await askDatabase(project);
  if (database.checks === undefined) return [database.answered];
  const functions = await askFunctions(project);
  const embedder = functions.checks === undefined ? [] : await askEmbedder(project);
  return [database.answered, functions.answered, ...functions.checks ?? database.checks, ...embedder];
}

/** The database first: without it nothing else can be told. An unreachable project or a wrong key ends the command. */
async function askDatabase(project: Project): Promise<{ answered: Check; checks?: Check[] }> {
  const name = "database";
  try {
    const checks = Health.shape.checks.parse(await project.rpc("health_checks"));
    return { answered: { name, ok: true, detail: "answers, and the key is accepted", mend: null }, checks };
  } catch (error) {
    if (!(error instanceof AccordError) || error instanceof RefusedError || error.code !== "PGRST202") throw error;
    const detail = "answers, but Accord's migrations are not applied";
    return { answered: { name, ok: false, detail, mend: "Run: supabase db push." } };
  }
}

/** Whether the provider answers and takes its key: asked of the function that will ask it. */
async function askEmbedder(project: Project): Promise<Check[]> {
  try {
    return Health.parse(await project.callFunction("process-embedding-queue", { body: { action: "check" } })).checks;
  } catch (error) {
    if (!(error instanceof AccordError)) throw error;
    return [{ name: "embedder", ok: false, detail: error.message, mend: "Run: supabase functions deploy." }];
  }
}

async function askFunctions(project: Project): Promise<{ answered: Check; checks?: Check[] }> {
  const name = "functions";
  try {
    const { checks } = Health.parse(await project.callFunction("health", { method: "GET" }));
    return { answered: { name, ok: true, detail: "answer", mend: null }, checks };
  } catch (error) {
    if (!(error instanceof AccordError)) throw error;
    const mend = error.status === 404
      ? "Run: supabase functions deploy."
      : "See the function's log: npm start shows it, or the dashboard under Edge Functions.";
    return { answered: { name, ok: false, detail: error.message, mend } };
  }
}

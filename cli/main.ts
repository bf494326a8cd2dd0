import { parseArgs } from "node:util";
import { AccordError, errorBodyOf } from "../shared/platform/errors.ts";
import type { Command } from "./command.ts";
import { coherence } from "./commands/coherence.ts";
import { doctor } from "./commands/doctor.ts";
import { process as process_ } from "./commands/process.ts";
import { profile } from "./commands/profile.ts";
import { resync } from "./commands/resync.ts";
import { retry } from "./commands/retry.ts";
import { search } from "./commands/search.ts";
import { status } from "./commands/status.ts";
import { verify } from "./commands/verify.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { createOutput } from "./output.ts";
import { openProject } from "./project.ts";
import { UsageError } from "./usage-error.ts";
import process from "node:process";

const COMMANDS: Command[] = [status, process_, verify, resync, retry, coherence, profile, search, doctor];

const USAGE = `npm run accord -- <command> [options]

${COMMANDS.map(({ name, takes, summary }) => `  ${`${name} ${takes ?? ""}`.padEnd(20)}${summary}`).join("\n")}

  --url URL   the project; default SUPABASE_URL, else the stack of npm start
  --json      the answer as JSON
  --help      this

  of retry:   --bucket NAME
  of coherence sync: --force
  of profile: --name NAME, --chunk-tokens N, --overlap N, --template '{headings}\n\n{chunk}', --force

The key of a hosted project is read from SUPABASE_SECRET_KEY.
Exit codes: 0 all agree, 1 error, 2 differences found, 3 refused by a safety check.`;

async function main(args: string[]): Promise<ExitCode> {
  const { values, positionals: [name, ...rest] } = parse(args);
  if (values.help || name === undefined) {
    console.log(USAGE);
    return name === undefined && !values.help ? EXIT.error : EXIT.agree;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    throw new UsageError(`There is no command "${name}"; there are ${COMMANDS.map(({ name }) => name).join(", ")}.`);
  }
  const argument = argumentOf(command, rest);
  const { url, json: asJson, help: _, force = false, ...options } = values;
  const unknown = Object.keys({ ...options, ...(force ? { force } : {}) }).find((name) =>
    !command.knows?.includes(name)
  );
  if (unknown !== undefined) throw new UsageError(`${command.name} knows no --${unknown}.`);
  const project = openProject({ url, environment: process.env });
  const isWatched = process.stdout.isTTY === true && !asJson;
  const color = isWatched && process.env.NO_COLOR === undefined;
  const write = (text: string) => void process.stdout.write(text);
  const output = createOutput(asJson ? () => {} : write, { color, isWatched });
  const { code, json } = await command.run({ project, argument, options, force, output, now: new Date() });
  if (asJson) write(`${JSON.stringify(json, null, 2)}\n`);
  return code;
}

/** A question may be several words; a table is one. */
function argumentOf({ name, takes }: Command, rest: string[]): string {
  if (takes === undefined && rest.length > 0) throw new UsageError(`${name} takes no "${rest.join(" ")}".`);
  if (takes?.startsWith("<") && rest.length === 0) throw new UsageError(`${name} needs ${takes}.`);
  return rest.join(" ").trim();
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        url: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
        bucket: { type: "string" },
        name: { type: "string" },
        "chunk-tokens": { type: "string" },
        overlap: { type: "string" },
        template: { type: "string" },
        force: { type: "boolean" },
      },
    });
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split(". ");
    throw new UsageError(`${reason}. See npm run accord -- --help.`, { cause });
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const known = error instanceof AccordError || error instanceof UsageError;
    const shown = known ? error.message : error instanceof Error ? error.stack : String(error);
    if (process.argv.includes("--json")) {
      const asAccordError = error instanceof AccordError ? error : new AccordError("error", String(shown));
      console.log(JSON.stringify(errorBodyOf(asAccordError), null, 2));
    } else console.error(shown);
    // What the database refuses as things stand, and not for what was asked.
    const isRefused = error instanceof AccordError && error.status === 409;
    process.exitCode = isRefused ? EXIT.refused : EXIT.error;
  },
);

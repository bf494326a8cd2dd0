import { withoutPassword } from "./database/open.ts";
import { messageOf, StartError } from "./errors.ts";
import { showFirstAnswer } from "./first-answer.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "./keys.ts";
import { createLog, type Log } from "./log.ts";
import { readOptions, USAGE } from "./options.ts";
import { type Stack, startStack } from "./stack.ts";
import process from "node:process";

/** How long an orderly end may take before the process ends all the same. */
const PATIENCE_MS = 10_000;
/** A terminal and npm may both pass on one Ctrl-C; a second one is a person who will not wait. */
const SAME_KEYSTROKE_MS = 1_000;

async function main(): Promise<void> {
  const startedAt = performance.now();
  const options = readOptions(process.argv.slice(2));
  if (options === "help") return console.log(USAGE);
  const log = createLog({ verbose: options.verbose });
  const stack = await startStack(options, log, (message) => {
    log.error(`The embedded database has failed: ${message}`);
    process.exit(1);
  });
  const ending = endOnSignals(stack, log);
  log.info(banner(stack, Math.round(performance.now() - startedAt)));
  // A program that started this one hears by message what a person reads above.
  process.send?.({ url: stack.url, databaseUrl: stack.databaseUrl });
  if (options.seed) await showFirstAnswer(stack.url, log, ending);
}

function banner(stack: Stack, milliseconds: number): string {
  const migrations = stack.migrations.length === 0 ? "up to date" : `applied ${stack.migrations.join(", ")}`;
  // The embedded database's password is no secret; that of a database of one's own is.
  const databaseUrl = stack.database === "embedded" ? stack.databaseUrl : withoutPassword(stack.databaseUrl);
  const database = stack.database === "embedded" ? "PGlite, embedded" : "your own Postgres";
  return `
Accord runs: a Supabase for development, on this machine alone. Ready in ${(milliseconds / 1000).toFixed(1)} s.

  API              ${stack.url}
  Database         ${databaseUrl}   (${database})
  Publishable key  ${PUBLISHABLE_KEY}
  Secret key       ${SECRET_KEY}
  Migrations       ${migrations}${stack.seeded ? ", seeded" : ""}
  Sign in          admin@accord.test, claire@accord.test or marc@accord.test; password accord-dev

Ctrl-C ends it.`;
}

/** The signal that it gives is aborted when the end begins. */
function endOnSignals(stack: Stack, log: Log): AbortSignal {
  const ending = new AbortController();
  let endingSince: number | undefined;
  const end = async () => {
    if (endingSince !== undefined) {
      if (performance.now() - endingSince > SAME_KEYSTROKE_MS) process.exit(130);
      return;
    }
    endingSince = performance.now();
    ending.abort();
    setTimeout(() => {
      log.error("The stack did not end in time and was cut off; its state is safe.");
      process.exit(1);
    }, PATIENCE_MS).unref();
    await stack.close();
    process.exit(0);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end());
  return ending.signal;
}

main().catch((error: unknown) => {
  const { error: tell } = createLog();
  tell(error instanceof StartError || !(error instanceof Error) ? messageOf(error) : error.stack ?? error.message);
  process.exit(1);
});

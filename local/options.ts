import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { messageOf, StartError } from "./errors.ts";

const DEFAULT_DATA = ".accord";

const port = (flag: string) =>
  z.string().regex(/^\d+$/, `--${flag} takes a number`).transform(Number)
    .refine((value) => value <= 65_535, `--${flag} takes a port of at most 65535`);

/** Every option of `npm start` with its default. The ports are those of `supabase start`; 0 takes any free one. */
const Options = z.object({
  port: port("port").default(54_321),
  "db-port": port("db-port").default(54_322),
  data: z.string().min(1, "--data takes a folder").optional(),
  memory: z.boolean().default(false),
  "no-seed": z.boolean().default(false),
  "database-url": z.string().regex(
    /^postgres(ql)?:\/\//,
    "--database-url takes postgresql://user:password@host:5432/database",
  )
    .optional(),
  verbose: z.boolean().default(false),
  help: z.boolean().default(false),
});

export interface StackOptions {
  port: number;
  databasePort: number;
  /** Where state lives; undefined keeps nothing. */
  dataDirectory: string | undefined;
  seed: boolean;
  databaseUrl: string | undefined;
  verbose: boolean;
}

export const USAGE = `npm start -- [options]

  --port 54321           port of the API
  --db-port 54322        port of the embedded database
  --data .accord         folder that keeps the state
  --memory               keep nothing after the end
  --no-seed              leave out supabase/seed.sql
  --database-url URL     use this Postgres in place of the embedded one
  --verbose              show requests
  --help                 show this`;

/** What the command line asks for, or a `StartError` that names what it cannot ask for. */
export function readOptions(args: string[]): StackOptions | "help" {
  const values = Options.safeParse(parse(args));
  if (!values.success) {
    const [issue] = values.error.issues;
    const flag = String(issue?.path[0] ?? "");
    // A database's URL may hold a password.
    const given = flag === "database-url" ? "" : `, not "${String(parse(args)[flag])}"`;
    throw new StartError(`${issue?.message}${given}. See npm start -- --help.`);
  }
  const { data } = values;
  if (data.help) return "help";
  if (data.memory && data["database-url"] !== undefined) {
    throw new StartError("--memory and --database-url exclude each other: that database keeps its own state.");
  }
  if (data.memory && data.data !== undefined) {
    throw new StartError("--memory and --data exclude each other: with --memory nothing is kept.");
  }
  return {
    port: data.port,
    databasePort: data["db-port"],
    dataDirectory: data.memory ? undefined : resolve(data.data ?? DEFAULT_DATA),
    seed: !data["no-seed"],
    databaseUrl: data["database-url"],
    verbose: data.verbose,
  };
}

function parse(args: string[]): Record<string, unknown> {
  try {
    const flags = ["memory", "no-seed", "verbose", "help"];
    const options = Object.fromEntries(
      Object.keys(Options.shape).map((name) => [name, { type: flags.includes(name) ? "boolean" : "string" } as const]),
    );
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new StartError(`${messageOf(cause).split(".")[0]}. See npm start -- --help.`, { cause });
  }
}

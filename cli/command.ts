import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import type { Project } from "./project.ts";

export interface CommandContext {
  project: Project;
  /** The word or words after the command's name; empty where it takes none or none was given. */
  argument: string;
  /** Those of a command of its own; a command that does not know one refuses it. */
  options: { bucket?: string; name?: string; "chunk-tokens"?: string; overlap?: string; template?: string };
  /** Does it although a safety check advises against it. */
  force: boolean;
  output: Output;
  now: Date;
}

/** One verb of `accord`: it writes for people, and gives programs the same as data. */
export interface Command {
  name: string;
  summary: string;
  /** What follows the name, such as `[table]` or `<question>`; in brackets it may be left out. */
  takes?: string;
  /** The options that it knows beside those of all commands. */
  knows?: string[];
  run(context: CommandContext): Promise<{ code: ExitCode; json: unknown }>;
}

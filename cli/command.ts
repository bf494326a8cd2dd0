import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import type { Project } from "./project.ts";

export interface CommandContext {
  project: Project;
  /** The word or words after the command's name; empty where it takes none or none was given. */
  argument: string;
  output: Output;
  now: Date;
}

/** One verb of `accord`: it writes for people, and gives programs the same as data. */
export interface Command {
  name: string;
  summary: string;
  /** What follows the name, such as `[table]` or `<question>`; in brackets it may be left out. */
  takes?: string;
  run(context: CommandContext): Promise<{ code: ExitCode; json: unknown }>;
}

import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import type { Project } from "./project.ts";

export interface CommandContext {
  project: Project;
  output: Output;
  now: Date;
}

/** One verb of `accord`: it writes for people, and gives programs the same as data. */
export interface Command {
  name: string;
  summary: string;
  run(context: CommandContext): Promise<{ code: ExitCode; json: unknown }>;
}

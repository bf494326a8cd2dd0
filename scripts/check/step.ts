import { locateDeno } from "../../local/functions/deno-binary.ts";
import { run } from "../run.ts";

/** One thing that must hold. It gives back what is wrong, in full; nothing when all is well. */
export interface Step {
  name: string;
  check(): Promise<string>;
}

/** A program whose exit code is the verdict. */
export function program(name: string, command: string, args: string[], cwd?: string): Step {
  return {
    name,
    check: async () => {
      const { exitCode, output } = await run(command, args, cwd === undefined ? {} : { cwd });
      return exitCode === 0 ? "" : output.trim() || `${command} ${args.join(" ")} ended with exit code ${exitCode}`;
    },
  };
}

export function deno(name: string, ...args: string[]): Step {
  return program(name, locateDeno(), args);
}

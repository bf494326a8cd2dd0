import { spawn } from "node:child_process";

export interface Run {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** Both, as a terminal would have shown them. */
  output: string;
}

/** Runs a program to its end and gives back all that it said; it reads nothing. */
export function run(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {},
): Promise<Run> {
  const { input, timeoutMs = 120_000, ...rest } = options;
  const child = spawn(command, args, { ...rest, timeout: timeoutMs, killSignal: "SIGKILL", stdio: "pipe" });
  const said = { stdout: "", stderr: "", output: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (chunk: string) => {
      said[stream] += chunk;
      said.output += chunk;
    });
  }
  // A program that ends without reading its input breaks the pipe; its exit code tells what it thought.
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve({ exitCode, ...said }));
  });
}

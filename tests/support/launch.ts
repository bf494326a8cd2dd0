import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import process from "node:process";

export interface Launched {
  url: string;
  databaseUrl: string;
  process: ChildProcess;
  /** All that it has printed so far. */
  output(): string;
  /** Ends it as Ctrl-C does, and is done when it has ended. */
  stop(): Promise<number | null>;
  /** Ends it as a power cut does. */
  kill(): Promise<void>;
}

export class LaunchFailure extends Error {
  readonly exitCode: number | null;
  readonly output: string;

  constructor(exitCode: number | null, output: string) {
    super(`The stack ended with exit code ${exitCode}:\n${output}`);
    this.exitCode = exitCode;
    this.output = output;
  }
}

const MAIN = fileURLToPath(new URL("../../local/main.ts", import.meta.url));

/** Starts the very program of `npm start`, on free ports, in a process group of its own. */
export async function launch(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Launched> {
  const ports = ["--port", "--db-port"].filter((name) => !args.includes(name)).flatMap((name) => [name, "0"]);
  const child = fork(MAIN, [...ports, ...args], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true,
    env: { ...process.env, NO_COLOR: "1", ...environment },
  });
  let printed = "";
  child.stdout?.on("data", (chunk) => (printed += chunk));
  child.stderr?.on("data", (chunk) => (printed += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const ready = await Promise.race([
    new Promise<{ url: string; databaseUrl: string }>((resolve) =>
      child.once("message", (message) => resolve(message as { url: string; databaseUrl: string }))
    ),
    ended.then((exitCode) => {
      throw new LaunchFailure(exitCode, printed);
    }),
  ]);
  return {
    ...ready,
    process: child,
    output: () => printed,
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
    kill: async () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      await ended;
    },
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { dirname } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Environment } from "./environment.ts";
import { onLine } from "./lines.ts";

export interface Launch {
  denoPath: string;
  /** Where Deno keeps what it compiled, so that the next start is quick. */
  cacheDirectory: string;
  entrypoint: string;
  /** A deno.json or an import map; without one Deno reads no configuration at all, as after a deployment. */
  importMap: string | undefined;
  environment: Environment;
  memoryMb: number;
  print(line: string, stream: "stdout" | "stderr"): void;
}

/**
 * The shell becomes Deno, and leaves behind a watcher in the same process group that reads descriptor 3: a pipe that
 * nobody writes to. It ends when the stack closes it or dies in whatever way, `kill -9` included, and then the
 * watcher kills the group, itself too. That works when the function is stuck in a loop, and names no process id that
 * might meanwhile belong to someone else.
 */
const TIED_TO_THE_STACK = `{ read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&-`;

const BOOT = fileURLToPath(new URL("./boot.ts", import.meta.url));
const READY = /^listening on port (\d+)$/;
/** V8's last words, followed by pages that help nobody. */
const OUT_OF_MEMORY = /^<--- Last few GCs --->|^# Fatal JavaScript out of memory/;

/** What the shell and Deno need or make, and a deployed function does not have. */
const HIDDEN = [
  "PATH",
  "PWD",
  "OLDPWD",
  "SHLVL",
  "_",
  "NO_COLOR",
  "DENO_DIR",
  "DENO_NO_UPDATE_CHECK",
  "DENO_NODE_SHIM_ACTIVE",
];

export class DenoProcess {
  /** The port, once the function serves; rejects when it ends before that. */
  readonly ready: Promise<number>;
  /** How it ended, once all that it printed has been handed over. */
  readonly exited: Promise<string>;
  ranOutOfMemory = false;
  readonly #lifeline: Duplex;

  constructor(launch: Launch) {
    const child = spawn("/bin/sh", ["-c", TIED_TO_THE_STACK, "sh", launch.denoPath, ...argumentsFor(launch)], {
      cwd: dirname(launch.entrypoint),
      env: {
        ...launch.environment,
        NO_COLOR: "1",
        DENO_DIR: launch.cacheDirectory,
        DENO_NO_UPDATE_CHECK: "1",
      },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      // A process group of its own: for the watcher, and so that Ctrl-C reaches the stack alone, which ends the rest.
      detached: true,
    });
    this.#lifeline = child.stdio[3] as Duplex;
    this.exited = endOf(child).finally(() => this.kill());
    child.once("exit", () => this.kill());
    this.ready = this.#follow(child.stdio[1] as Readable, child.stdio[2] as Readable, launch.print);
  }

  /** At once, and whatever it is doing. */
  kill(): void {
    this.#lifeline.destroy();
  }

  #follow(stdout: Readable, stderr: Readable, print: Launch["print"]): Promise<number> {
    onLine(stderr, (line) => {
      this.ranOutOfMemory ||= OUT_OF_MEMORY.test(line);
      if (!this.ranOutOfMemory) print(line, "stderr");
    });
    const ready = new Promise<number>((resolve, reject) => {
      let isListening = false;
      onLine(stdout, (line) => {
        const port = isListening ? undefined : READY.exec(line)?.[1];
        if (port === undefined) return print(line, "stdout");
        isListening = true;
        resolve(Number(port));
      });
      void this.exited.then((how) => reject(new Error(how)));
    });
    // Whoever calls is told. When nobody does, there is nobody to tell.
    ready.catch(() => {});
    return ready;
  }
}

function argumentsFor(launch: Launch): string[] {
  return [
    "run",
    "--allow-all",
    // Packages come from the node_modules that npm installed, and nothing is ever downloaded.
    "--node-modules-dir=manual",
    "--cached-only",
    "--no-lock",
    ...configurationFlags(launch.importMap),
    `--v8-flags=--max-old-space-size=${launch.memoryMb}`,
    BOOT,
    pathToFileURL(launch.entrypoint).href,
    ...HIDDEN,
  ];
}

function configurationFlags(importMap: string | undefined): string[] {
  if (importMap === undefined) return ["--no-config"];
  return /deno\.jsonc?$/.test(importMap) ? ["--config", importMap] : ["--no-config", "--import-map", importMap];
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once(
      "close",
      (code, signal) => resolve(signal === null ? `exited with code ${code}` : `was ended by ${signal}`),
    );
  });
}

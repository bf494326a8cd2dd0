import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECRET_KEY } from "../../local/keys.ts";
import { launch } from "../../tests/support/launch.ts";
import { processOfFunction, processorSeconds } from "./processor-time.ts";

export interface RunningStack {
  /** Calls a function as a machine does, and gives its answer. */
  call(name: string, body: unknown): Promise<unknown>;
  /** The processor time of a function that has been called, so far. */
  processorSeconds(name: string): number;
  stop(): Promise<void>;
}

/** The very program of `npm start` on a database, with nothing of an earlier run. */
export async function startStackOn(databaseUrl: string, environment: NodeJS.ProcessEnv): Promise<RunningStack> {
  const data = mkdtempSync(join(tmpdir(), "accord-bench-"));
  const stack = await launch(["--database-url", databaseUrl, "--no-seed", "--data", data], environment);
  return {
    call: async (name, body) => {
      const response = await fetch(`${stack.url}/functions/v1/${name}`, {
        method: "POST",
        headers: { apikey: SECRET_KEY, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      const answer = await response.text();
      if (!response.ok) throw new Error(`${name} answered ${response.status}: ${answer}\n${stack.output()}`);
      return JSON.parse(answer) as unknown;
    },
    processorSeconds: (name) => processorSeconds(processOfFunction(stack.process.pid ?? 0, name)),
    stop: async () => {
      await stack.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

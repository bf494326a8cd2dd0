import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../tests/support/provider/main.ts", import.meta.url));

export interface ProviderProcess {
  /** What points the functions to it. */
  environment: { OPENAI_BASE_URL: string; OPENAI_API_KEY: string };
  requests(): Promise<number>;
  stop(): Promise<void>;
}

/** The tests' embeddings provider as a process of its own, so that its work is not counted as the benchmark's. */
export async function startProviderProcess(latencyMs: number): Promise<ProviderProcess> {
  const child = fork(MAIN, ["--latency", `${latencyMs}`], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [{ baseUrl, key }] = await once(child, "message") as [{ baseUrl: string; key: string }];
  return {
    environment: { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: key },
    requests: async () => {
      const response = await fetch(new URL("/totals", baseUrl));
      return (await response.json() as { requests: number }).requests;
    },
    stop: async () => {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
    },
  };
}

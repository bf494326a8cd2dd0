import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { locateDeno } from "../../../../local/functions/deno-binary.ts";
import { type Fault, faults } from "../../../support/provider/faults.ts";
import { type Provider, startProvider } from "../../../support/provider/provider.ts";

const PROJECT = fileURLToPath(new URL("../../../../", import.meta.url));
const SCRIPT = fileURLToPath(new URL("on-deno.ts", import.meta.url));
/** Deno opens the files of npm packages, and asks the environment for what the client may be configured with. */
const FLAGS = ["run", "--node-modules-dir=manual", "--no-lock", "--allow-read", "--allow-env", "--allow-net=127.0.0.1"];

let provider: Provider;

beforeEach(async () => {
  provider = await startProvider();
});
afterEach(() => provider.close());

async function embedOn(version: "deno" | "deno-edge", ...coming: Fault[]): Promise<string[]> {
  provider.failNext(...coming);
  const args = [...FLAGS, SCRIPT, provider.baseUrl, provider.key, `${Math.max(1, coming.length)}`];
  const { stdout } = await promisify(execFile)(locateDeno(version), args, { cwd: PROJECT });
  return stdout.trim().split("\n");
}

describe.each(["deno", "deno-edge"] as const)("on %s", (version) => {
  it("texts get their vectors", async () => {
    expect(await embedOn(version)).toEqual(["2 vectors of 1536, 8 tokens"]);
  });

  it("every failure is told by the same name as on Node", async () => {
    const told = await embedOn(
      version,
      faults.rateLimited({ "retry-after": "2" }),
      faults.quotaExhausted(),
      faults.status(401),
      faults.status(503),
      faults.status(400),
      faults.silent(),
      faults.stalled(),
      faults.cut(),
      faults.brokenJson(),
      faults.fewerVectors(),
      faults.wrongDimensions(),
      faults.notFinite(),
    );
    expect(told).toEqual([
      "rate_limited 2000",
      "quota_exhausted",
      "unauthorized",
      "unavailable",
      "input_rejected",
      "timed_out",
      "timed_out",
      "connection_failed",
      "bad_response",
      "bad_response",
      "bad_response",
      "unusable_vector",
    ]);
    expect(provider.requests).toHaveLength(told.length);
  });
});

import { z } from "zod";
import type { Rpc } from "./rpc.ts";
import { sha256 } from "./sha256.ts";

const Check = z.object({ name: z.string(), ok: z.boolean(), detail: z.string(), mend: z.string().nullable() });

/** One thing that must be in place; `mend` says what to do when it is not. */
export type Check = z.infer<typeof Check>;

export const Health = z.object({ ok: z.boolean(), checks: z.array(Check) });

export type Health = z.infer<typeof Health>;

/** Everything that must be in place, as database and function see it. Names no secret. */
export async function readHealth(
  { rpc, secretKeys }: { rpc: Rpc; secretKeys: Record<string, string> },
): Promise<Health> {
  // Enough to compare two keys, useless to whoever reads it.
  const fingerprints = Object.fromEntries(
    await Promise.all(Object.entries(secretKeys).map(async ([name, key]) => [name, await sha256(key)] as const)),
  );
  const checks = z.array(Check).parse(await rpc("health_checks", { key_fingerprints: fingerprints }));
  checks.push(keyOfMachines(secretKeys));
  return { ok: checks.every(({ ok }) => ok), checks };
}

function keyOfMachines(secretKeys: Record<string, string>): Check {
  const names = Object.keys(secretKeys);
  return {
    name: "key for machines",
    ok: names.length > 0,
    detail: "automations" in secretKeys
      ? "the secret key named automations"
      : names.length > 0
      ? "the default secret key; one named automations could be rotated by itself"
      : "this project has no secret key",
    mend: names.length > 0 ? null : "Make a secret key named automations under Project Settings, API Keys.",
  };
}

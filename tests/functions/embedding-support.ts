import type { SupabaseClient } from "@supabase/supabase-js";
import { expect, vi } from "vitest";
import { SECRET_KEY } from "../../local/keys.ts";
import type { DrainReport } from "../../shared/embeddings/report.ts";
import type { SearchAnswer } from "../../shared/search/search.ts";
import { connectClient } from "../support/client.ts";
import type { Launched } from "../support/launch.ts";
import { launchOwnStack } from "../support/own-stack.ts";
import { type Provider, startProvider } from "../support/provider/provider.ts";

export interface House {
  stack: Launched;
  provider: Provider;
  client: SupabaseClient;
  /** One run of the worker. */
  process(body?: Record<string, unknown>): Promise<DrainReport>;
  /** Runs of the worker until nothing is due. */
  settle(timeoutMs?: number): Promise<void>;
  /** The texts found, best first. */
  find(query: string): Promise<string[]>;
  close(): Promise<void>;
}

/** A stack whose embedder is the official client, on a provider of this machine that can misbehave. */
export async function openHouse(): Promise<House> {
  const provider = await startProvider();
  // Short vectors: PGlite takes a long time to put long ones into their index, and nothing here depends on it.
  const stack = await launchOwnStack({
    OPENAI_API_KEY: provider.key,
    OPENAI_BASE_URL: provider.baseUrl,
    ACCORD_DIMENSIONS: "128",
  });
  const client = connectClient(stack.url, SECRET_KEY);
  const invoke = async <Answer>(name: string, body: Record<string, unknown>): Promise<Answer> => {
    const { data, error } = await client.functions.invoke<Answer>(name, { body });
    if (error !== null) throw new Error(await error.context?.text?.() ?? error.message, { cause: error });
    return data as Answer;
  };
  const house: House = {
    stack,
    provider,
    client,
    process: (body = {}) => invoke("process-embedding-queue", { action: "process", ...body }),
    settle: async (timeoutMs = 60_000) => {
      await vi.waitUntil(async () => {
        await house.process();
        const { count } = await client.from("embedding_sync_queue").select("*", { count: "exact", head: true })
          .in("status", ["pending", "processing"]);
        return count === 0;
      }, { timeout: timeoutMs, interval: 20 });
    },
    find: async (query) =>
      (await invoke<SearchAnswer>("search", { query, limit: 5 })).results
        .filter(({ score }) => score > 0.99)
        .map(({ content }) => content),
    close: async () => {
      await stack.stop();
      await provider.close();
    },
  };
  await settings(house, { embedding_retry_seconds: 0, embedding_wake: "manual" });
  await house.settle();
  return house;
}

export async function settings({ client }: House, values: Record<string, unknown>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const { error } = await client.rpc("set_setting", { name, value });
    expect(error).toBeNull();
  }
}

/** What must hold at any time when nothing is due, by the data itself. */
export async function expectAgreement({ client }: House): Promise<void> {
  const { data, error } = await client.rpc("verify_embeddings");
  expect(error).toBeNull();
  expect(data).toEqual([]);
}

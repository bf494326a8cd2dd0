import { describe, expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { stack } from "../support/stack.ts";

async function ask(body: string, headers: Record<string, string> = { apikey: stack().secretKey }) {
  const response = await fetch(`${stack().url}/functions/v1/process-embedding-queue`, {
    method: "POST",
    headers,
    body,
  });
  return { status: response.status, body: await response.json() as { error?: { code: string; message: string } } };
}

describe("the worker refuses, and changes nothing", () => {
  it.each([
    [
      '{"action":"explode"}',
      "action: must be one of process, resync, retry, status, cleanup, check, prepare, not explode",
    ],
    ['{"action":"process","batchSize":0}', "batchSize: must be at least 1, not 0"],
    ['{"action":"process","batchSize":10000}', "batchSize: must be at most 500, not 10000"],
    ['{"action":"process","batchsize":10}', 'body: Unrecognized key: "batchsize"'],
    ["process", "The body is not JSON: process"],
    ["", "action: must be one of process, resync, retry, status, cleanup, check, prepare, not nothing"],
    ['{"action":"resync","forceResync":"nowhere"}', 'resync_embeddings: Table "nowhere" is not registered'],
    ['{"action":"retry","sourceTable":"nowhere"}', 'retry_failed_embeddings: Table "nowhere" is not registered'],
  ])("%s, with what was wrong and what would do", async (body, message) => {
    const { status, body: answer } = await ask(body);
    expect(status).toBe(400);
    expect(answer.error?.message).toBe(message);
  });

  it("whoever is not staff", async () => {
    const visitor = connectClient(stack().url, stack().publishableKey);
    const { data } = await visitor.auth.signInWithPassword({ email: "claire@accord.test", password: "accord-dev" });
    const status = '{"action":"status"}';
    expect((await ask(status, { apikey: stack().publishableKey })).status).toBe(401);
    expect((await ask(status, { apikey: "sb_secret_wrong" })).status).toBe(401);
    expect((await ask(status, { authorization: `Bearer ${data.session?.access_token}` })).status).toBe(403);
  });
});

it("an administrator may have it look at everything again", async () => {
  const client = connectClient(stack().url, stack().publishableKey);
  await client.auth.signInWithPassword({ email: "admin@accord.test", password: "accord-dev" });
  const { data, error } = await client.functions.invoke("process-embedding-queue", {
    body: { action: "resync", forceResync: "documents" },
  });
  expect(error).toBeNull();
  expect(data).toEqual({ enqueued: expect.any(Number) });
});

it("a visitor's search finds what is public, and nothing of a client's or an owner's", async () => {
  const seen = async (email?: string) => {
    const client = connectClient(stack().url, stack().publishableKey);
    if (email !== undefined) await client.auth.signInWithPassword({ email, password: "accord-dev" });
    const { data } = await client.functions.invoke("search", {
      body: { query: "Contrat du Conservatoire de Lyon", limit: 20, sources: ["documents"] },
    });
    // A row of several chunks may be found by each.
    return [...new Set((data.results as { row: { title: string } }[]).map(({ row }) => row.title))].sort();
  };
  const publicTitles = ["Guide d'entretien saisonnier", "Warranty terms"];
  await expect.poll(() => seen(), { timeout: 20_000 }).toEqual(publicTitles);
  expect(await seen("claire@accord.test")).toEqual(
    ["Contrat du Conservatoire de Lyon", ...publicTitles, "Notes personnelles de Claire"].sort(),
  );
  expect(await seen("marc@accord.test")).toEqual([...publicTitles, "Relevé de l'Hôtel Bellevue"].sort());
  expect(await seen("admin@accord.test")).toHaveLength(5);
});

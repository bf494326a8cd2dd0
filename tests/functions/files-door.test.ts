import { describe, expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { stack } from "../support/stack.ts";

async function ask(body: string, headers: Record<string, string> = { apikey: stack().secretKey }) {
  const response = await fetch(`${stack().url}/functions/v1/process-files-queue`, { method: "POST", headers, body });
  return { status: response.status, body: await response.json() as { error?: { code: string; message: string } } };
}

describe("the worker of files refuses, and changes nothing", () => {
  it.each([
    ['{"action":"explode"}', "action: must be one of process, retry, status, cleanup, not explode"],
    ['{"action":"process","batchSize":0}', "batchSize: must be at least 1, not 0"],
    ['{"action":"process","batchSize":101}', "batchSize: must be at most 100, not 101"],
    ['{"action":"process","lingerMs":70000}', "lingerMs: must be at most 60000, not 70000"],
    ['{"action":"process","batchsize":10}', 'body: Unrecognized key: "batchsize"'],
    ["process", "The body is not JSON: process"],
    ["", "action: must be one of process, retry, status, cleanup, not nothing"],
  ])("%s, with what was wrong and what would do", async (body, message) => {
    const { status, body: answer } = await ask(body);
    expect(status).toBe(400);
    expect(answer.error?.message).toBe(message);
  });

  it("whoever is not staff", async () => {
    const visitor = connectClient(stack().url, stack().publishableKey);
    const { data } = await visitor.auth.signInWithPassword({ email: "claire@accord.test", password: "accord-dev" });
    const status = '{"action":"status"}';
    expect((await ask(status, {})).status).toBe(401);
    expect((await ask(status, { apikey: stack().publishableKey })).status).toBe(401);
    expect((await ask(status, { apikey: "sb_secret_wrong" })).status).toBe(401);
    expect((await ask(status, { authorization: `Bearer ${data.session?.access_token}` })).status).toBe(403);
  });
});

it("the worker of files tells machines and administrators how far each bucket is", async () => {
  const buckets = expect.arrayContaining([expect.objectContaining({ bucket_id: "documents", failed: 0 })]) as unknown;
  expect(await ask('{"action":"status"}')).toEqual({ status: 200, body: { buckets } });
  const admin = connectClient(stack().url, stack().publishableKey);
  await admin.auth.signInWithPassword({ email: "admin@accord.test", password: "accord-dev" });
  const { data, error } = await admin.functions.invoke("process-files-queue", { body: { action: "status" } });
  expect(error).toBeNull();
  expect(data).toEqual({ buckets });
});

it("the worker of files retries and clears away nothing where there is nothing", async () => {
  expect(await ask('{"action":"retry","bucketId":"documents"}')).toEqual({ status: 200, body: { retried: 0 } });
  expect(await ask('{"action":"cleanup"}')).toEqual({ status: 200, body: { removed: 0 } });
});

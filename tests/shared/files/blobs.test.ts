import { describe, expect, it } from "vitest";
import { blobStore } from "../../../shared/files/blobs.ts";
import { noRealtime } from "../../support/client.ts";
import { createClient } from "@supabase/supabase-js";

interface Asked {
  urls: string[];
}

/** supabase-js itself, over answers of our own making. */
function storeOver(
  answer: (path: string, signal?: AbortSignal | null) => Response | Promise<Response>,
  timeoutMs?: number,
) {
  const asked: Asked = { urls: [] };
  const client = createClient("http://storage.test", "sb_secret_none", {
    ...noRealtime,
    global: {
      fetch: async (input, init) => {
        const { pathname, search } = new URL(String(input instanceof Request ? input.url : input));
        const path = `${pathname}${search}`.replace("/storage/v1", "");
        asked.urls.push(path);
        return await answer(path, init?.signal);
      },
    },
  });
  return { ...blobStore(client.storage, timeoutMs), asked };
}

const refusal = (status: number, body: unknown) => Response.json(body, { status });
const SIZE = { expected: 4, limit: 10 };
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A body that comes in pieces; an error in their place breaks the connection. */
function pieces(...chunks: (string | Error)[]): Response {
  return new Response(
    new ReadableStream({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else if (chunk instanceof Error) controller.error(chunk);
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
    }),
  );
}

describe("an object's bytes", () => {
  it.each([
    ["as many as its row says", ["ab", "cd"]],
    ["fewer", ["ab"]],
    ["more, up to the limit", ["abcd", "efgh", "ij"]],
    ["none", []],
  ])("are given whole: %s", async (_, chunks) => {
    const download = await storeOver(() => pieces(...chunks)).download("shelf", "a.txt", SIZE);
    expect(download.outcome).toBe("bytes");
    if (download.outcome !== "bytes") return;
    expect(text(download.bytes)).toBe(chunks.join(""));
    expect(download.bytes.buffer.byteLength).toBe(download.bytes.length);
  });

  it("are not taken in beyond the limit, whatever its row says", async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        sent++;
        controller.enqueue(new Uint8Array(4));
      },
    });
    expect(await storeOver(() => new Response(endless)).download("shelf", "a.txt", SIZE)).toEqual({
      outcome: "too_large",
    });
    expect(sent).toBeLessThan(10);
  });

  it.each([
    ["a.txt", "/object/shelf/a.txt"],
    ["two words/a?b.txt", "/object/shelf/two%20words/a%3Fb.txt"],
    ["/leading", "/object/shelf/%2Fleading"],
    ["//twice", "/object/shelf/%2F%2Ftwice"],
    ["a+b&c=d;e@f", "/object/shelf/a%2Bb%26c%3Dd%3Be%40f"],
    ["a//b", "/object/shelf/a//b"],
  ])("are asked for by the very path %s", async (path, url) => {
    const store = storeOver(() => pieces("a"));
    await store.download("shelf", path, SIZE);
    expect(store.asked.urls).toEqual([url]);
  });

  it.each([
    ["shelf", "u1/../../private/secret.pdf"],
    ["shelf", "u1/../../../../../auth/v1/admin/users"],
    ["shelf", "../a.txt"],
    ["shelf", "a/./b.txt"],
    ["shelf", "a/.."],
    ["..", "a.txt"],
  ])("are not asked for where the URL would lead elsewhere: %s, %s", async (bucket, path) => {
    const store = storeOver(() => pieces("the secret of somebody else"));
    expect(await store.download(bucket, path, SIZE)).toEqual({ outcome: "unnameable" });
    expect(store.asked.urls).toEqual([]);
  });

  it.each(["a..b/c.txt", "...", ".hidden/..x"])("are asked for where dots are part of a name: %s", async (path) => {
    const store = storeOver(() => pieces("a"));
    expect(await store.download("shelf", path, SIZE)).toMatchObject({ outcome: "bytes" });
  });

  it("are asked for in the very bucket", async () => {
    const store = storeOver(() => pieces("a"));
    await store.download("my shelf?", "a", SIZE);
    expect(store.asked.urls).toEqual(["/object/my%20shelf%3F/a"]);
  });
});

describe("what the storage says when it gives none", () => {
  it.each([
    ["no such object", 400, { statusCode: "404", error: "not_found", message: "Object not found" }],
    ["no such bucket", 400, { statusCode: "404", error: "Bucket not found", message: "Bucket not found" }],
    ["lost bytes, where blobs are in S3", 400, {
      statusCode: "404",
      code: "NoSuchKey",
      message: "The key does not exist",
    }],
    ["lost bytes, by the code alone", 400, { code: "NoSuchKey", message: "The key does not exist" }],
    ["404 without a body that says anything", 404, {}],
  ])("%s: it is missing", async (_, status, body) => {
    expect(await storeOver(() => refusal(status, body)).download("shelf", "a", SIZE)).toEqual({ outcome: "missing" });
  });

  const internal = { statusCode: "500", error: "Internal", message: "Internal Server Error" };

  it("an error while its row is there: it may be this file or the storage", async () => {
    const store = storeOver((path) => path.includes("/info/") ? Response.json({ name: "a" }) : refusal(500, internal));
    expect(await store.download("shelf", "a", SIZE)).toEqual({
      outcome: "broken",
      reason: "500 Internal Server Error",
    });
  });

  it("an error, and then that there is no such row", async () => {
    const store = storeOver((path) =>
      path.includes("/info/")
        ? refusal(400, { statusCode: "404", message: "Object not found" })
        : refusal(500, internal)
    );
    expect(await store.download("shelf", "a", SIZE)).toEqual({ outcome: "missing" });
  });

  it("a connection that breaks in the middle", async () => {
    expect(await storeOver(() => pieces("ab", new Error("reset"))).download("shelf", "a", SIZE)).toEqual({
      outcome: "broken",
      reason: "reset",
    });
  });

  it("that it does not take such a path", async () => {
    const store = storeOver(() => refusal(400, { statusCode: "400", error: "InvalidKey", message: "Invalid key: é" }));
    expect(await store.download("shelf", "é", SIZE)).toEqual({ outcome: "refused", reason: "400 Invalid key: é" });
  });

  it.each([
    ["500 for everything", () => refusal(500, internal)],
    ["503", () => refusal(503, { message: "Service Unavailable" })],
    ["504 in the body alone", () => refusal(400, { statusCode: "504", message: "took too long" })],
    ["544", () => refusal(544, { statusCode: "544", message: "The connection to the database timed out" })],
    ["429", () => refusal(400, { statusCode: "429", message: "Too many requests" })],
    ["a key that is not taken", () => refusal(400, { statusCode: "403", message: "signature verification failed" })],
    ["a web page of a proxy", () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
    ["nothing", () => Promise.reject(new TypeError("fetch failed"))],
  ])("%s: the storage is out of order", async (_, answer) => {
    await expect(storeOver(answer).download("shelf", "a", SIZE)).rejects.toMatchObject({
      name: "StorageUnavailableError",
      code: "storage_unavailable",
      status: 503,
    });
  });

  it("nothing for so long that nobody waits: the storage is out of order", async () => {
    const store = storeOver((_path, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason as Error));
      }), 5);
    await expect(store.download("shelf", "a", SIZE)).rejects.toMatchObject({ code: "storage_unavailable" });
  });

  it("a part of it, and then nothing for so long: it may be this file or the storage", async () => {
    const store = storeOver((_path, signal) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array(2));
            signal?.addEventListener("abort", () => controller.error(signal.reason));
          },
        }),
      ), 5);
    expect(await store.download("shelf", "a", SIZE)).toMatchObject({ outcome: "broken" });
  });
});

import process from "node:process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Embedder } from "../../../../shared/embeddings/embedder.ts";
import { openAiEmbedder, type OpenAiSettings } from "../../../../shared/embeddings/embedders/openai.ts";
import { ProviderError } from "../../../../shared/embeddings/provider-error.ts";
import { vectorOfText } from "../../../support/provider/embedding.ts";
import { type Fault, faults } from "../../../support/provider/faults.ts";
import { type Provider, startProvider } from "../../../support/provider/provider.ts";

let provider: Provider;

beforeEach(async () => {
  provider = await startProvider();
});
afterEach(() => provider.close());

function embedderOf(settings: Partial<OpenAiSettings> = {}): Embedder {
  return openAiEmbedder({
    apiKey: provider.key,
    baseUrl: provider.baseUrl,
    model: "text-embedding-3-small",
    dimensions: 1536,
    fetch,
    ...settings,
  });
}

/** The error that a promise is rejected with, which must be one of the provider's. */
async function errorOf(promise: Promise<unknown>): Promise<ProviderError> {
  const error: unknown = await promise.then(() => "it went well", (reason: unknown) => reason);
  if (error instanceof ProviderError) return error;
  throw new Error(`Not a failure of the provider: ${String(error)}`);
}

function expectSame(vector: Float32Array | undefined, text: string, dimensions = 1536): void {
  const expected = vectorOfText(text, dimensions);
  expect(vector).toHaveLength(dimensions);
  expect(vector?.every((number, i) => Math.abs(number - (expected[i] ?? 0)) < 1e-6)).toBe(true);
}

describe("texts", () => {
  it("get their vectors, in their order, for what they cost", async () => {
    const { vectors, ...usage } = await embedderOf().embed(["where is my invoice", "where is my parcel"]);
    expectSame(vectors[0], "where is my invoice");
    expectSame(vectors[1], "where is my parcel");
    expect(usage).toEqual({ requests: 1, tokens: 12, costUsd: 12 * 0.02 / 1_000_000 });
    expect(provider.totals()).toEqual({ requests: 1, inputs: 2, tokens: 12 });
  });

  it("get their own vectors from a provider that answers in another order", async () => {
    provider.failNext(faults.backwards());
    const { vectors } = await embedderOf().embed(["one", "two", "three"]);
    ["one", "two", "three"].forEach((text, i) => expectSame(vectors[i], text));
  });

  it("get the same vectors from a server that answers with numbers in place of base64", async () => {
    provider.failNext(faults.numbers());
    const { vectors: [vector] } = await embedderOf().embed(["one"]);
    expectSame(vector, "one");
  });

  it("are counted here where the server does not count them", async () => {
    provider.failNext(faults.withoutUsage());
    const embedder = embedderOf();
    const { tokens } = await embedder.embed(["how many is this"]);
    expect(tokens).toBe(embedder.countTokens("how many is this"));
  });

  it("get vectors of any length that the model can give", async () => {
    const { vectors: [vector] } = await embedderOf({ dimensions: 256 }).embed(["short"]);
    expectSame(vector, "short", 256);
  });

  it("go to models of other servers, of which no price is known and no length asked for", async () => {
    const embedder = embedderOf({ model: "sentence-encoder", dimensions: 768 });
    const { vectors: [vector], costUsd } = await embedder.embed(["elsewhere"]);
    expectSame(vector, "elsewhere", 768);
    expect(costUsd).toBe(0);
    expect(embedder.profile.name).toBe("openai:sentence-encoder:768");
  });

  it("fill a request of the embedder's own limits without touching the provider's", async () => {
    const embedder = embedderOf();
    const { inputsPerRequest, tokensPerRequest, tokensPerInput } = embedder.limits;
    let long = "a ";
    while (embedder.countTokens(long + long) <= tokensPerInput) long += long;
    const texts = Array.from({ length: inputsPerRequest }, (_, i) => `${i}`);
    for (let i = 0; (i + 1) * tokensPerInput < tokensPerRequest; i++) texts[i] = `${i} ${long}`;
    expect((await embedder.embed(texts)).vectors).toHaveLength(inputsPerRequest);
  });
});

describe("a question", () => {
  it("gets its one vector", async () => {
    const { vector, requests, tokens } = await embedderOf().embedQuery("where is it");
    expectSame(vector, "where is it");
    expect({ requests, tokens }).toEqual({ requests: 1, tokens: 4 });
  });
});

describe("a failure of the provider", () => {
  const cases: [string, Fault, ProviderError["code"]][] = [
    ["429 is a limit that passes", faults.rateLimited(), "rate_limited"],
    ["429 without credit is no limit that passes", faults.quotaExhausted(), "quota_exhausted"],
    ["402 is missing credit", faults.status(402), "quota_exhausted"],
    ["401 is the key", faults.status(401), "unauthorized"],
    ["403 is the key", faults.status(403), "unauthorized"],
    ["500 is a provider that is down", faults.status(500), "unavailable"],
    ["503 is a provider that is down", faults.status(503), "unavailable"],
    ["404 is the settings", faults.status(404), "misconfigured"],
    ["a connection cut in the middle of the body", faults.cut(), "connection_failed"],
    ["a body that is no JSON", faults.brokenJson(), "bad_response"],
    ["a web page in place of an answer", faults.webPage(), "bad_response"],
    ["fewer vectors than texts", faults.fewerVectors(), "bad_response"],
    ["vectors of another length", faults.wrongDimensions(), "bad_response"],
    ["one index for two vectors", faults.sameIndexTwice(), "bad_response"],
  ];

  it.each(cases)("%s, and is not asked again", async (_, fault, code) => {
    provider.failNext(fault);
    const error = await errorOf(embedderOf().embed(["one", "two"]));
    expect(error).toMatchObject({ code, scope: "provider" });
    expect(error.message).toContain("text-embedding-3-small at 127.0.0.1");
    expect(provider.requests).toHaveLength(1);
  });

  it("says how long it lasts, if the provider does", async () => {
    provider.failNext(
      faults.rateLimited({ "retry-after": "20" }),
      faults.rateLimited({ "retry-after-ms": "1500", "retry-after": "20" }),
      faults.rateLimited({ "retry-after": new Date(Date.now() + 3_600_000).toUTCString() }),
      faults.rateLimited(),
    );
    const waits: (number | null)[] = [];
    for (let i = 0; i < 4; i++) waits.push((await errorOf(embedderOf().embed(["one"]))).retryAfterMs);
    expect(waits).toEqual([20_000, 1_500, expect.closeTo(3_600_000, -4), null]);
  });

  it.each([["an answer that never comes", faults.silent()], ["a body that stops half-way", faults.stalled()]])(
    "is also %s: after the time-out it is given up",
    async (_, fault) => {
      provider.failNext(fault);
      const error = await errorOf(embedderOf({ timeoutMs: 100 }).embed(["one"]));
      expect(error).toMatchObject({ code: "timed_out", scope: "provider" });
      expect(error.message).toContain("within 100 ms");
    },
  );

  it("is not a body that is merely slow", async () => {
    provider.failNext(faults.slow(50));
    expect((await embedderOf().embed(["one"])).vectors).toHaveLength(1);
  });

  it("is nobody at the address, which the message names", async () => {
    await provider.close();
    const error = await errorOf(embedderOf().embed(["one"]));
    expect(error).toMatchObject({ code: "connection_failed", scope: "provider" });
    expect(error.message).toMatch(/127\.0\.0\.1.*ECONNREFUSED/);
    provider = await startProvider();
  });

  it("is a model that it does not have", async () => {
    const error = await errorOf(embedderOf({ model: "text-embedding-9", dimensions: 8 }).embed(["one"]));
    expect(error).toMatchObject({ code: "misconfigured", scope: "provider" });
    expect(error.message).toContain("text-embedding-9");
  });

  it("never shows the key, nor the part of it that the provider shows", async () => {
    for (const apiKey of ["sk-proj-abcdefghijklmnop-QRST", "another-form-of-key-0123"]) {
      const error = await errorOf(embedderOf({ apiKey }).embed(["one"]));
      expect(error).toMatchObject({ code: "unauthorized", details: { status: 401, code: "invalid_api_key" } });
      const all = JSON.stringify([error.message, error.stack, error.details, String(error.cause)]);
      for (const part of [apiKey, apiKey.slice(0, 8), apiKey.slice(-4)]) expect(all).not.toContain(part);
    }
    provider.failNext({ kind: "refused", status: 500, code: null, message: `Upstream refused ${provider.key}!` });
    expect((await errorOf(embedderOf().embed(["one"]))).message).toContain("Upstream refused (the key)!");
  });
});

describe("a text that cannot be embedded", () => {
  it.each([
    ["it is empty", ""],
    ["it is longer than the model reads", "word ".repeat(8_193)],
    ["the provider does not like it", "☠"],
  ])("because %s is the fault of the input", async (_, text) => {
    expect(await errorOf(embedderOf().embed(["fine", text]))).toMatchObject({ code: "input_rejected", scope: "input" });
  });

  it.each([faults.zeros(), faults.notFinite()])(
    "because its vector says nothing is the fault of the input",
    async (fault) => {
      provider.failNext(fault);
      expect(await errorOf(embedderOf().embed(["odd"]))).toMatchObject({ code: "unusable_vector", scope: "input" });
    },
  );

  it.each([413, 422])("is one that is answered with %s", async (status) => {
    provider.failNext(faults.status(status));
    expect(await errorOf(embedderOf().embed(["odd"]))).toMatchObject({ code: "input_rejected", scope: "input" });
  });

  it("is not repeated at length in the error", async () => {
    provider.failNext({ kind: "refused", status: 400, code: null, message: `Bad input: ${"x".repeat(100_000)}` });
    expect((await errorOf(embedderOf().embed(["odd"]))).message.length).toBeLessThan(500);
  });
});

describe("a request that is no longer wanted", () => {
  it("is cancelled, with the reason for it", async () => {
    const held = provider.holdNext();
    const controller = new AbortController();
    const embedded = embedderOf().embed(["one"], { signal: controller.signal });
    await held.arrived;
    controller.abort(new Error("the run is over"));
    await expect(embedded).rejects.toThrow("the run is over");
    held.release();
  });

  it("is not sent when that was known before", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(embedderOf().embed(["one"], { signal })).rejects.toThrow("too late");
    expect(provider.requests).toHaveLength(0);
  });
});

it("knows nothing of the environment but what it is given", async () => {
  const environment = { ...process.env };
  Object.assign(process.env, {
    OPENAI_API_KEY: "sk-wrong",
    OPENAI_BASE_URL: "http://127.0.0.1:9",
    OPENAI_LOG: "debug",
  });
  try {
    expect((await embedderOf().embed(["one"])).vectors).toHaveLength(1);
  } finally {
    process.env = environment;
  }
});

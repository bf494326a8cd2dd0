import { describe, expect, it } from "vitest";
import { embedAll, HARMLESS_TEXT } from "../../../shared/embeddings/embed-all.ts";
import { openAiEmbedder } from "../../../shared/embeddings/embedders/openai.ts";
import { ProviderError } from "../../../shared/embeddings/provider-error.ts";
import { faults } from "../../support/provider/faults.ts";
import { startProvider } from "../../support/provider/provider.ts";
import { fakeEmbedder, randomNumbers, refusing } from "./fake-embedder.ts";

const down = () => new ProviderError("unavailable", "down", { retryAfterMs: 5_000 });

/** So many texts, each of another length, so that its vector tells it from the others. */
const texts = (count: number) => Array.from({ length: count }, (_, i) => `${"x".repeat(i)}.`);

describe("texts that are embedded together", () => {
  it("each get their own vector, in the fewest requests, within the limit of requests at once", async () => {
    const embedder = fakeEmbedder();
    const { vectors, rejected, failure, usage } = await embedAll(embedder, texts(45));
    expect([...vectors].every(([index, vector]) => vector[0] === index + 1)).toBe(true);
    expect([vectors.size, rejected.size, failure]).toEqual([45, 0, null]);
    expect(usage).toEqual({ requests: 5, tokens: 1_035, costUsd: 1_035 / 8 });
    expect(embedder.mostAtOnce).toBe(3);
  });

  it("are asked for once where they are the same, and each has the vector", async () => {
    const embedder = fakeEmbedder();
    const { vectors } = await embedAll(embedder, ["same", "other one", "same", "same"]);
    expect(embedder.requests).toEqual([["same", "other one"]]);
    expect([0, 1, 2, 3].map((index) => vectors.get(index)?.[0])).toEqual([4, 9, 4, 4]);
  });

  it("may be none: nothing is asked", async () => {
    const embedder = fakeEmbedder();
    expect((await embedAll(embedder, [])).usage.requests).toBe(0);
    expect(embedder.requests).toEqual([]);
  });
});

describe("a text that the provider refuses", () => {
  it("is found among the others, which keep their vectors", async () => {
    const limits = { inputsPerRequest: 64, tokensPerRequest: 10_000 };
    const embedder = fakeEmbedder({ limits, meet: refusing((text) => text.length === 38) });
    const { vectors, rejected, failure } = await embedAll(embedder, texts(64));
    expect([...rejected.keys()]).toEqual([37]);
    expect(rejected.get(37)).toMatchObject({ code: "input_rejected", message: `cannot take ${texts(64)[37]}` });
    expect(vectors.size).toBe(63);
    expect(failure).toBeNull();
    // One for all, one to see whether it takes anything, then two for each of six halvings.
    expect(embedder.requests).toHaveLength(2 + 2 * 6);
  });

  it("is one of any number, wherever they are and however many requests there are", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomNumbers(seed);
      const all = texts(1 + Math.floor(random() * 60));
      const poison = new Set(all.filter(() => random() < 0.15));
      const limits = {
        inputsPerRequest: 1 + Math.floor(random() * 30),
        tokensPerRequest: 60 + Math.floor(random() * 600),
        concurrentRequests: 1 + Math.floor(random() * 4),
      };
      const embedder = fakeEmbedder({ limits, meet: refusing((text) => poison.has(text)) });
      const { vectors, rejected, failure } = await embedAll(embedder, all);
      const seen = { seed, refused: [...rejected.keys()].sort((a, b) => a - b), failure, vectors: vectors.size };
      const refused = all.flatMap((text, index) => poison.has(text) ? [index] : []);
      expect(seen).toEqual({ seed, refused, failure: null, vectors: all.length - poison.size });
      expect([...vectors].every(([index, vector]) => vector[0] === index + 1)).toBe(true);
      expect(embedder.mostAtOnce).toBeLessThanOrEqual(limits.concurrentRequests);
    }
  });

  it("is refused for each row that has it", async () => {
    const embedder = fakeEmbedder({ meet: refusing((text) => text === "bad") });
    const { rejected } = await embedAll(embedder, ["bad", "good", "bad"]);
    expect([...rejected.keys()]).toEqual([0, 2]);
  });

  it("is not to blame where everything is refused: the settings are, after two requests and without a charge", async () => {
    const embedder = fakeEmbedder({ limits: { concurrentRequests: 1 }, meet: refusing(() => true) });
    const { vectors, rejected, failure } = await embedAll(embedder, texts(50));
    expect([vectors.size, rejected.size]).toEqual([0, 0]);
    expect(failure).toMatchObject({ code: "misconfigured", scope: "provider" });
    expect(failure?.message).toContain("ACCORD_MODEL");
    expect(embedder.requests).toHaveLength(2);
  });

  it("is repeated in no failure of the provider as a whole, which leaves the house as an alert", async () => {
    const secret = "The patient of room 12 has been told of the findings of last Tuesday.";
    const repeats = (code: "input_rejected" | "unavailable") =>
      fakeEmbedder({
        limits: { concurrentRequests: 1 },
        meet: (asked) => {
          throw new ProviderError(code, `No: "${asked.join(" ").slice(0, 60)}", says the server.`);
        },
      });
    const { failure: misconfigured } = await embedAll(repeats("input_rejected"), [secret]);
    expect(misconfigured?.message).toContain('No: "ok", says the server. Harmless text is refused as well');
    const { failure: down } = await embedAll(repeats("unavailable"), [secret]);
    expect(down).toMatchObject({ code: "unavailable", message: 'No: "…", says the server.' });
  });

  it("is found by a real client too, and every good text is paid for once", async () => {
    const provider = await startProvider();
    try {
      const embedder = openAiEmbedder({
        apiKey: provider.key,
        baseUrl: provider.baseUrl,
        model: "text-embedding-3-small",
        dimensions: 256,
        fetch,
      });
      const rows = Array.from({ length: 300 }, (_, i) => `${i % 100 === 7 ? provider.poison : "row"} ${i}`);
      const { vectors, rejected, usage } = await embedAll(embedder, rows);
      expect([...rejected.keys()].sort((a, b) => a - b)).toEqual([7, 107, 207]);
      expect(vectors.size).toBe(297);
      expect(usage.tokens).toBe(provider.totals().tokens);
      expect(usage.requests).toBe(provider.totals().requests);
    } finally {
      await provider.close();
    }
  });
});

describe("a failure of the provider", () => {
  it("ends it: nothing new is asked, what succeeded is kept, and nothing is held against a text", async () => {
    const embedder = fakeEmbedder({
      limits: { concurrentRequests: 2 },
      meet: (batch) => {
        if (batch.length === 10 && batch[0] === texts(21)[20]) throw down();
      },
    });
    const { vectors, rejected, failure } = await embedAll(embedder, texts(100));
    expect(failure).toMatchObject({ code: "unavailable", retryAfterMs: 5_000 });
    // The third request fails while the fourth is under way, which is finished.
    expect(embedder.requests).toHaveLength(4);
    expect(vectors.size).toBe(30);
    expect(rejected.size).toBe(0);
  });

  it("in the search for a refused text is no refusal", async () => {
    let answered = 0;
    const embedder = fakeEmbedder({
      limits: { concurrentRequests: 1 },
      meet: (batch) => {
        if (++answered > 4) throw down();
        refusing((text) => text === ".")(batch);
      },
    });
    const { rejected, failure } = await embedAll(embedder, texts(10));
    expect(rejected.size).toBe(0);
    expect(failure).toMatchObject({ code: "unavailable" });
  });

  it("comes after an answer where a harmless text is embedded, though no text of these is", async () => {
    const refused = await embedAll(fakeEmbedder({ meet: refusing((text) => text !== HARMLESS_TEXT) }), ["one"]);
    expect(refused).toMatchObject({ failure: null, hasAnswered: true });
    expect(refused.rejected.size).toBe(1);
    const silent = await embedAll(
      fakeEmbedder({
        meet: () => {
          throw down();
        },
      }),
      ["one"],
    );
    expect(silent).toMatchObject({ failure: { code: "unavailable" }, hasAnswered: false });
  });

  it("that a harmless text meets as well is not the fault of a text", async () => {
    const provider = await startProvider();
    try {
      provider.failNext(faults.status(400), faults.status(401));
      const { key: apiKey, baseUrl } = provider;
      const embedder = openAiEmbedder({ apiKey, baseUrl, model: "text-embedding-3-small", dimensions: 8, fetch });
      const { rejected, failure } = await embedAll(embedder, ["one", "two"]);
      expect(rejected.size).toBe(0);
      expect(failure).toMatchObject({ code: "unauthorized" });
    } finally {
      await provider.close();
    }
  });
});

describe("the end of the time for it", () => {
  it("lets what is under way be finished, and asks nothing new", async () => {
    let asked = 0;
    const embedder = fakeEmbedder({ limits: { concurrentRequests: 2 } });
    const { vectors, failure } = await embedAll(embedder, texts(50), { mayAsk: () => ++asked <= 3 });
    expect(embedder.requests).toHaveLength(3);
    expect(vectors.size).toBe(30);
    expect(failure).toBeNull();
  });

  it("by an abort cancels what is under way, keeps what is done, and blames nobody", async () => {
    const controller = new AbortController();
    const embedder = fakeEmbedder({
      limits: { concurrentRequests: 1 },
      meet: (_, { signal }) => {
        if (embedder.requests.length === 3) controller.abort(new Error("over"));
        signal?.throwIfAborted();
      },
    });
    const { vectors, rejected, failure } = await embedAll(embedder, texts(50), { signal: controller.signal });
    expect(embedder.requests).toHaveLength(3);
    expect([vectors.size, rejected.size, failure]).toEqual([20, 0, null]);
  });
});

it("an error that is nobody's failure but a fault in the program comes out, and ends the asking", async () => {
  const embedder = fakeEmbedder({
    limits: { concurrentRequests: 1 },
    meet: () => {
      throw new TypeError("undefined is not a function");
    },
  });
  await expect(embedAll(embedder, texts(50))).rejects.toThrow("undefined is not a function");
  expect(embedder.requests).toHaveLength(1);
});

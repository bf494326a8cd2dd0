import { describe, expect, it } from "vitest";
import { embedAll } from "../../../../shared/embeddings/embed-all.ts";
import { gteSmallEmbedder, type RunGteSmall } from "../../../../shared/embeddings/embedders/gte-small.ts";

/** The platform's session, as it answers: 384 numbers for one text. */
const session: RunGteSmall = (text) =>
  Promise.resolve(Array.from({ length: 384 }, (_, i) => Math.cos(i * text.length)));

describe("Supabase's own model", () => {
  it("embeds one text at a time, for nothing", async () => {
    let underWay = 0;
    const embedder = gteSmallEmbedder(async (text) => {
      expect(++underWay).toBe(1);
      const numbers = await session(text);
      underWay--;
      return numbers;
    });
    const { vectors, ...usage } = await embedder.embed(["one", "three"]);
    expect(vectors.map((vector) => vector.length)).toEqual([384, 384]);
    expect(usage).toEqual({ requests: 1, tokens: 0, costUsd: 0 });
    expect((await embedder.embedQuery("three")).vector).toEqual(vectors[1]);
    expect(embedder.profile.name).toBe("gte-small:gte-small:384");
  });

  it("is asked for no more than five texts at a time, and five in a run of the function", () => {
    const { inputsPerRequest, inputsPerInvocation, tokensPerInput } = gteSmallEmbedder(session).limits;
    expect([inputsPerRequest, inputsPerInvocation]).toEqual([5, 5]);
    expect(tokensPerInput).toBeLessThanOrEqual(512);
  });

  it("that fails for one text keeps the others", async () => {
    const embedder = gteSmallEmbedder((text) =>
      text === "bad" ? Promise.reject(new Error("out of range")) : session(text)
    );
    const { vectors, rejected, failure } = await embedAll(embedder, ["good", "bad", "better"]);
    expect([...vectors.keys()]).toEqual([0, 2]);
    expect(rejected.get(1)?.message).toContain("out of range");
    expect(failure).toBeNull();
  });

  it("that fails for every text is not held against one", async () => {
    const embedder = gteSmallEmbedder(() => Promise.reject(new Error("no model")));
    const { rejected, failure } = await embedAll(embedder, ["good", "better"]);
    expect(rejected.size).toBe(0);
    expect(failure).toMatchObject({ scope: "provider" });
  });

  it("that gives another vector than promised is not believed", async () => {
    const embedder = gteSmallEmbedder(() => Promise.resolve([1, 2, 3]));
    await expect(embedder.embed(["one"])).rejects.toMatchObject({ code: "bad_response" });
  });

  it("stops between two texts when it is told to", async () => {
    const controller = new AbortController();
    const embedder = gteSmallEmbedder((text) => {
      controller.abort(new Error("over"));
      return session(text);
    });
    await expect(embedder.embed(["one", "two"], { signal: controller.signal })).rejects.toThrow("over");
  });
});

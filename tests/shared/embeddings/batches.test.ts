import { describe, expect, it } from "vitest";
import { halvesOf, packBatches } from "../../../shared/embeddings/batches.ts";
import { randomNumbers } from "./fake-embedder.ts";

const length = (text: string) => text.length;

describe("batches", () => {
  it("hold as many texts and tokens as a request may, and no more", () => {
    const limits = { inputsPerRequest: 3, tokensPerRequest: 10 };
    expect(packBatches(["a", "b", "c", "d"], length, limits)).toEqual([["a", "b", "c"], ["d"]]);
    expect(packBatches(["aaaaa", "bbbbb", "c"], length, limits)).toEqual([["aaaaa", "bbbbb"], ["c"]]);
    expect(packBatches([], length, limits)).toEqual([]);
  });

  it("let a text that is over the limit by itself travel alone, for the provider to judge", () => {
    const limits = { inputsPerRequest: 3, tokensPerRequest: 4 };
    expect(packBatches(["a", "bbbbbb", "c"], length, limits)).toEqual([["a"], ["bbbbbb"], ["c"]]);
  });

  it("keep the order, lose nothing, stay within the limits, and could not be fewer", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomNumbers(seed);
      const limits = {
        inputsPerRequest: 1 + Math.floor(random() * 12),
        tokensPerRequest: 20 + Math.floor(random() * 80),
      };
      const texts = Array.from(
        { length: Math.floor(random() * 60) },
        () => "x".repeat(1 + Math.floor(random() * 20)),
      );
      const batches = packBatches(texts, length, limits);
      expect(batches.flat()).toEqual(texts);
      for (const batch of batches) {
        expect(batch.length).toBeGreaterThan(0);
        expect(batch.length).toBeLessThanOrEqual(limits.inputsPerRequest);
        expect(batch.join("").length).toBeLessThanOrEqual(limits.tokensPerRequest);
      }
      expect(batches.length).toBe(fewest(texts, limits));
    }
  });
});

/** The fewest requests for the texts in this order, by trying every first request. */
function fewest(texts: string[], limits: { inputsPerRequest: number; tokensPerRequest: number }): number {
  const best = [0];
  for (let end = 1; end <= texts.length; end++) {
    let least = Number.POSITIVE_INFINITY;
    let tokens = 0;
    for (let start = end - 1; start >= 0 && end - start <= limits.inputsPerRequest; start--) {
      tokens += texts[start]?.length ?? 0;
      if (tokens > limits.tokensPerRequest) break;
      least = Math.min(least, 1 + (best[start] ?? 0));
    }
    best[end] = least;
  }
  return best[texts.length] ?? 0;
}

describe("halves", () => {
  it("are both smaller and together the whole, from two items on", () => {
    for (let size = 2; size < 20; size++) {
      const items = Array.from({ length: size }, (_, i) => i);
      const [one, other] = halvesOf(items);
      expect([...one, ...other]).toEqual(items);
      expect(Math.max(one.length, other.length)).toBeLessThan(size);
    }
  });
});

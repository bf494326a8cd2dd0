import { describe, expect, it } from "vitest";
import { checkedVector, normalize, vectorText } from "../../../shared/embeddings/vectors.ts";

describe("a vector from a provider", () => {
  it("is brought to length 1, where cosine and product are the same", () => {
    expect(Array.from(checkedVector([3, 4], 2, "m"))).toEqual([expect.closeTo(0.6), expect.closeTo(0.8)]);
  });

  it("of another length than was asked for is refused, with both lengths", () => {
    const said = "m gave a vector of 2 numbers where 3 were asked for. Set ACCORD_DIMENSIONS to what the model gives.";
    expect(() => checkedVector([3, 4], 3, "m")).toThrow(said);
  });

  it.each([[[0, 0]], [[Number.NaN, 1]], [[Number.POSITIVE_INFINITY, 1]], [[1e300, 1]]])(
    "that no search could use is refused: %s",
    (numbers) => {
      expect(() => checkedVector(numbers, 2, "m")).toThrow(expect.objectContaining({ code: "unusable_vector" }));
    },
  );
});

describe("a vector as text", () => {
  it("loses nothing that half precision would keep", () => {
    const vector = normalize(Float32Array.from({ length: 1536 }, (_, i) => Math.sin(i * i)));
    const read = JSON.parse(vectorText(vector)) as number[];
    const product = read.reduce((sum, number, i) => sum + number * (vector[i] ?? 0), 0);
    expect(product).toBeCloseTo(1, 5);
    expect(Math.max(...read.map((number, i) => Math.abs(number - (vector[i] ?? 0))))).toBeLessThan(1e-6);
  });

  it("is what Postgres reads", () => expect(vectorText([0.1, -0.25, 0])).toBe("[0.1,-0.25,0]"));
});

it("zeros have no direction, and stay zeros", () => {
  expect(Array.from(normalize(new Float32Array(2)))).toEqual([0, 0]);
});

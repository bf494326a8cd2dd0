import { ProviderError } from "./provider-error.ts";

/**
 * A provider's numbers as a vector of length 1, or an error: a vector with a fault in it would spoil every search that
 * meets it.
 */
export function checkedVector(numbers: ArrayLike<number>, dimensions: number, who: string): Float32Array {
  if (numbers.length !== dimensions) {
    const message = `${who} gave a vector of ${numbers.length} numbers where ${dimensions} were asked for. ` +
      "Set ACCORD_DIMENSIONS to what the model gives.";
    throw new ProviderError("bad_response", message);
  }
  const vector = Float32Array.from(numbers);
  const length = lengthOf(vector);
  if (!Number.isFinite(length) || length === 0) {
    const fault = length === 0 ? "zeros alone" : "numbers that are not finite";
    throw new ProviderError("unusable_vector", `${who} gave a vector with ${fault}.`);
  }
  return scale(vector, 1 / length);
}

/** In place; a vector of zeros stays as it is. */
export function normalize(vector: Float32Array): Float32Array {
  const length = lengthOf(vector);
  return length === 0 ? vector : scale(vector, 1 / length);
}

/**
 * The vector as Postgres reads it. A halfvec keeps three or four significant digits of each number; six decimal places
 * lose nothing of a vector of length 1 that a halfvec would keep, and are less than half the text of all the digits.
 */
export function vectorText(vector: ArrayLike<number>): string {
  const numbers = new Array<number>(vector.length);
  for (let i = 0; i < vector.length; i++) numbers[i] = Math.round((vector[i] ?? 0) * 1e6) / 1e6;
  return JSON.stringify(numbers);
}

function lengthOf(vector: Float32Array): number {
  let squares = 0;
  for (const number of vector) squares += number * number;
  return Math.sqrt(squares);
}

function scale(vector: Float32Array, factor: number): Float32Array {
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) * factor;
  return vector;
}

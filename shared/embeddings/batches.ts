import type { EmbedderLimits } from "./embedder.ts";

/**
 * Divides texts into requests. They stay in their order, so that the pieces of a row travel together; among such
 * divisions none has fewer requests. A text that is over the limit by itself travels alone.
 */
export function packBatches(
  texts: string[],
  countTokens: (text: string) => number,
  { inputsPerRequest, tokensPerRequest }: Pick<EmbedderLimits, "inputsPerRequest" | "tokensPerRequest">,
): string[][] {
  const batches: string[][] = [];
  let open: string[] = [];
  let openTokens = 0;
  for (const text of texts) {
    const tokens = countTokens(text);
    if (open.length > 0 && (open.length >= inputsPerRequest || openTokens + tokens > tokensPerRequest)) {
      batches.push(open);
      open = [];
      openTokens = 0;
    }
    open.push(text);
    openTokens += tokens;
  }
  return open.length > 0 ? [...batches, open] : batches;
}

export function halvesOf<Item>(items: Item[]): [Item[], Item[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

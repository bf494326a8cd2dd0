/**
 * Run by Deno, with the address and the key of a provider that is told to fail: what the embedder makes of each request,
 * one line each. Deno's network fails in other words than Node's.
 */
import { openAiEmbedder } from "../../../../shared/embeddings/embedders/openai.ts";
import { ProviderError } from "../../../../shared/embeddings/provider-error.ts";

declare const Deno: { args: string[] };

const [baseUrl = "", apiKey = "", count = "1"] = Deno.args;
const embedder = openAiEmbedder({
  apiKey,
  baseUrl,
  model: "text-embedding-3-small",
  dimensions: 1536,
  fetch,
  timeoutMs: 500,
});

for (let i = 0; i < Number(count); i++) {
  try {
    const { vectors, tokens } = await embedder.embed(["bonjour à tous", "hello everyone"]);
    console.log(`${vectors.length} vectors of ${vectors[0]?.length}, ${tokens} tokens`);
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    console.log(`${error.code} ${error.retryAfterMs ?? ""}`.trim());
  }
}

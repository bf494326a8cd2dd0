import { AccordError } from "../platform/errors.ts";
import type { Check, Health } from "../platform/health.ts";
import type { Embedder } from "./embedder.ts";

/** Whether texts can be embedded: the settings fit each other, the provider answers, and it takes the key. */
export async function checkEmbedder(makeEmbedder: () => Embedder): Promise<Health> {
  const check = await examine(makeEmbedder);
  return { ok: check.ok, checks: [check] };
}

const PROBE = "ok";

async function examine(makeEmbedder: () => Embedder): Promise<Check> {
  const name = "embedder";
  try {
    const embedder = makeEmbedder();
    await embedder.embedQuery(PROBE);
    const { profile } = embedder;
    const detail = profile.provider === "lexical"
      ? "lexical: it matches words and their forms, not meaning; OPENAI_API_KEY or gte-small gives semantic search"
      : `${profile.name} answers`;
    return { name, ok: true, detail, mend: null };
  } catch (error) {
    if (!(error instanceof AccordError)) throw error;
    return { name, ok: false, detail: error.code, mend: error.message };
  }
}

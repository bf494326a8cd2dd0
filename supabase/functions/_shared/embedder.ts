import {
  chooseEmbedder,
  embedderOfProfile,
  type EmbedderPorts,
  type EmbedderSettings,
  type WantedEmbedder,
} from "../../../shared/embeddings/choose-embedder.ts";
import type { Embedder } from "../../../shared/embeddings/embedder.ts";

interface GteSession {
  run(text: string, options: { mean_pool: boolean; normalize: boolean }): Promise<number[]>;
}

declare global {
  /** The platform's own models; there is none on a development machine. */
  var Supabase: { ai: { Session: new (model: "gte-small") => GteSession } } | undefined;
}

/** The embedder that this function's environment asks for. */
export function embedderFromEnvironment(): Embedder {
  return chooseEmbedder(settings(), ports());
}

/** The embedder of a profile, with this environment's keys. */
export function embedderOf(profile: WantedEmbedder): Embedder {
  return embedderOfProfile(profile, settings(), ports());
}

function settings(): EmbedderSettings {
  return {
    embedder: Deno.env.get("ACCORD_EMBEDDER"),
    apiKey: Deno.env.get("OPENAI_API_KEY"),
    baseUrl: Deno.env.get("OPENAI_BASE_URL"),
    model: Deno.env.get("ACCORD_MODEL"),
    dimensions: Deno.env.get("ACCORD_DIMENSIONS"),
  };
}

function ports(): EmbedderPorts {
  const { Supabase: platform } = globalThis;
  return { fetch, gteSmall: platform === undefined ? undefined : gteSmall(platform) };
}

function gteSmall(platform: NonNullable<typeof globalThis.Supabase>): (text: string) => Promise<number[]> {
  const session = new platform.ai.Session("gte-small");
  return (text) => session.run(text, { mean_pool: true, normalize: true });
}

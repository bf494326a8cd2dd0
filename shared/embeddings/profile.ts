import { z } from "zod";
import type { Profile } from "./embedder.ts";

/** How much of a text is embedded at a time, and what goes with it, unless a profile or a source says otherwise. */
export const PROFILE_DEFAULTS = {
  chunkTokens: 192,
  chunkOverlap: 0,
  template: "{headings}\n\n{chunk}",
} as const;

/** A profile as the database has it, for the worker that is to fill it. */
export const ProfileInUse = z.object({
  name: z.string(),
  provider: z.enum(["openai", "gte-small", "lexical"]),
  model: z.string(),
  dimensions: z.number(),
  template: z.string(),
  chunkTokens: z.number(),
  chunkOverlap: z.number(),
  /** How often the provider had failed when this was read: an answer to an older question proves nothing. */
  knownFailures: z.number(),
  isPaused: z.boolean().nullable().transform((isPaused) => isPaused === true),
});

export type ProfileInUse = z.output<typeof ProfileInUse>;

/** What a worker tells the database of the embedder that its environment asks for. */
export interface DefaultProfile {
  name: string;
  provider: string;
  model: string;
  dimensions: number;
  chunk_tokens: number;
  chunk_overlap: number;
  template: string;
  usd_per_million_tokens: number;
}

export function defaultProfile(profile: Profile, usdPerMillionTokens: number): DefaultProfile {
  return {
    ...profile,
    chunk_tokens: PROFILE_DEFAULTS.chunkTokens,
    chunk_overlap: PROFILE_DEFAULTS.chunkOverlap,
    template: PROFILE_DEFAULTS.template,
    usd_per_million_tokens: usdPerMillionTokens,
  };
}

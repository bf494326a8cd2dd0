import { AccordError } from "../platform/errors.ts";
import type { Embedder } from "./embedder.ts";
import { gteSmallEmbedder, type RunGteSmall } from "./embedders/gte-small.ts";
import { lexicalEmbedder } from "./embedders/lexical.ts";
import { OPENAI_MODELS } from "./embedders/models.ts";
import { OPENAI_URL, openAiEmbedder } from "./embedders/openai.ts";

/** As the environment has them: an empty text is as good as none. */
export interface EmbedderSettings {
  /** ACCORD_EMBEDDER: openai where there is a key, else gte-small where there is Supabase, else lexical. */
  embedder?: string | undefined;
  /** OPENAI_API_KEY */
  apiKey?: string | undefined;
  /** OPENAI_BASE_URL: https://api.openai.com/v1 */
  baseUrl?: string | undefined;
  /** ACCORD_MODEL: text-embedding-3-small */
  model?: string | undefined;
  /** ACCORD_DIMENSIONS: as many as the model has */
  dimensions?: string | undefined;
}

/** What a profile says of its embedder. */
export interface WantedEmbedder {
  provider: string;
  model?: string | undefined;
  dimensions?: number | undefined;
}

/** The embedder of a profile: what it says goes before what the environment says, whose keys it uses. */
export function embedderOfProfile(
  { provider, model, dimensions }: WantedEmbedder,
  { apiKey, baseUrl }: EmbedderSettings,
  ports: EmbedderPorts,
): Embedder {
  return chooseEmbedder({ embedder: provider, apiKey, baseUrl, model, dimensions: dimensions?.toString() }, ports);
}

export interface EmbedderPorts {
  fetch: typeof fetch;
  /** Supabase's own model, where there is Supabase. */
  gteSmall?: RunGteSmall | undefined;
}

const NAMES = ["openai", "gte-small", "lexical"] as const;
const DEFAULT_MODEL = "text-embedding-3-small";
/** More dimensions than this an index on a halfvec does not take. */
const MOST_DIMENSIONS = 4_000;

/** The embedder that the settings ask for; settings that contradict each other are an error, not a guess. */
export function chooseEmbedder(settings: EmbedderSettings, ports: EmbedderPorts): Embedder {
  const given = trimmed(settings);
  const name = nameOf(given, ports);
  if (name === "openai") return openAi(given, ports);
  const embedder = name === "lexical" ? lexicalEmbedder() : gteSmall(ports.gteSmall);
  const { model, dimensions } = embedder.profile;
  const why = given.apiKey === undefined ? "there is no OPENAI_API_KEY" : `ACCORD_EMBEDDER is "${name}"`;
  if (given.model !== undefined && given.model !== model) {
    throw misconfigured(`ACCORD_MODEL is "${given.model}", but ${why}. Set what is missing, or unset ACCORD_MODEL.`);
  }
  if (given.dimensions !== undefined && given.dimensions !== String(dimensions)) {
    throw misconfigured(
      `ACCORD_DIMENSIONS is "${given.dimensions}", but the embedder is ${name} (${why}) and has ${dimensions}.`,
    );
  }
  return embedder;
}

function nameOf({ embedder, apiKey }: EmbedderSettings, { gteSmall }: EmbedderPorts): typeof NAMES[number] {
  if (embedder === undefined) return apiKey !== undefined ? "openai" : gteSmall !== undefined ? "gte-small" : "lexical";
  const name = NAMES.find((name) => name === embedder);
  if (name === undefined) throw misconfigured(`ACCORD_EMBEDDER is "${embedder}"; there are ${NAMES.join(", ")}.`);
  return name;
}

function gteSmall(run: RunGteSmall | undefined): Embedder {
  if (run !== undefined) return gteSmallEmbedder(run);
  throw misconfigured(
    'ACCORD_EMBEDDER is "gte-small", a model that only Supabase\'s own runtime has. ' +
      "Set OPENAI_API_KEY, or ACCORD_EMBEDDER to lexical.",
  );
}

function openAi(settings: EmbedderSettings, { fetch }: EmbedderPorts): Embedder {
  const { apiKey, baseUrl, model = DEFAULT_MODEL, dimensions } = settings;
  if (apiKey === undefined) {
    throw misconfigured(
      'ACCORD_EMBEDDER is "openai", and OPENAI_API_KEY is not set. Set it; a server that needs no key takes any text.',
    );
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw misconfigured("OPENAI_API_KEY holds a space, a line break or a letter that no key has. Copy it again.");
  }
  if (baseUrl !== undefined && !isWebAddress(baseUrl)) {
    throw misconfigured(`OPENAI_BASE_URL is "${baseUrl}", which is no address such as ${OPENAI_URL}.`);
  }
  return openAiEmbedder({ apiKey, baseUrl, model, dimensions: dimensionsOf(model, dimensions), fetch });
}

function dimensionsOf(model: string, asked: string | undefined): number {
  const known = OPENAI_MODELS[model];
  if (asked === undefined) {
    if (known !== undefined) return known.dimensions;
    throw misconfigured(`ACCORD_MODEL is "${model}", whose dimensions are not known here. Set ACCORD_DIMENSIONS.`);
  }
  const most = Math.min(known?.dimensions ?? MOST_DIMENSIONS, MOST_DIMENSIONS);
  const least = known !== undefined && !known.shortens ? most : 1;
  const dimensions = Number(asked);
  if (Number.isInteger(dimensions) && dimensions >= least && dimensions <= most) return dimensions;
  const range = least === most ? `exactly ${most}` : `a whole number from ${least} to ${most}`;
  throw misconfigured(`ACCORD_DIMENSIONS is "${asked}"; for ${model} it must be ${range}.`);
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);
}

function trimmed(settings: EmbedderSettings): EmbedderSettings {
  const text = (value: string | undefined) => value?.trim() || undefined;
  return {
    ...settings,
    embedder: text(settings.embedder),
    apiKey: text(settings.apiKey),
    baseUrl: text(settings.baseUrl),
    model: text(settings.model),
    dimensions: text(settings.dimensions),
  };
}

function misconfigured(message: string): AccordError {
  return new AccordError("misconfigured", message);
}

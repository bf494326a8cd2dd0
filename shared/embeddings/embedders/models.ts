export interface OpenAiModel {
  dimensions: number;
  /** Its vectors may be asked for shorter. */
  shortens: boolean;
  usdPerMillionTokens: number;
}

/** What OpenAI sells. Other models are known to their own servers alone, and cost nothing that is known here. */
export const OPENAI_MODELS: Record<string, OpenAiModel> = {
  "text-embedding-3-small": { dimensions: 1536, shortens: true, usdPerMillionTokens: 0.02 },
  "text-embedding-3-large": { dimensions: 3072, shortens: true, usdPerMillionTokens: 0.13 },
  "text-embedding-ada-002": { dimensions: 1536, shortens: false, usdPerMillionTokens: 0.1 },
};

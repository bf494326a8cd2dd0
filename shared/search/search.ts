import { z } from "zod";
import { AccordError, DatabaseError } from "../platform/errors.ts";
import type { Rpc } from "../platform/rpc.ts";

/** What may be asked. `mode` is part of the door's shape; until keywords are searched too, every mode is semantic. */
export const SearchRequest = z.strictObject({
  query: z.string().trim().min(1, "must hold a question").max(4_000, "must be at most 4000 characters"),
  limit: z.int().min(1).max(100).default(10),
  sources: z.array(z.string()).min(1).optional(),
  mode: z.enum(["semantic"]).default("semantic"),
});

export type SearchRequest = z.output<typeof SearchRequest>;

export const SearchResult = z.object({
  sourceTable: z.string(),
  sourceId: z.string(),
  chunkIndex: z.number(),
  content: z.string(),
  score: z.number(),
  /** The live row, as the caller may see it. */
  row: z.record(z.string(), z.unknown()),
});

export const SearchAnswer = z.object({ results: z.array(SearchResult) });
export type SearchAnswer = z.infer<typeof SearchAnswer>;

interface SearchPorts {
  /** The caller's own rights: row-level security decides what is found. */
  rpc: Rpc;
  /** The service's: what a question cost is written down, whoever asked it. */
  serviceRpc: Rpc;
  /** Embeds a question as the texts were embedded. */
  embedQuery(text: string, profile: SearchProfile): Promise<EmbeddedQuestion>;
}

interface EmbeddedQuestion {
  vector: ArrayLike<number>;
  requests: number;
  tokens: number;
}

/** How the texts were embedded that search looks through; null before the worker has first run. */
const SearchProfile = z.object({
  name: z.string(),
  provider: z.string(),
  model: z.string(),
  dimensions: z.number(),
  /** Whether the budgets pay for a question. */
  isAffordable: z.boolean(),
});
type SearchProfile = z.infer<typeof SearchProfile>;

/** The pieces of text nearest to a question, each with its live row. */
export async function search(request: SearchRequest, ports: SearchPorts): Promise<SearchAnswer> {
  try {
    return await searchOnce(request, ports);
  } catch (error) {
    // Another profile has taken the place of the one that the question was embedded with.
    if (!(error instanceof DatabaseError) || !JSON.stringify(error.details).includes(PROFILE_CHANGED)) throw error;
    return await searchOnce(request, ports);
  }
}

/** The code of search_documentation() for it. */
const PROFILE_CHANGED = "PT409";

/** What questions stand under in the ledger. */
const LEDGER_SOURCE = "search";

async function searchOnce(request: SearchRequest, ports: SearchPorts): Promise<SearchAnswer> {
  const { rpc, serviceRpc, embedQuery } = ports;
  const profile = SearchProfile.nullable().parse(await rpc("search_profile"));
  if (profile === null) return { results: [] };
  if (!profile.isAffordable) {
    const message = "The budget is used up, so no question can be embedded before the next day or month. " +
      "An administrator may raise embedding_daily_budget_usd or embedding_monthly_budget_usd.";
    throw new AccordError("budget_used_up", message, { status: 503 });
  }
  const { vector, requests, tokens } = await embedQuery(request.query, profile);
  if (requests > 0) {
    await serviceRpc("account_embedding_usage", {
      profile: profile.name,
      known_failures: 0,
      entries: [{ sourceTable: LEDGER_SOURCE, requests, tokens }],
      has_answered: false,
    });
  }
  const found = await rpc("search_documentation", {
    query_embedding: `[${Array.from(vector).join(",")}]`,
    profile: profile.name,
    match_count: request.limit,
    sources: request.sources ?? null,
  });
  return { results: z.array(SearchResult).parse(found) };
}

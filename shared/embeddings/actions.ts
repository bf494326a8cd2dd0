import { z } from "zod";
import type { Clock } from "../platform/clock.ts";
import type { Rpc } from "../platform/rpc.ts";
import { checkEmbedder } from "./check.ts";
import type { WantedEmbedder } from "./choose-embedder.ts";
import { drain, DRAIN_DEFAULTS } from "./drain.ts";
import type { DrainReport } from "./report.ts";
import type { Embedder } from "./embedder.ts";
import { defaultProfile, PROFILE_DEFAULTS } from "./profile.ts";
import { jobQueue } from "./queue.ts";
import { SourceStatus } from "./status.ts";

/** What the worker may be asked for. */
export const EmbeddingAction = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.literal("process"),
    batchSize: z.int().min(1).max(500).optional(),
    /** How long to watch an empty queue before the run ends. */
    lingerMs: z.int().min(0).max(60_000).optional(),
  }),
  z.strictObject({ action: z.literal("resync"), forceResync: z.string().nullable().default(null) }),
  z.strictObject({ action: z.literal("retry"), sourceTable: z.string().nullable().default(null) }),
  z.strictObject({ action: z.literal("status") }),
  z.strictObject({ action: z.literal("cleanup") }),
  z.strictObject({ action: z.literal("check") }),
  z.strictObject({
    action: z.literal("prepare"),
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}$/).optional(),
    provider: z.enum(["openai", "gte-small", "lexical"]),
    model: z.string().optional(),
    dimensions: z.int().min(1).max(4_000).optional(),
    chunkTokens: z.int().min(16).max(8_000).default(PROFILE_DEFAULTS.chunkTokens),
    chunkOverlap: z.int().min(0).default(PROFILE_DEFAULTS.chunkOverlap),
    template: z.string().includes("{chunk}").default(PROFILE_DEFAULTS.template),
  }).refine(({ chunkTokens, chunkOverlap }) => chunkOverlap * 2 < chunkTokens, {
    path: ["chunkOverlap"],
    message: "must be less than half of chunkTokens",
  }),
]);

export type EmbeddingAction = z.output<typeof EmbeddingAction>;
type PrepareAction = Extract<EmbeddingAction, { action: "prepare" }>;

const PROBE = "ok";
const Prepared = z.object({ name: z.string(), state: z.string() });

const Count = z.number();

interface ActionPorts {
  rpc: Rpc;
  /** Made only when something is to be embedded: most actions need no provider. */
  embedder: () => Embedder;
  /** That of a profile, whatever the environment asks for; its keys are the environment's. */
  embedderOf: (profile: WantedEmbedder) => Embedder;
  readStatus: () => Promise<unknown>;
  clock: Clock;
}

/** Does what was asked, and tells what came of it. */
export async function perform(action: EmbeddingAction, ports: ActionPorts): Promise<unknown> {
  const { rpc } = ports;
  switch (action.action) {
    case "process":
      return await processQueue(action, ports);
    case "resync":
      return { enqueued: Count.parse(await rpc("resync_embeddings", { source_table: action.forceResync })) };
    case "retry":
      return { retried: Count.parse(await rpc("retry_failed_embeddings", { source_table: action.sourceTable })) };
    case "status":
      return { sources: z.array(SourceStatus).parse(await ports.readStatus()) };
    case "cleanup":
      return { removed: Count.parse(await rpc("clean_up_embedding_queue")) };
    case "check":
      return await checkEmbedder(ports.embedder);
    case "prepare":
      return await prepareProfile(action, ports);
  }
}

async function processQueue(
  { batchSize, lingerMs }: { batchSize?: number | undefined; lingerMs?: number | undefined },
  { rpc, embedder: makeEmbedder, embedderOf, clock }: ActionPorts,
): Promise<DrainReport> {
  const embedder = makeEmbedder();
  const profile = defaultProfile(embedder.profile, embedder.usdPerMillionTokens);
  return await drain({ queue: jobQueue(rpc, crypto.randomUUID(), profile), embedderOf, clock }, {
    batchSize: Math.min(batchSize ?? DRAIN_DEFAULTS.batchSize, embedder.limits.inputsPerInvocation),
    ...lingerMs === undefined ? {} : { lingerMs },
  });
}

/** Has a profile built beside the active one, once its embedder has shown that it gives such vectors. */
async function prepareProfile(
  { name, provider, model, dimensions, chunkTokens, chunkOverlap, template }: PrepareAction,
  { rpc, embedderOf }: ActionPorts,
): Promise<unknown> {
  const embedder = embedderOf({ provider, model, dimensions });
  const { profile } = embedder;
  await embedder.embedQuery(PROBE);
  const isPlain = chunkTokens === PROFILE_DEFAULTS.chunkTokens && chunkOverlap === PROFILE_DEFAULTS.chunkOverlap &&
    template === PROFILE_DEFAULTS.template;
  return Prepared.parse(
    await rpc("prepare_embedding_profile", {
      name: name ?? (isPlain ? profile.name : `${profile.name}:${chunkTokens}/${chunkOverlap}`),
      provider: profile.provider,
      model: profile.model,
      dimensions: profile.dimensions,
      chunk_tokens: chunkTokens,
      chunk_overlap: chunkOverlap,
      template,
      usd_per_million_tokens: embedder.usdPerMillionTokens,
    }),
  );
}

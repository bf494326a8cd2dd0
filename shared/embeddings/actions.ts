import { z } from "zod";
import type { Clock } from "../platform/clock.ts";
import type { Rpc } from "../platform/rpc.ts";
import { checkEmbedder } from "./check.ts";
import { embedAll } from "./embed-all.ts";
import { drain, type HashedPiece } from "./drain.ts";
import type { DrainReport } from "./report.ts";
import type { Embedder } from "./embedder.ts";
import { cutIntoPieces, hashOfPiece } from "./pieces.ts";
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
]);

export type EmbeddingAction = z.output<typeof EmbeddingAction>;

const Count = z.number();

interface ActionPorts {
  rpc: Rpc;
  /** Made only when something is to be embedded: most actions need no provider. */
  embedder: () => Embedder;
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
  }
}

async function processQueue(
  { batchSize, lingerMs }: { batchSize?: number | undefined; lingerMs?: number | undefined },
  { rpc, embedder: makeEmbedder, clock }: ActionPorts,
): Promise<DrainReport> {
  const embedder = makeEmbedder();
  return await drain({
    queue: jobQueue(rpc, embedder.profile),
    piecesOf: (content) => hashedPiecesOf(content, embedder),
    embedAll: (texts, signal) => embedAll(embedder, texts, { signal }),
    clock,
  }, {
    ...batchSize === undefined ? {} : { batchSize },
    ...lingerMs === undefined ? {} : { lingerMs },
    rowLimit: embedder.limits.inputsPerInvocation,
  });
}

async function hashedPiecesOf(content: string, embedder: Embedder): Promise<HashedPiece[]> {
  const pieces = cutIntoPieces(content, {
    tokensPerPiece: embedder.limits.tokensPerInput,
    countTokens: (text) => embedder.countTokens(text),
  });
  return await Promise.all(pieces.map(async ({ text, tokens }) => ({
    text,
    tokens,
    hash: await hashOfPiece(embedder.profile.name, text),
  })));
}

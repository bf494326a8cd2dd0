import { z } from "zod";
import type { Rpc } from "../platform/rpc.ts";
import { type DefaultProfile, ProfileInUse } from "./profile.ts";
import { vectorText } from "./vectors.ts";

const Job = z.object({
  token: z.string(),
  sourceTable: z.string(),
  sourceId: z.string(),
  /** What to embed; null when the row is gone or unpublished, when no profile lacks it, or when it is too long. */
  content: z.string().nullable(),
  /** The columns that templates name. */
  fields: z.record(z.string(), z.unknown()).nullable(),
  isGone: z.boolean(),
  /** Its length in characters, when that is above the limit. */
  tooLong: z.number().nullable(),
  limit: z.number(),
  /** How this source is cut, where it differs from its profiles. */
  chunkTokens: z.number().nullable(),
  chunkOverlap: z.number().nullable(),
  targets: z.array(z.object({
    profile: z.string(),
    fingerprint: z.string(),
    isUnchanged: z.boolean(),
    /** What the copy had cost that is there. */
    tokens: z.number(),
  })),
});

/** A row that is leased to this worker. */
export type Job = z.infer<typeof Job>;

/** A part of a text, with all that its copy holds. Without an embedding it has been paid for already, in some row. */
export interface CopiedChunk {
  content: string;
  hash: string;
  /** Which one, of several equal ones in a row. */
  occurrence: number;
  tokens: number;
  metadata: { start: number; end: number; headings: string[] };
  /** As numbers until it is handed in: a thousand of them as text would take most of a worker's memory. */
  embedding?: Embedding;
}

/** A vector, or the text that Postgres reads as one. */
export type Embedding = Float32Array | string;

/** A row as it is to be in one profile from now on. */
export interface Copy {
  profile: string;
  fingerprint: string;
  isUnchanged: boolean;
  /** Tokens of chunks that need not be paid for, because another copy has them. */
  reused?: number;
  chunks: CopiedChunk[];
}

/** What becomes of a row. A profile that is in use and has no copy here is left for later. */
export interface Result {
  token: string;
  copies: Copy[];
  failure?: { message: string; permanent: boolean };
}

const Outcome = z.enum(["completed", "requeued", "unfinished", "busy", "lost_lease", "retry", "failed"]);
export type Outcome = z.infer<typeof Outcome>;

const Claim = z.object({
  tokens: z.array(z.string()),
  profiles: z.array(ProfileInUse).nullable().transform((profiles) => profiles ?? []),
  /** Why nothing is given out, if there is a reason other than an empty queue. */
  idle: z.enum(["enough_workers", "budget_used_up", "provider_paused"]).nullable(),
});
export type Claim = z.output<typeof Claim>;

/** Chunks by their hash: those of copies, and those that are kept for a row that is not finished. */
const KnownChunks = z.object({
  copied: z.array(z.string()).transform((hashes) => new Set(hashes)),
  stocked: z.array(z.string()).transform((hashes) => new Set(hashes)),
});
export type KnownChunks = z.output<typeof KnownChunks>;

const Permission = z.object({ waitMs: z.number(), isPaused: z.boolean() });
export type Permission = z.infer<typeof Permission>;

/** What one source has cost in a profile. */
export interface LedgerEntry {
  sourceTable: string;
  requests: number;
  tokens: number;
}

/** The worker's side of the queue; its rules are in the database. */
export interface JobQueue {
  claim(batchSize: number): Promise<Claim>;
  read(tokens: string[]): Promise<Job[]>;
  /** Which of these chunks have been paid for already. */
  known(profile: string, hashes: string[]): Promise<KnownChunks>;
  /** Keeps vectors whose row cannot be finished yet. */
  stock(profile: string, chunks: { hash: string; embedding: Embedding }[]): Promise<void>;
  /** Outcomes by token. */
  finish(results: Result[]): Promise<Map<string, Outcome>>;
  /** Gives rows back unfinished and uncharged. */
  release(tokens: string[]): Promise<void>;
  /** Asked before each request. */
  takeRate(provider: string, knownFailures: number, tokens: number): Promise<Permission>;
  /** The provider has failed as a whole; gives the seconds for which nobody asks it. */
  pause(provider: string, message: string, seconds: number | null): Promise<number>;
  /** What was paid; and whether the provider has answered, so that it works again. */
  account(profile: string, knownFailures: number, entries: LedgerEntry[], hasAnswered: boolean): Promise<void>;
  /** The run is over; gives how many rows are due, and has the next worker woken if there are some. */
  end(goesOn?: boolean): Promise<number>;
}

export function jobQueue(rpc: Rpc, worker: string, profile: DefaultProfile): JobQueue {
  return {
    claim: async (batchSize) =>
      Claim.parse(await rpc("claim_embedding_jobs", { worker, batch_size: batchSize, default_profile: profile })),
    read: async (tokens) => z.array(Job).parse(await rpc("read_embedding_jobs", { tokens })),
    known: async (profile, hashes) => KnownChunks.parse(await rpc("known_embeddings", { profile, hashes })),
    stock: async (profile, chunks) => {
      await rpc("stock_embeddings", { profile, chunks: chunks.map(withText) });
    },
    finish: async (results) =>
      new Map(Object.entries(
        z.record(z.string(), Outcome).parse(
          await rpc("finish_embedding_jobs", { results: results.map(withTexts) }),
        ),
      )),
    release: async (tokens) => {
      await rpc("release_embedding_jobs", { tokens, delay_seconds: 0 });
    },
    takeRate: async (provider, knownFailures, tokens) =>
      Permission.parse(await rpc("take_embedding_rate", { provider, known_failures: knownFailures, tokens })),
    pause: async (provider, message, seconds) =>
      z.number().parse(await rpc("pause_embedding_provider", { provider, message, seconds })),
    account: async (profile, knownFailures, entries, hasAnswered) => {
      await rpc("account_embedding_usage", {
        profile,
        known_failures: knownFailures,
        entries,
        has_answered: hasAnswered,
      });
    },
    end: async (goesOn = true) => z.number().parse(await rpc("end_embedding_worker", { worker, goes_on: goesOn })),
  };
}

function withTexts(result: Result): Result {
  return { ...result, copies: result.copies.map((copy) => ({ ...copy, chunks: copy.chunks.map(withText) })) };
}

function withText<Chunk extends { embedding?: Embedding }>(chunk: Chunk): Chunk {
  const { embedding } = chunk;
  return embedding === undefined || typeof embedding === "string"
    ? chunk
    : { ...chunk, embedding: vectorText(embedding) };
}

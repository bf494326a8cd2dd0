import { z } from "zod";
import type { Rpc } from "../platform/rpc.ts";
import type { Part, Progress } from "./extract/slice.ts";

const Job = z.object({
  token: z.string(),
  bucketId: z.string(),
  filePath: z.string(),
  /** Another one with each upload. */
  objectVersion: z.string().nullable(),
  /** In bytes, as its row says. */
  fileSize: z.number().nullable(),
  /** The largest that is read. */
  sizeLimit: z.number(),
  mimeType: z.string().nullable(),
  /** What the uploader says of it, unchecked: one that says nonsense must not keep the others from being read. */
  userMetadata: z.unknown(),
  /** Where the run before stopped; null where the file is to be read from its beginning. */
  progress: z.custom<Progress | null>(),
  isGone: z.boolean(),
});

/** A file that is leased to this worker. */
export type FileJob = z.infer<typeof Job>;

/** What a file becomes: its text is what was saved before of this version, and then these parts. */
export interface ReadFile {
  token: string;
  objectVersion: string | null;
  parts: Part[];
  title: string;
  locale: string | null;
  mimeType: string;
  metadata: Record<string, unknown>;
}

/** What becomes of a queue row. */
export type FileResult =
  | ReadFile
  | { token: string; failure: { message: string; permanent: boolean } }
  | { token: string; isGone: true };

const Outcome = z.enum(["completed", "requeued", "busy", "lost_lease", "retry", "failed"]);
export type FileOutcome = z.infer<typeof Outcome>;

const Claim = z.object({
  tokens: z.array(z.string()),
  /** Why nothing is given out, if there is a reason other than an empty queue. */
  idle: z.enum(["enough_workers"]).nullable(),
});

/** The worker's side of the queue; its rules are in the database. */
export interface FileQueue {
  claim(batchSize: number): Promise<string[]>;
  read(tokens: string[]): Promise<FileJob[]>;
  /** Keeps how far a file is read, and its lease; false where it was overwritten or another worker has it by now. */
  save(token: string, objectVersion: string | null, progress: Progress, parts: Part[]): Promise<boolean>;
  /** Outcomes by token. */
  finish(results: FileResult[]): Promise<Map<string, FileOutcome>>;
  /** Gives files back unfinished and uncharged. */
  release(tokens: string[]): Promise<void>;
  /** The run is over; gives how many files are due, and has the next worker woken if there are some. */
  end(goesOn: boolean): Promise<number>;
}

export function fileQueue(rpc: Rpc, worker: string): FileQueue {
  return {
    claim: async (batchSize) => Claim.parse(await rpc("claim_file_jobs", { worker, batch_size: batchSize })).tokens,
    read: async (tokens) => z.array(Job).parse(await rpc("read_file_jobs", { tokens })),
    save: async (token, objectVersion, progress, parts) =>
      z.boolean().parse(await rpc("save_file_progress", { token, object_version: objectVersion, progress, parts })),
    finish: async (results) =>
      new Map(Object.entries(z.record(z.string(), Outcome).parse(await rpc("finish_file_jobs", { results })))),
    release: async (tokens) => {
      await rpc("release_file_jobs", { tokens });
    },
    end: async (goesOn) => z.number().parse(await rpc("end_file_worker", { worker, goes_on: goesOn })),
  };
}

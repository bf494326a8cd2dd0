import { randomUUID } from "node:crypto";
import pg from "pg";
import { SECRET_KEY } from "../../../local/keys.ts";
import { type BlobStore, blobStore } from "../../../shared/files/blobs.ts";
import { drainFiles } from "../../../shared/files/drain.ts";
import { extractSlice } from "../../../shared/files/extract/extract.ts";
import { type FileQueue, fileQueue } from "../../../shared/files/queue.ts";
import type { FilesReport } from "../../../shared/files/report.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { connectClient } from "../../support/client.ts";
import { rpcOverPg } from "./pg-rpc.ts";

/** Where a worker of files can be, in the order in which it gets there. */
export const FILE_STEPS = ["claimed", "read", "downloaded", "saved", "finishing", "finished", "ending"] as const;
export type FileStep = typeof FILE_STEPS[number];

export interface FilesWorkerOptions {
  databaseUrl: string;
  /** Of the stack whose storage has the bytes. */
  url: string;
  /** Processor time of a run: little of it, and a file passes in several. */
  workMs: number;
}

/** One run of the real worker; `reach` is told of each step, and may keep it there. */
export async function runFilesWorker(
  { databaseUrl, url, workMs }: FilesWorkerOptions,
  reach: (step: FileStep) => Promise<void> = () => Promise.resolve(),
): Promise<FilesReport> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  // A connection that breaks while nobody uses it is replaced.
  pool.on("error", () => {});
  try {
    const blobs = blobStore(connectClient(url, SECRET_KEY).storage);
    return await drainFiles({
      queue: watchedQueue(fileQueue(await rpcOverPg(pool), randomUUID()), reach),
      blobs: watchedBlobs(blobs, reach),
      extract: extractSlice,
      clock: systemClock,
    }, { workMs });
  } finally {
    await pool.end();
  }
}

function watchedBlobs(blobs: BlobStore, reach: (step: FileStep) => Promise<void>): BlobStore {
  return {
    download: async (...asked) => {
      const download = await blobs.download(...asked);
      await reach("downloaded");
      return download;
    },
  };
}

function watchedQueue(queue: FileQueue, reach: (step: FileStep) => Promise<void>): FileQueue {
  const after = async <Value>(step: FileStep, value: Promise<Value>): Promise<Value> => {
    const got = await value;
    await reach(step);
    return got;
  };
  return {
    ...queue,
    claim: async (batchSize) => {
      const tokens = await queue.claim(batchSize);
      if (tokens.length > 0) await reach("claimed");
      return tokens;
    },
    read: (tokens) => after("read", queue.read(tokens)),
    save: (...slice) => after("saved", queue.save(...slice)),
    finish: async (results) => {
      await reach("finishing");
      return await after("finished", queue.finish(results));
    },
    end: async (goesOn) => {
      await reach("ending");
      return await queue.end(goesOn);
    },
  };
}

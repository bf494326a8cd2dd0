import { z } from "zod";
import type { Rpc } from "../platform/rpc.ts";
import { drainFiles, type FilesDrainPorts } from "./drain.ts";
import { fileQueue } from "./queue.ts";
import { BucketStatus } from "./status.ts";

/** What the worker may be asked for. */
export const FileAction = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.literal("process"),
    batchSize: z.int().min(1).max(100).optional(),
    /** How long to watch an empty queue before the run ends. */
    lingerMs: z.int().min(0).max(60_000).optional(),
  }),
  z.strictObject({ action: z.literal("retry"), bucketId: z.string().nullable().default(null) }),
  z.strictObject({ action: z.literal("status") }),
  z.strictObject({ action: z.literal("cleanup") }),
]);

export type FileAction = z.output<typeof FileAction>;

const Count = z.number();

export interface FileActionPorts extends Omit<FilesDrainPorts, "queue"> {
  rpc: Rpc;
  readStatus: () => Promise<unknown>;
}

/** Does what was asked, and tells what came of it. */
export async function performFileAction(
  action: FileAction,
  { rpc, readStatus, ...ports }: FileActionPorts,
): Promise<unknown> {
  switch (action.action) {
    case "process": {
      const { batchSize, lingerMs } = action;
      return await drainFiles({ queue: fileQueue(rpc, crypto.randomUUID()), ...ports }, {
        ...batchSize === undefined ? {} : { batchSize },
        ...lingerMs === undefined ? {} : { lingerMs },
      });
    }
    case "retry":
      return { retried: Count.parse(await rpc("retry_failed_files", { bucket_id: action.bucketId })) };
    case "status":
      return { buckets: z.array(BucketStatus).parse(await readStatus()) };
    case "cleanup":
      return { removed: Count.parse(await rpc("clean_up_files_queue")) };
  }
}

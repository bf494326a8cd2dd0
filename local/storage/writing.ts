import type { BlobId } from "./blobs.ts";
import type { Call } from "./call.ts";
import { refusals, StorageError } from "./errors.ts";
import { holdObject, insertObject, lockKeys, type ObjectRow, type ObjectWrite, upsertObject } from "./object-rows.ts";
import type { Session } from "./session.ts";

/** The version that policies and triggers see while the question is only whether the caller may. */
const PROBE_VERSION = "1";

/** Throws where the caller may not write this object. */
export async function mayWrite(session: Session, upsert: boolean, write: Omit<ObjectWrite, "version">): Promise<void> {
  const probe = { ...write, version: PROBE_VERSION };
  await session.probe((tx) => upsert ? upsertObject(tx, probe) : insertObject(tx, probe));
}

/**
 * Gives an object its new version, whose blob is there already. The row is written past row-level security, as the
 * storage server does: the probe has asked. What the row replaces loses its blob once nothing refers to it.
 */
export async function publish(call: Call, upsert: boolean, write: ObjectWrite): Promise<ObjectRow> {
  const { bucket, key } = write;
  const { row, replaced } = await call.session.service.run(async (tx) => {
    await lockKeys(tx, write);
    const current = await holdObject(tx, bucket, key);
    if (current !== undefined && !upsert) throw refusals.keyAlreadyExists();
    return { row: await upsertObject(tx, write), replaced: current?.version };
  });
  if (typeof replaced === "string") await call.blobs.discard([{ bucket, key, version: replaced }]);
  return row;
}

/**
 * Lets a blob go when its row was refused. After any other failure, such as a connection that broke, the row may have
 * been committed all the same, so the blob stays: better a blob without a row than a row without its blob.
 */
export async function orDiscard<T>(call: Call, blob: BlobId, written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (error) {
    if (error instanceof StorageError) await call.blobs.discard([blob]);
    throw error;
  }
}

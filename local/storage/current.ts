import type { BlobId } from "./blobs.ts";
import { mustBeValidKey } from "./names.ts";
import { findObject, type ObjectRow } from "./object-rows.ts";
import type { Session } from "./session.ts";

export function blobOf({ bucket_id, name, version }: ObjectRow): BlobId {
  return { bucket: bucket_id, key: name, version: version ?? "" };
}

/**
 * An object together with what `use` makes of its blob; `use` gives undefined where the blob is not there.
 * An overwrite may take the blob away between the look at the row and its use: then the row names another by now.
 */
export async function currentObject<T>(
  session: Session,
  bucket: string,
  key: string,
  use: (blob: BlobId) => Promise<T | undefined>,
): Promise<{ object: ObjectRow; used: T }> {
  mustBeValidKey(key);
  let missing: string | undefined;
  while (true) {
    const object = await session.run((tx) => findObject(tx, bucket, key));
    const blob = blobOf(object);
    const used = await use(blob);
    if (used !== undefined) return { object, used };
    // The file backend of the storage server lets a missing file through as an error of its own.
    if (blob.version === missing) throw new Error(`The blob of ${bucket}/${key}, version "${missing}", is missing`);
    missing = blob.version;
  }
}

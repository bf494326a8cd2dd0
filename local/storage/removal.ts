import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs } from "./body.ts";
import type { Call } from "./call.ts";
import { blobOf } from "./current.ts";
import { refusals } from "./errors.ts";
import { MAX_OBJECTS_PER_REQUEST } from "./limits.ts";
import { mustBeValidBucketName } from "./names.ts";
import { deleteObjects, holdObject } from "./object-rows.ts";

const shape = z.object({ prefixes: z.array(z.string(needs("string")), needs("array")) });

/** Deletes what the caller may see and delete, and answers with that; the rest is passed over in silence. */
export async function removeMany(call: Call, bucket: string): Promise<Response> {
  const { prefixes } = await jsonBody(call.request, shape);
  mustBeValidBucketName(bucket);
  if (prefixes.length === 0) throw refusals.invalidRequest("body/prefixes must NOT have fewer than 1 items");
  if (prefixes.length > MAX_OBJECTS_PER_REQUEST) {
    throw refusals.invalidRequest(
      `Bulk object requests are limited to ${MAX_OBJECTS_PER_REQUEST} objects per request.`,
      "InvalidRequest",
    );
  }
  const deleted = await call.session.run((tx) => deleteObjects(tx, bucket, prefixes));
  await call.blobs.discard(deleted.map(blobOf));
  return json(deleted.map(({ owner, owner_id, ...row }) => ({ ...row, owner: owner ?? "", owner_id: owner_id ?? "" })));
}

export async function removeOne(call: Call, bucket: string, key: string): Promise<Response> {
  mustBeValidBucketName(bucket);
  const deleted = await call.session.service.run(async (tx) => {
    if (await holdObject(tx, bucket, key) === undefined) throw refusals.noSuchKey();
    await call.session.takeOver(tx);
    return await deleteObjects(tx, bucket, [key]);
  });
  if (deleted.length === 0) throw refusals.accessDenied();
  await call.blobs.discard(deleted.map(blobOf));
  return json({ message: "Successfully deleted" });
}

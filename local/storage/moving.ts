import { randomUUID } from "node:crypto";
import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs } from "./body.ts";
import { findBucket } from "./bucket-rows.ts";
import { type Call, ownerOf } from "./call.ts";
import { blobOf, currentObject } from "./current.ts";
import { userMetadataHeader } from "./incoming.ts";
import { mustBeValidBucketName, mustBeValidKey } from "./names.ts";
import { findObject, holdObject, lockKeys, moveObject, type ObjectRow, type ObjectWrite } from "./object-rows.ts";
import { mayWrite, orDiscard, publish } from "./writing.ts";

const text = z.string(needs("string"));
const moveShape = z.object({
  bucketId: text,
  sourceKey: text,
  destinationKey: text,
  destinationBucket: text.nullish(),
});
const copyShape = moveShape.extend({
  copyMetadata: z.boolean(needs("boolean")).default(true),
  metadata: z.object({ cacheControl: text, mimetype: text }).partial().default({}),
});

/** A move is an UPDATE of the row; its blob gets a new version under the new key. */
export async function move(call: Call): Promise<Response> {
  const body = await jsonBody(call.request, moveShape);
  const from = { bucket: body.bucketId, key: body.sourceKey };
  const to = { bucket: body.destinationBucket ?? body.bucketId, key: body.destinationKey, owner: ownerOf(call) };
  mustBeValidBucketName(from.bucket);
  mustBeValidKey(to.key);

  await call.session.probe(async (tx) => {
    await findObject(tx, from.bucket, from.key);
    await moveObject(tx, from.bucket, from.key, { ...to, version: randomUUID() });
  });
  if (from.bucket === to.bucket && from.key === to.key) {
    return moved(await call.session.service.run((tx) => findObject(tx, from.bucket, from.key)));
  }
  let row: ObjectRow | undefined;
  while (row === undefined) row = await moveCurrent(call, from, { ...to, version: randomUUID() });
  return moved(row);
}

export async function copy(call: Call): Promise<Response> {
  const body = await jsonBody(call.request, copyShape);
  const upsert = call.request.headers.get("x-upsert") === "true";
  const target = { bucket: body.destinationBucket ?? body.bucketId, key: body.destinationKey, version: randomUUID() };
  mustBeValidBucketName(body.bucketId);
  mustBeValidKey(target.key);

  const source = await call.session.run((tx) => findObject(tx, body.bucketId, body.sourceKey));
  await call.session.service.run((tx) => findBucket(tx, target.bucket));
  const write = { ...target, owner: ownerOf(call), ...copiedFacts(call, source, body) };
  await mayWrite(call.session, upsert, write);

  const { object } = await currentObject(
    call.session,
    body.bucketId,
    body.sourceKey,
    (blob) => call.blobs.copy(blob, target),
  );
  const row = await orDiscard(call, target, publish(call, upsert, { ...write, ...copiedFacts(call, object, body) }));
  return json({ Id: row.id, Key: `${target.bucket}/${target.key}`, ...row });
}

/** Undefined where the object was overwritten in the meantime: the bytes just copied are no longer its bytes. */
async function moveCurrent(
  call: Call,
  from: { bucket: string; key: string },
  target: ObjectWrite,
): Promise<ObjectRow | undefined> {
  const { service } = call.session;
  const { object } = await currentObject(service, from.bucket, from.key, (blob) => call.blobs.copy(blob, target));
  const update = service.run(async (tx) => {
    await lockKeys(tx, from, target);
    const current = await holdObject(tx, from.bucket, from.key);
    if (current?.version !== object.version) return undefined;
    return await moveObject(tx, from.bucket, from.key, target);
  });
  const row = await orDiscard(call, target, update);
  await call.blobs.discard([row === undefined ? target : blobOf(object)]);
  return row;
}

function copiedFacts(
  { request }: Call,
  source: ObjectRow,
  { copyMetadata, metadata }: z.infer<typeof copyShape>,
): Pick<ObjectWrite, "metadata" | "userMetadata"> {
  return {
    metadata: { ...source.metadata, ...(copyMetadata ? {} : metadata), lastModified: new Date().toISOString() },
    userMetadata: (copyMetadata ? source.user_metadata : userMetadataHeader(request.headers)) ?? {},
  };
}

function moved(row: ObjectRow): Response {
  return json({ message: "Successfully moved", Id: row.id, Key: row.name });
}

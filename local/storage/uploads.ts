import { randomUUID } from "node:crypto";
import { json } from "./answers.ts";
import type { BlobFacts, BlobId } from "./blobs.ts";
import { findBucket } from "./bucket-rows.ts";
import { type Call, ownerOf } from "./call.ts";
import { type IncomingFile, incomingFile } from "./incoming.ts";
import { mustBeValidBucketName, mustBeValidKey } from "./names.ts";
import type { ObjectMetadata } from "./object-rows.ts";
import type { Session } from "./session.ts";
import { verifyUploadToken } from "./signed-urls.ts";
import { mayWrite, orDiscard, publish } from "./writing.ts";

export async function upload(call: Call, bucket: string, key: string): Promise<Response> {
  const upsert = call.request.headers.get("x-upsert") === "true";
  return json(await receive(call, { bucket, key, upsert, session: call.session, owner: ownerOf(call) }));
}

export async function overwrite(call: Call, bucket: string, key: string): Promise<Response> {
  return json(await receive(call, { bucket, key, upsert: true, session: call.session, owner: ownerOf(call) }));
}

/** The right to upload was checked when the URL was signed, so row-level security is not asked again. */
export async function uploadToSignedUrl(call: Call, bucket: string, key: string): Promise<Response> {
  const { owner, upsert } = await verifyUploadToken(call.url.searchParams.get("token"), bucket, key);
  const { Key } = await receive(call, { bucket, key, upsert, session: call.session.service, owner });
  return json({ Key });
}

interface Target {
  bucket: string;
  key: string;
  upsert: boolean;
  session: Session;
  owner: string | undefined;
}

/**
 * Ask, store the bytes, write the row: a crash in between leaves a blob without a row, never a row without its blob.
 * No transaction is open while the bytes come in.
 */
async function receive(
  call: Call,
  { bucket, key, upsert, session, owner }: Target,
): Promise<{ Id: string; Key: string }> {
  mustBeValidBucketName(bucket);
  const row = await call.session.service.run((tx) => findBucket(tx, bucket));
  const file = await incomingFile(call.request, row, key);
  mustBeValidKey(key);
  const { mimetype, userMetadata, declaredLength } = file;
  const known = { mimetype, ...(declaredLength === undefined ? {} : { contentLength: declaredLength }) };
  await mayWrite(session, upsert, { bucket, key, owner, metadata: known, userMetadata });

  const blob: BlobId = { bucket, key, version: randomUUID() };
  const facts = await call.blobs.write(blob, file.bytes, file.limit);
  const write = { ...blob, owner, metadata: metadataOf(file, facts), userMetadata: userMetadata ?? {} };
  const { id } = await orDiscard(call, blob, publish(call, upsert, write));
  return { Id: id, Key: `${bucket}/${key}` };
}

function metadataOf({ mimetype, cacheControl }: IncomingFile, { eTag, size, lastModified }: BlobFacts): ObjectMetadata {
  return {
    eTag,
    size,
    mimetype,
    cacheControl,
    lastModified: lastModified.toISOString(),
    contentLength: size,
    httpStatusCode: 200,
  };
}

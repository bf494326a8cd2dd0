import { Readable } from "node:stream";
import { json } from "./answers.ts";
import type { OpenBlob } from "./blobs.ts";
import { findBucket } from "./bucket-rows.ts";
import type { Call } from "./call.ts";
import { currentObject } from "./current.ts";
import { refusals } from "./errors.ts";
import { mustBeValidKey } from "./names.ts";
import { findObject, type ObjectRow } from "./object-rows.ts";
import { attachment, notModified, objectHeaders, type Range, rangeOf } from "./object-headers.ts";
import type { Session } from "./session.ts";
import { verifyDownloadToken } from "./signed-urls.ts";

export async function download(call: Call, bucket: string, key: string): Promise<Response> {
  return await serve(call, await readerOf(call, bucket), bucket, key);
}

export async function downloadPublic(call: Call, bucket: string, key: string): Promise<Response> {
  return await serve(call, await publicReader(call, bucket), bucket, key);
}

export async function downloadSigned(call: Call, bucket: string, key: string): Promise<Response> {
  const ends = await verifyDownloadToken(call.url.searchParams.get("token"), bucket, key);
  const answer = await serve(call, call.session.service, bucket, key);
  answer.headers.delete("cache-control");
  answer.headers.set("expires", new Date(ends * 1000).toUTCString());
  return answer;
}

/** HEAD reads the row alone: it cannot tell that a blob is gone. */
export async function head(call: Call, bucket: string, key: string): Promise<Response> {
  return headOf(await objectOf(await readerOf(call, bucket), bucket, key));
}

export async function headPublic(call: Call, bucket: string, key: string): Promise<Response> {
  return headOf(await objectOf(await publicReader(call, bucket), bucket, key));
}

export async function info(call: Call, bucket: string, key: string): Promise<Response> {
  return infoOf(await objectOf(await readerOf(call, bucket), bucket, key));
}

export async function infoPublic(call: Call, bucket: string, key: string): Promise<Response> {
  return infoOf(await objectOf(await publicReader(call, bucket), bucket, key));
}

/** With whose eyes an object is read: a public bucket's by anybody, another's by those whom its policies let. */
async function readerOf(call: Call, bucket: string): Promise<Session> {
  const { public: isPublic } = await call.session.service.run((tx) => findBucket(tx, bucket));
  if (isPublic) return call.session.service;
  if (!call.authenticated) throw refusals.noSuchBucket();
  return call.session;
}

async function publicReader(call: Call, bucket: string): Promise<Session> {
  const { public: isPublic } = await call.session.service.run((tx) => findBucket(tx, bucket));
  if (!isPublic) throw refusals.noSuchBucket();
  return call.session.service;
}

async function objectOf(reader: Session, bucket: string, key: string): Promise<ObjectRow> {
  mustBeValidKey(key);
  return await reader.run((tx) => findObject(tx, bucket, key));
}

async function serve(call: Call, reader: Session, bucket: string, key: string): Promise<Response> {
  const { object, used: blob } = await currentObject(reader, bucket, key, (id) => call.blobs.open(id));
  const headers = objectHeaders(object);
  const name = call.url.searchParams.get("download");
  if (name !== null) headers.set("content-disposition", attachment(name));

  if (notModified(call.request, object)) {
    await blob.close();
    return new Response(null, { status: 304, headers });
  }
  const range = await rangeFor(call.request, blob);
  headers.set("content-length", String(range === undefined ? blob.size : range.end - range.start + 1));
  if (range !== undefined) headers.set("content-range", `bytes ${range.start}-${range.end}/${blob.size}`);
  return new Response(await bodyOf(blob, range), { status: range === undefined ? 200 : 206, headers });
}

async function rangeFor(request: Request, blob: OpenBlob): Promise<Range | undefined> {
  try {
    return rangeOf(request, blob.size);
  } catch (error) {
    await blob.close();
    throw error;
  }
}

async function bodyOf(blob: OpenBlob, range: Range | undefined): Promise<BodyInit | null> {
  if (blob.size === 0) {
    await blob.close();
    return "";
  }
  const stream = blob.stream(range?.start ?? 0, range?.end ?? blob.size - 1);
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}

function headOf(object: ObjectRow): Response {
  const headers = objectHeaders(object);
  const length = object.metadata?.contentLength;
  if (length !== undefined) headers.set("content-length", String(length));
  return new Response(null, { headers });
}

function infoOf(object: ObjectRow): Response {
  const { id, name, version, bucket_id, metadata, user_metadata, updated_at, created_at } = object;
  return json({
    id,
    name,
    version,
    bucket_id,
    size: metadata?.size ?? null,
    content_type: metadata?.mimetype ?? null,
    cache_control: metadata?.cacheControl ?? null,
    etag: metadata?.eTag ?? null,
    metadata: user_metadata,
    last_modified: updated_at,
    created_at,
  });
}

import { Buffer } from "node:buffer";
import { bytesOf } from "./body.ts";
import type { BucketRow } from "./bucket-rows.ts";
import { refusals } from "./errors.ts";
import { MAX_FILE_SIZE, MAX_USER_METADATA, mustBeAllowedType } from "./limits.ts";
import { firstFile } from "./multipart.ts";
import { isEmptyFolder } from "./names.ts";

/** A file on its way in: what is known of it before its bytes are read, and the bytes. */
export interface IncomingFile {
  bytes: AsyncIterable<Uint8Array>;
  /** The most that the bucket and the stack take. */
  limit: number;
  mimetype: string;
  cacheControl: string;
  userMetadata: Record<string, unknown> | undefined;
  /** What the request says of its length, for policies to read during the probe. */
  declaredLength: number | undefined;
}

/** Reads as much of an upload as it takes to refuse a wrong type and a size that is declared too large. */
export async function incomingFile(request: Request, bucket: BucketRow, key: string): Promise<IncomingFile> {
  const file = await fileOf(request);
  const limit = isEmptyFolder(key) ? 0 : Math.min(Number(bucket.file_size_limit ?? MAX_FILE_SIZE), MAX_FILE_SIZE);
  if (!isEmptyFolder(key)) mustBeAllowedType(file.mimetype, bucket.allowed_mime_types ?? []);
  // The length of a form counts more than its file, so a form is measured as it comes.
  if (!isForm(request) && (file.declaredLength ?? 0) > limit) throw refusals.tooLarge();
  return { ...file, limit };
}

async function fileOf(request: Request): Promise<Omit<IncomingFile, "limit">> {
  const { headers } = request;
  const declaredLength = lengthOf(headers.get("content-length"));
  if (!isForm(request)) {
    return {
      bytes: bytesOf(request),
      mimetype: headers.get("content-type") ?? "application/octet-stream",
      cacheControl: headers.get("cache-control") ?? "no-cache",
      userMetadata: userMetadataHeader(headers),
      declaredLength,
    };
  }
  const { fields, contentType, bytes } = await firstFile(bytesOf(request), headers.get("content-type") ?? "");
  const maxAge = fields.get("cacheControl");
  return {
    bytes,
    mimetype: fields.get("contentType") ?? contentType,
    cacheControl: maxAge === undefined || maxAge === "" ? "no-cache" : `max-age=${maxAge}`,
    userMetadata: userMetadataOf(fields.get("metadata") ?? fields.get("userMetadata")),
    declaredLength,
  };
}

/** The user's own metadata for a raw body or a copy: JSON in base64. */
export function userMetadataHeader(headers: Headers): Record<string, unknown> | undefined {
  const encoded = headers.get("x-metadata");
  return encoded === null ? undefined : userMetadataOf(Buffer.from(encoded, "base64").toString());
}

/** The storage server takes no offence at metadata that is not JSON: it stores none. */
function userMetadataOf(json: string | undefined): Record<string, unknown> | undefined {
  if (json === undefined) return undefined;
  if (Buffer.byteLength(json) > MAX_USER_METADATA) throw refusals.tooLarge("user_metadata");
  try {
    const parsed: unknown = JSON.parse(json);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isForm(request: Request): boolean {
  return request.headers.get("content-type")?.startsWith("multipart/form-data") ?? false;
}

function lengthOf(header: string | null): number | undefined {
  const length = Number(header ?? Number.NaN);
  return Number.isFinite(length) && length >= 0 ? length : undefined;
}

import pg from "pg";
import { TokenError } from "../auth/tokens.ts";

/** Of an error within, of what is not built here, and of a database that took too long. */
const OWN_FAILURES = [500, 501, 544];

/**
 * A refusal in the storage server's own words. Its `statusCode` travels in the body; the HTTP status is 400 for all
 * but the server's own failures, and storage-js relies on both.
 */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: string;
  readonly statusCode: number;
  /** The `error` field of the body: older than `code`, and kept for the clients that read it. */
  readonly label: string;

  constructor(statusCode: number, code: string, message: string, label = code, options?: ErrorOptions) {
    super(message, options);
    this.statusCode = statusCode;
    this.code = code;
    this.label = label;
  }

  get httpStatus(): number {
    return OWN_FAILURES.includes(this.statusCode) ? this.statusCode : 400;
  }
}

export const refusals = {
  noSuchBucket: () => new StorageError(404, "NoSuchBucket", "Bucket not found", "Bucket not found"),
  noSuchKey: () => new StorageError(404, "NoSuchKey", "Object not found", "not_found"),
  invalidKey: (key: string) => new StorageError(400, "InvalidKey", `Invalid key: ${key}`),
  invalidBucketName: () => new StorageError(400, "InvalidBucketName", "Bucket name invalid", "Invalid Input"),
  bucketAlreadyExists: () => new StorageError(409, "BucketAlreadyExists", "The resource already exists", "Duplicate"),
  keyAlreadyExists: () => new StorageError(409, "KeyAlreadyExists", "The resource already exists", "Duplicate"),
  bucketNotEmpty: () => new StorageError(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty"),
  mimeTypeNotAllowed: (type: string) =>
    new StorageError(415, "InvalidMimeType", `mime type ${type} is not supported`, "invalid_mime_type"),
  tooLarge: (entity = "object") =>
    new StorageError(413, "EntityTooLarge", `The ${entity} exceeded the maximum allowed size`, "Payload too large"),
  noContent: (reason = "No content provided") => new StorageError(400, "InvalidRequest", reason),
  invalidRequest: (reason: string, label = "Error") => new StorageError(400, "InvalidRequest", reason, label),
  invalidParameter: (name: string) => new StorageError(400, "InvalidParameter", `Invalid Parameter ${name}`),
  invalidRange: () => new StorageError(400, "InvalidRange", "invalid range provided", "invalid_range"),
  invalidSignature: (reason = "Invalid signature") => new StorageError(400, "InvalidSignature", reason),
  accessDenied: (reason = "Access denied", options?: ErrorOptions) =>
    new StorageError(403, "AccessDenied", reason, "Unauthorized", options),
  notAvailable: (reason: string) => new StorageError(409, "FeatureNotEnabled", reason),
};

/** The refusal of a bearer token. */
export function refusedToken(error: TokenError): StorageError {
  return refusals.accessDenied(wordsOf(error), { cause: error });
}

/** The refusal of the token inside a signed URL. */
export function refusedSignature(error: TokenError): StorageError {
  return new StorageError(400, "InvalidJWT", wordsOf(error), "InvalidJWT", { cause: error });
}

/** The storage server passes on what jose says. */
function wordsOf(error: TokenError): string {
  switch (error.reason) {
    case "expired":
      return '"exp" claim timestamp check failed';
    case "not yet valid":
      return '"nbf" claim timestamp check failed';
    case "invalid":
      return "signature verification failed";
    case "malformed":
      return "Invalid Compact JWS";
  }
}

/**
 * What the storage server makes of a statement that Postgres refused. Any other error stays as it is, a session that
 * Postgres ended among them: whether its last transaction was committed is not known.
 */
export function fromDatabase(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError) || error.severity !== "ERROR") return error;
  const options = { cause: error };
  switch (error.code) {
    case "42501":
      return refusals.accessDenied(
        error.message.includes("row-level security") ? "new row violates row-level security policy" : error.message,
        options,
      );
    case "23505":
      return new StorageError(409, "ResourceAlreadyExists", "The resource already exists", "Duplicate", options);
    case "23503":
      return new StorageError(404, "InvalidRequest", "The related resource does not exist", undefined, options);
    case "22P02":
      return new StorageError(400, "InvalidParameter", error.message, undefined, options);
    case "55P03":
      return new StorageError(423, "ResourceLocked", "The resource is locked", undefined, options);
    case "57014":
      return new StorageError(
        544,
        "DatabaseTimeout",
        "The connection to the database timed out",
        undefined,
        options,
      );
    case "42703":
    case "42P01":
      return new StorageError(503, "DatabaseSchemaMismatch", schemaMismatch(error), undefined, options);
    default:
      return new StorageError(500, "DatabaseError", `database error, code: ${error.code}`, undefined, options);
  }
}

/** For `catch`: a broken unique index, in the words that fit what was written. */
export function duplicateAs(refusal: () => StorageError): (error: unknown) => never {
  return (error) => {
    throw error instanceof pg.DatabaseError && error.code === "23505" ? refusal() : error;
  };
}

function schemaMismatch(error: pg.DatabaseError): string {
  return error.internalQuery === undefined
    ? "The database schema is out of sync. Please run migrations or contact support."
    : `There is a database schema mismatch in a trigger or RLS policy: ${error.where}`;
}

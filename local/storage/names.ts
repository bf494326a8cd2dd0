import { refusals } from "./errors.ts";

/** S3-safe ASCII: the storage server refuses accents and emoji in keys and bucket names alike. */
const KEY = /^[A-Za-z0-9_/!.*'() &$=@;:+,?-]+$/;
const BUCKET_NAME = /^[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}$/;
const MAX_KEY_LENGTH = 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

export function mustBeValidKey(key: string): void {
  if (!KEY.test(key) || key.length > MAX_KEY_LENGTH) throw refusals.invalidKey(key);
}

export function mustBeValidBucketName(name: string): void {
  if (!BUCKET_NAME.test(name)) throw refusals.invalidBucketName();
}

/** The placeholder by which the dashboard makes an empty folder: it holds no bytes and has any type. */
export function isEmptyFolder(key: string): boolean {
  return key.endsWith(".emptyFolderPlaceholder");
}

/** The deprecated `owner` columns hold UUIDs alone; `owner_id` holds any `sub`. */
export function uuidOrNull(owner: string | undefined): string | null {
  return owner !== undefined && UUID.test(owner) ? owner : null;
}

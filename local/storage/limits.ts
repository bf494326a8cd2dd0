import { refusals, StorageError } from "./errors.ts";

/** What `supabase start` allows: `[storage] file_size_limit = "50MiB"`. */
export const MAX_FILE_SIZE = 50 * 1024 * 1024;
export const MAX_USER_METADATA = 1024 * 1024;
export const MAX_OBJECTS_PER_REQUEST = 1000;
export const MAX_JSON_BODY = 1024 * 1024;

const UNITS = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };
const FILE_SIZE = /^(\d+(?:\.\d+)?)(gb|mb|kb|b)$/;
const MIME_TYPE = /^([\w.+-]+)\/([\w.+-]+)(;\s*charset=[\w-]+)?$|\*$/;

/** The limit of a bucket in bytes, from a number or from words such as `20MB`. */
export function bucketSizeLimit(limit: number | string): number {
  const bytes = typeof limit === "number" ? limit : bytesOf(limit);
  if (bytes > MAX_FILE_SIZE) throw refusals.tooLarge();
  return bytes;
}

function bytesOf(words: string): number {
  const match = FILE_SIZE.exec(words.toLowerCase());
  if (match === null) {
    throw new StorageError(400, "InvalidRequest", "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B");
  }
  return Math.round(Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]);
}

export function mustBeMimeTypes(types: string[]): void {
  const wrong = types.find((type) => type.length > 1000 || !MIME_TYPE.test(type));
  if (wrong !== undefined) throw refusals.mimeTypeNotAllowed(wrong);
}

/** Refuses a type that a bucket does not take. `image/*` takes every image; a bucket that names no type takes all. */
export function mustBeAllowedType(type: string, allowed: string[]): void {
  if (allowed.length === 0) return;
  const wanted = withoutParameters(type);
  const family = `${wanted.split("/")[0]}/*`;
  const fits = wanted.includes("/") && allowed.map(withoutParameters).some((one) => one === wanted || one === family);
  if (!fits) throw refusals.mimeTypeNotAllowed(type);
}

function withoutParameters(type: string): string {
  return type.replace(/;.*$/, "").trim().toLowerCase();
}

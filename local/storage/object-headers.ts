import { refusals } from "./errors.ts";
import type { ObjectRow } from "./object-rows.ts";

/** Bytes of a blob, both ends included. */
export interface Range {
  start: number;
  end: number;
}

export function objectHeaders({ metadata, updated_at }: ObjectRow): Headers {
  const headers = new Headers({
    "accept-ranges": "bytes",
    "content-type": harmless(metadata?.mimetype ?? "application/octet-stream"),
    "cache-control": metadata?.cacheControl ?? "no-cache",
    "last-modified": new Date(metadata?.lastModified ?? updated_at).toUTCString(),
    "x-robots-tag": "none",
  });
  if (metadata?.eTag !== undefined) headers.set("etag", metadata.eTag);
  return headers;
}

export function notModified({ headers }: Request, { metadata }: ObjectRow): boolean {
  const known = headers.get("if-none-match");
  if (known !== null) return known === metadata?.eTag;
  const since = Date.parse(headers.get("if-modified-since") ?? "");
  // HTTP dates have no milliseconds.
  return Math.floor(Date.parse(metadata?.lastModified ?? "") / 1000) * 1000 <= since;
}

/** The part of the blob that the request asks for; undefined for the whole. */
export function rangeOf({ headers }: Request, size: number): Range | undefined {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(headers.get("range")?.trim() ?? "");
  if (match === null) return undefined;
  const [first, last] = [match[1] ?? "", match[2] ?? ""];
  if (first === "" && last === "") throw refusals.invalidRange();
  const range = first === ""
    ? { start: Math.max(size - Number(last), 0), end: size - 1 }
    : { start: Number(first), end: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
  if (range.start > range.end) throw refusals.invalidRange();
  return range;
}

/** `Content-Disposition` for `?download=<name>`: a name for old clients, and the true one for the others. */
export function attachment(name: string): string {
  if (name === "") return "attachment;";
  const plain = name.replace(/[^\x20-\x7e]|["\\]/gu, "_");
  const token = /^[\w!#$%&'*+.^`|~-]+$/.test(plain) ? plain : `"${plain}"`;
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename=${token}; filename*=UTF-8''${encoded}`;
}

/** HTML is served as text: the stack's own origin must not run what users upload. */
function harmless(mimetype: string): string {
  return mimetype.toLowerCase().includes("text/html") ? "text/plain" : mimetype;
}

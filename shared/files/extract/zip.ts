import { ascii } from "./bytes.ts";
import { FileError } from "./file-error.ts";
import { LIMITS } from "./limits.ts";

export interface ZipEntry {
  name: string;
  isEncrypted: boolean;
  /** 0: stored; 8: deflated. */
  method: number;
  compressedBytes: number;
  /** As the directory says, which may be a lie. */
  unpackedBytes: number;
  /** Where its local header begins. */
  offset: number;
}

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;

/** What the archive says it has, by name; null where it has no directory that can be read. */
export function directoryOf(bytes: Uint8Array): Map<string, ZipEntry> | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOfDirectory(view);
  if (end === null) return null;
  const count = view.getUint16(end + 10, true);
  if (count > LIMITS.entries) throw zipBomb();
  const entries = new Map<string, ZipEntry>();
  let at = view.getUint32(end + 16, true);
  for (let seen = 0; seen < count; seen++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== DIRECTORY_ENTRY) return null;
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameBytes)).replaceAll("\\", "/");
    entries.set(name, {
      name,
      isEncrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      compressedBytes: view.getUint32(at + 20, true),
      unpackedBytes: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function endOfDirectory(view: DataView): number | null {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= Math.max(0, last - LONGEST_COMMENT); at--) {
    if (view.getUint32(at, true) === END_OF_DIRECTORY) return at;
  }
  return null;
}

/** Bytes that may still be unpacked, from all entries together. */
export interface Allowance {
  bytes: number;
}

export function newAllowance(): Allowance {
  return { bytes: LIMITS.unpackedBytes };
}

/**
 * The bytes of one entry. Sizes in the directory are only what a forger wrote there, so what comes out is counted
 * while it comes out.
 */
export async function unpack(bytes: Uint8Array, entry: ZipEntry, allowance: Allowance): Promise<Uint8Array> {
  if (entry.unpackedBytes > allowance.bytes) throw zipBomb();
  const packed = packedBytes(bytes, entry);
  if (packed === null || (entry.method !== 0 && entry.method !== 8)) throw damagedEntry(entry);
  if (entry.method === 0) {
    allowance.bytes -= packed.length;
    if (allowance.bytes < 0) throw zipBomb();
    return packed;
  }
  return await inflate(packed, entry, allowance);
}

function packedBytes(bytes: Uint8Array, { offset, compressedBytes }: ZipEntry): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (offset + 30 > view.byteLength || view.getUint32(offset, true) !== LOCAL_HEADER) return null;
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  return start + compressedBytes > bytes.length ? null : bytes.subarray(start, start + compressedBytes);
}

/**
 * Some runtimes inflate each piece that they are given as a whole, at most to a thousand times its size: small ones
 * keep that small.
 */
const PIECE_BYTES = 8 * 1024;

async function inflate(packed: Uint8Array, entry: ZipEntry, allowance: Allowance): Promise<Uint8Array> {
  let at = 0;
  const pieces = new ReadableStream<BufferSource>({
    pull(controller) {
      if (at >= packed.length) controller.close();
      else controller.enqueue(packed.slice(at, at += PIECE_BYTES));
    },
  });
  // Of the size that is said, so that it need not be copied; a lie costs no more than the copies.
  let out = new Uint8Array(entry.unpackedBytes);
  let length = 0;
  const reader = pieces.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw damagedEntry(entry, error);
    });
    if (done) return out.subarray(0, length);
    allowance.bytes -= value.length;
    if (allowance.bytes < 0) {
      await reader.cancel();
      throw zipBomb();
    }
    if (length + value.length > out.length) {
      const longer = new Uint8Array(2 * (length + value.length));
      longer.set(out.subarray(0, length));
      out = longer;
    }
    out.set(value, length);
    length += value.length;
  }
}

function zipBomb(): FileError {
  return new FileError(
    "zip_bomb",
    `The file is packed so that it unpacks to more than ${LIMITS.unpackedBytes / 1024 / 1024} MB, which no document ` +
      "is: save it anew from the program that made it, in several files if it is that long.",
  );
}

function damagedEntry({ name }: ZipEntry, cause?: unknown): FileError {
  return new FileError(
    "damaged",
    `A part of the file (${name.slice(0, 80)}) cannot be unpacked: it is damaged or was not uploaded as a whole. ` +
      "Save it anew and upload it again.",
    { cause },
  );
}

/** How every ZIP archive begins, and one without entries. */
export const ZIP_SIGNATURES = [ascii("PK\u0003\u0004"), ascii("PK\u0005\u0006")];

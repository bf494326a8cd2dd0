/**
 * The framing of the Postgres wire protocol, version 3: a type byte, a length that counts itself, a body.
 * Only what the embedded server needs to look at is decoded; everything else passes through untouched.
 */
import { Buffer } from "node:buffer";
export interface Frame {
  type: string;
  /** The whole message, header included. */
  bytes: Buffer;
}

const HEADER = 5;

/** Cuts a stream into whole messages; what is incomplete waits for the next chunk. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let buffer = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    while (buffer.length >= HEADER) {
      const length = 1 + buffer.readInt32BE(1);
      if (length < HEADER) throw new ProtocolError(`A message of length ${length - 1} is not possible`);
      if (buffer.length < length) break;
      frames.push({ type: String.fromCharCode(buffer[0] ?? 0), bytes: buffer.subarray(0, length) });
      buffer = buffer.subarray(length);
    }
    this.#rest = buffer;
    return frames;
  }
}

export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export function frame(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
  const header = Buffer.alloc(HEADER);
  header.write(type, "latin1");
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

export const query = (sql: string): Buffer => frame("Q", sql, "\0");
/** Unlike DEALLOCATE, closing a statement that is not there is no error. */
export const closeStatement = (name: string): Buffer => frame("C", "S", name, "\0");
export const sync = (): Buffer => frame("S");
export const authenticationOk = (): Buffer => frame("R", int32(0));
export const parameterStatus = (name: string, value: string): Buffer => frame("S", name, "\0", value, "\0");
export const backendKeyData = (id: number): Buffer => frame("K", int32(id), int32(0));
export const readyForQuery = (status: "I" | "T" | "E"): Buffer => frame("Z", status);
/** `copy … from stdin` accepted: text format, the columns left to the server's own check. */
export const copyInResponse = (): Buffer => frame("G", Buffer.from([0]), int16(0));

export function errorResponse(severity: "ERROR" | "FATAL", code: string, message: string, hint?: string): Buffer {
  const fields = [
    `S${severity}`,
    `V${severity}`,
    `C${code}`,
    `M${message}`,
    ...(hint === undefined ? [] : [`H${hint}`]),
  ];
  return frame("E", ...fields.map((field) => `${field}\0`), "\0");
}

/** The zero-terminated strings at the start of a message's body, as many as asked for. */
export function leadingStrings({ bytes }: Frame, count: number, from = HEADER): string[] {
  const strings: string[] = [];
  let start = from;
  for (let i = 0; i < count; i++) {
    const end = bytes.indexOf(0, start);
    if (end === -1) throw new ProtocolError(`A '${String.fromCharCode(bytes[0] ?? 0)}' message lacks its string`);
    strings.push(bytes.toString("utf8", start, end));
    start = end + 1;
  }
  return strings;
}

/** The same message with its prepared statement renamed: Parse, Bind, Describe and Close carry one. */
export function renameStatement(message: Frame, rename: (name: string) => string): Frame {
  const { type, bytes } = message;
  if (type === "P") {
    const [name = ""] = leadingStrings(message, 1);
    return replaceString(message, HEADER, name, rename(name));
  }
  if (type === "B") {
    const [portal = "", name = ""] = leadingStrings(message, 2);
    return replaceString(message, HEADER + Buffer.byteLength(portal) + 1, name, rename(name));
  }
  if ((type === "D" || type === "C") && bytes[HEADER] === "S".charCodeAt(0)) {
    const [name = ""] = leadingStrings(message, 1, HEADER + 1);
    return replaceString(message, HEADER + 1, name, rename(name));
  }
  return message;
}

/** The name of the prepared statement that a Parse, Bind, Describe or Close is about, if it is about one. */
export function statementOf(message: Frame): string | undefined {
  let found: string | undefined;
  renameStatement(message, (name) => (found = name));
  return found;
}

function replaceString({ type, bytes }: Frame, at: number, before: string, after: string): Frame {
  if (before === after) return { type, bytes };
  const rest = bytes.subarray(at + Buffer.byteLength(before));
  return { type, bytes: frame(type, bytes.subarray(HEADER, at), after, rest) };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

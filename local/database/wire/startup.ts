import type { Buffer } from "node:buffer";
import { ProtocolError } from "./frames.ts";

/** What a client says before its first message: a wish for encryption, a cancel, or who it is. */
export type Greeting =
  | { kind: "encryption" }
  | { kind: "cancel" }
  | { kind: "startup"; parameters: Map<string, string> }
  | { kind: "unknown"; protocol: number };

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PROTOCOL_3 = 3;
/** As Postgres itself: nobody has more to say than this before the first message. */
const LONGEST_GREETING = 10_000;

/** The greeting at the head of `buffer` and how many bytes it took; undefined while it is incomplete. */
export function readGreeting(buffer: Buffer): { greeting: Greeting; length: number } | undefined {
  if (buffer.length < 8) return undefined;
  const length = buffer.readInt32BE(0);
  if (length < 8 || length > LONGEST_GREETING) throw new ProtocolError(`A greeting of ${length} bytes is not possible`);
  const code = buffer.readInt32BE(4);
  if (code === SSL_REQUEST || code === GSS_REQUEST) return { greeting: { kind: "encryption" }, length };
  if (code === CANCEL_REQUEST) return { greeting: { kind: "cancel" }, length };
  if (code >> 16 !== PROTOCOL_3) return { greeting: { kind: "unknown", protocol: code >> 16 }, length };
  if (buffer.length < length) return undefined;
  const parts = buffer.toString("utf8", 8, length).split("\0");
  const parameters = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length && parts[i] !== ""; i += 2) parameters.set(parts[i] ?? "", parts[i + 1] ?? "");
  return { greeting: { kind: "startup", parameters }, length };
}

/** Settings asked for at connection: plain parameters, and `options=-c name=value --name=value`. */
export function settingsOf(parameters: Map<string, string>): Map<string, string> {
  const settings = new Map<string, string>();
  const options = parameters.get("options") ?? "";
  for (const [, name = "", value = ""] of options.matchAll(/(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\s\\])*)/g)) {
    settings.set(name.replaceAll("-", "_"), value.replace(/\\(.)/g, "$1"));
  }
  for (const [name, value] of parameters) {
    if (
      !["user", "database", "options", "replication", "application_name"].includes(name) && !name.startsWith("_pq_.")
    ) {
      settings.set(name, value);
    }
  }
  return settings;
}

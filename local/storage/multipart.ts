import { Buffer } from "node:buffer";
import { refusals } from "./errors.ts";
import { MAX_USER_METADATA } from "./limits.ts";

const BLANK_LINE = Buffer.from("\r\n\r\n");
const MAX_HEAD = 16 * 1024;
const MAX_FIELDS = 10;

export interface MultipartFile {
  /** The fields that came before the file; those after it are never read, as in the storage server. */
  fields: Map<string, string>;
  contentType: string;
  bytes: AsyncIterable<Uint8Array>;
}

/**
 * The first file of a multipart/form-data body, streamed: `Request.formData()` would hold the whole of it in memory.
 * A part is a file when it has a file name.
 */
export async function firstFile(body: AsyncIterable<Uint8Array>, contentType: string): Promise<MultipartFile> {
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
  const name = boundary?.[1] ?? boundary?.[2];
  if (name === undefined) throw refusals.noContent("Multipart: Boundary not found");

  const window = new Window(body);
  // The line break before the first boundary is optional, so it is supplied.
  window.prepend(Buffer.from("\r\n"));
  const delimiter = Buffer.from(`\r\n--${name}`);
  await collect(window.until(delimiter), MAX_HEAD);

  const fields = new Map<string, string>();
  while (fields.size <= MAX_FIELDS) {
    if ((await window.take(2)).toString() === "--") break;
    window.prepend(Buffer.from("\r\n"));
    const head = headersOf(await collect(window.until(BLANK_LINE), MAX_HEAD));
    if (head.fileName !== undefined) {
      return { fields, contentType: head.contentType, bytes: window.until(delimiter) };
    }
    const value = await collect(window.until(delimiter), MAX_USER_METADATA, head.name);
    fields.set(head.name, value.toString());
  }
  throw refusals.noContent();
}

function headersOf(head: Buffer): { name: string; fileName: string | undefined; contentType: string } {
  const lines = head.toString().split("\r\n");
  const disposition = lines.find((line) => /^content-disposition:/i.test(line)) ?? "";
  const type = lines.find((line) => /^content-type:/i.test(line));
  return {
    name: /;\s*name="([^"]*)"/i.exec(disposition)?.[1] ?? "",
    fileName: /;\s*filename="([^"]*)"/i.exec(disposition)?.[1],
    contentType: type?.replace(/^[^:]*:\s*/, "").trim() ?? "application/octet-stream",
  };
}

async function collect(bytes: AsyncIterable<Uint8Array>, limit: number, what = "multipart header"): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > limit) throw refusals.tooLarge(what === "metadata" ? "user_metadata" : what);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The part of the body that has arrived and is not used yet: never more than a chunk and a delimiter. */
class Window {
  #held: Buffer = Buffer.alloc(0);
  readonly #source: AsyncIterator<Uint8Array>;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#source = body[Symbol.asyncIterator]();
  }

  prepend(bytes: Buffer): void {
    this.#held = Buffer.concat([bytes, this.#held]);
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) await this.#more();
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** What comes before the delimiter, which is dropped. */
  async *until(delimiter: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
    while (true) {
      const at = this.#held.indexOf(delimiter);
      if (at >= 0) {
        const last = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + delimiter.length);
        if (last.length > 0) yield last;
        return;
      }
      // The end of what is held may be the beginning of a delimiter.
      const certain = this.#held.length - delimiter.length + 1;
      if (certain > 0) {
        const next = this.#held.subarray(0, certain);
        this.#held = this.#held.subarray(certain);
        yield next;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (done === true) throw refusals.noContent("Unexpected end of form");
    this.#held = this.#held.length === 0 ? Buffer.from(value) : Buffer.concat([this.#held, value]);
  }
}

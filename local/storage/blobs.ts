import { createHash, randomUUID } from "node:crypto";
import { constants, type ReadStream } from "node:fs";
import { copyFile, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Log } from "../log.ts";
import { makeDurableFolder, syncFolder, withSyncedFile } from "./durable.ts";
import { refusals } from "./errors.ts";

/** A blob is one version of one object. It is written once and never changed. */
export interface BlobId {
  bucket: string;
  key: string;
  version: string;
}

export interface BlobFacts {
  size: number;
  /** MD5 in quotes, as the file backend of the storage server makes it. */
  eTag: string;
  lastModified: Date;
}

export interface OpenBlob {
  size: number;
  /** The bytes from `start` to `end`, both included. The file is closed when the stream ends. */
  stream(start: number, end: number): ReadStream;
  close(): Promise<void>;
}

/**
 * Blobs in files. What `write` and `copy` have made survives `kill -9` whole: the bytes go to a file aside, reach the
 * disk, and only then get their name.
 */
export class BlobStore {
  readonly #root: string;
  readonly #aside: string;
  readonly #log: Log;
  readonly #swept: Promise<void>;

  constructor(root: string, log: Log) {
    this.#root = resolve(root);
    this.#aside = join(this.#root, ".uploading");
    this.#log = log;
    this.#swept = this.#sweep();
    this.#swept.catch((error: Error) => log.error(`storage: cannot use the folder ${this.#root}: ${error.message}`));
  }

  /** Takes in at most `limit` bytes: one more, and nothing of them stays. */
  async write(id: BlobId, bytes: AsyncIterable<Uint8Array>, limit: number): Promise<BlobFacts> {
    const hash = createHash("md5");
    let size = 0;
    await this.#place(id, (aside) =>
      withSyncedFile(aside, "wx", async (file) => {
        for await (const chunk of bytes) {
          size += chunk.length;
          if (size > limit) throw refusals.tooLarge();
          hash.update(chunk);
          await file.writeFile(chunk);
        }
      }));
    return { size, eTag: `"${hash.digest("hex")}"`, lastModified: new Date() };
  }

  /** Undefined where there is no such blob. */
  async copy(from: BlobId, to: BlobId): Promise<true | undefined> {
    try {
      await this.#place(to, async (aside) => {
        await copyFile(this.pathOf(from), aside, constants.COPYFILE_FICLONE);
        await withSyncedFile(aside, "r+");
      });
      return true;
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
  }

  /** The blob, open for reading; undefined where there is none. */
  async open(id: BlobId): Promise<OpenBlob | undefined> {
    try {
      const file = await open(this.pathOf(id), "r");
      const { size } = await file.stat();
      return { size, stream: (start, end) => file.createReadStream({ start, end }), close: () => file.close() };
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
  }

  /** Deletes blobs that no row refers to any more. One that stays behind wastes space and harms nobody. */
  async discard(ids: BlobId[]): Promise<void> {
    for (const id of ids) {
      await rm(this.pathOf(id), { force: true }).catch((error: Error) => {
        this.#log.warn(`storage: could not delete the blob of ${id.bucket}/${id.key}: ${error.message}`);
      });
    }
  }

  /**
   * Readable for people and safe for every key: what a file name may not hold is escaped, a long key is cut, and a hash
   * of the whole key keeps apart what escaping, cutting or a case-insensitive disk would mix up.
   */
  pathOf({ bucket, key, version }: BlobId): string {
    return join(
      this.#root,
      fileName(bucket),
      sha256(key).slice(0, 2),
      `${fileName(key)}.${isPlain(version) ? version : sha256(version)}`,
    );
  }

  async #place(id: BlobId, fill: (aside: string) => Promise<void>): Promise<void> {
    await this.#swept;
    const path = this.pathOf(id);
    const aside = join(this.#aside, randomUUID());
    try {
      await fill(aside);
      await makeDurableFolder(dirname(path));
      await rename(aside, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  /** Uploads that an earlier run did not finish are nobody's. */
  async #sweep(): Promise<void> {
    await makeDurableFolder(this.#aside);
    const leftovers = await readdir(this.#aside);
    await Promise.all(leftovers.map((name) => rm(join(this.#aside, name), { force: true })));
    if (leftovers.length > 0) this.#log.detail(`storage: swept ${leftovers.length} unfinished uploads`);
  }
}

function fileName(name: string): string {
  const readable = encodeURIComponent(name).replace(/[^\w.%-]/g, "_").slice(0, 80);
  return `${readable}-${sha256(name).slice(0, 32)}`;
}

/** The service gives every version a UUID, but a row can be written in SQL with any other. */
function isPlain(version: string): boolean {
  return /^[\w-]{1,64}$/.test(version);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function isMissingFile(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

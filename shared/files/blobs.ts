import { AccordError } from "../platform/errors.ts";

/** What came of asking for the bytes of an object. */
export type Download =
  | { outcome: "bytes"; bytes: Uint8Array }
  | { outcome: "too_large" }
  /** There is no such object, or there is one whose bytes are lost: the answer may be the same. */
  | { outcome: "missing" }
  /** The object is there and its bytes are not to be had; which may be the storage's doing as a whole. */
  | { outcome: "broken"; reason: string }
  /** No URL can name it: a `.` or `..` in its path is resolved on the way, and another file would be asked for. */
  | { outcome: "unnameable" }
  | { outcome: "refused"; reason: string };

/** The bytes of objects, by bucket and path. */
export interface BlobStore {
  /** Takes in at most `limit` bytes. `expected` is what the row says. */
  download(bucket: string, path: string, size: { expected: number; limit: number }): Promise<Download>;
}

/** No other file would be had either: none is to blame. */
export class StorageUnavailableError extends AccordError {
  override readonly name = "StorageUnavailableError";

  constructor(said: string, options: ErrorOptions & { details?: unknown } = {}) {
    super(
      "storage_unavailable",
      `The Storage API is out of order: ${said}. No file is charged; the queue goes on later.`,
      {
        status: 503,
        ...options,
      },
    );
  }
}

/** A failure as supabase-js tells it: `statusCode` is the storage's own word, which HTTP's status may hide. */
interface ToldError {
  message: string;
  status?: number | undefined;
  statusCode?: string | undefined;
}

type Answer<Data> = PromiseLike<{ data: Data | null; error: ToldError | null }>;

/** As much of supabase-js as a `BlobStore` needs. */
interface StorageClient {
  from(bucket: string): {
    download(
      path: string,
      options: Record<never, never>,
      parameters: { signal: AbortSignal },
    ): { asStream(): Answer<ReadableStream<Uint8Array>> };
    info(path: string): Answer<unknown>;
  };
}

/** As long as the largest file takes on a slow day, and short enough that the run can still tell of it. */
const TIMEOUT_MS = 45_000;

/** The Storage API through supabase-js. */
export function blobStore(storage: StorageClient, timeoutMs = TIMEOUT_MS): BlobStore {
  return {
    async download(bucket, path, size) {
      // With the key that is sent, what it would lead to need not even be a file, nor one of its uploader.
      if (DOTS.test(bucket) || DOTS.test(path)) return { outcome: "unnameable" };
      // supabase-js puts both into the URL as they are.
      const files = storage.from(encodeURIComponent(bucket));
      const { data, error } = await files.download(pathInUrl(path), {}, {
        signal: AbortSignal.timeout(timeoutMs),
      }).asStream();
      if (error === null) {
        return data === null ? { outcome: "bytes", bytes: new Uint8Array() } : await collect(data, size);
      }
      const status = statusOf(error);
      if (status === 404) return { outcome: "missing" };
      // Where blobs are files, a lost one is an error like any other; the row can tell whether the rest of it works.
      if (status === 500) {
        const { error: infoError } = await files.info(pathInUrl(path));
        if (infoError === null) return { outcome: "broken", reason: `${status} ${error.message}` };
        if (statusOf(infoError) === 404) return { outcome: "missing" };
      }
      if (status === null || status >= 500 || UNAVAILABLE.includes(status)) {
        throw new StorageUnavailableError(`it answers ${status ?? "nothing"} (${error.message})`, { cause: error });
      }
      return { outcome: "refused", reason: `${status} ${error.message}` };
    },
  };
}

/** The key is not taken, or too much was asked. */
const UNAVAILABLE = [401, 403, 408, 429];

/** Null where there was no answer. */
function statusOf({ status, statusCode }: ToldError): number | null {
  if (statusCode === "NoSuchKey") return 404;
  const own = Number(statusCode);
  return Number.isInteger(own) && own >= 400 ? own : status ?? null;
}

const DOTS = /(^|\/)\.{1,2}(\/|$)/;

/** Keys may hold `?` and begin with a slash, which a client takes for something else. */
function pathInUrl(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/").replace(/^\/+/, (slashes) => "%2F".repeat(slashes.length));
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  { expected, limit }: { expected: number; limit: number },
): Promise<Download> {
  // As large as it is going to be, so that a large file is in memory once.
  let bytes = new Uint8Array(Math.min(expected, limit));
  let length = 0;
  const reader = stream.getReader();
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      if (length + chunk.value.length > limit) {
        await reader.cancel();
        return { outcome: "too_large" };
      }
      if (length + chunk.value.length > bytes.length) {
        const larger = new Uint8Array(Math.min(limit, Math.max(2 * bytes.length, length + chunk.value.length)));
        larger.set(bytes.subarray(0, length));
        bytes = larger;
      }
      bytes.set(chunk.value, length);
      length += chunk.value.length;
    }
  } catch (error) {
    return { outcome: "broken", reason: error instanceof Error ? error.message : String(error) };
  }
  return { outcome: "bytes", bytes: length === bytes.length ? bytes : bytes.slice(0, length) };
}

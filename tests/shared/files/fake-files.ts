import { type BlobStore, type Download, StorageUnavailableError } from "../../../shared/files/blobs.ts";
import type { Extract } from "../../../shared/files/drain.ts";
import type { FileJob, FileOutcome, FileQueue, FileResult, ReadFile } from "../../../shared/files/queue.ts";
import type { Part, Progress } from "../../../shared/files/extract/slice.ts";

export interface FakeFile {
  path: string;
  /** Its text; pages are divided by form feeds. Null for an object that is gone. */
  text?: string | null;
  /** What its row says of its size; otherwise what it is. */
  size?: number | null;
  version?: string;
  progress?: Progress;
  userMetadata?: unknown;
  download?: Download | "unavailable";
}

export interface FakeFiles extends FileQueue {
  /** Every call, in its order. */
  readonly calls: { name: keyof FileQueue; about: unknown }[];
  readonly claims: number[];
  readonly finished: FileResult[][];
  readonly saved: { token: string; progress: Progress; parts: Part[] }[];
  readonly released: string[][];
  readonly ends: boolean[];
  readonly downloads: string[];
  /** The texts that came of it, by path. */
  readonly documents: Map<string, string>;
  readonly blobs: BlobStore;
}

interface FakeOptions {
  files: FakeFile[];
  /** How often a file's row is found locked before it can be written; Infinity for always. */
  busy?: Record<string, number>;
  /** What becomes of those that are finished while somebody writes to them. */
  outcomes?: Record<string, FileOutcome>;
  /** What happens before a call is answered; it may throw. */
  meet?: (name: keyof FileQueue, about: unknown) => void | Promise<void>;
}

const LIMIT = 1_000_000;

export function progressOf(page: number, pages: number): Progress {
  return { page, pages, characters: 0, title: null, votes: {}, pagesWithoutText: 0, unreadablePages: 0 };
}

/** The rules of the real queue, in memory; a file's path is its token. */
export function fakeFiles({ files, busy: busyTimes = {}, outcomes = {}, meet = () => {} }: FakeOptions): FakeFiles {
  const busy = { ...busyTimes };
  const due = files.map(({ path }) => path);
  const progress = new Map(files.map((file) => [file.path, file.progress ?? null]));
  const parts = new Map<string, Part[]>();

  function jobOf(path: string): FileJob[] {
    const file = files.find((file) => file.path === path);
    if (file === undefined) return [];
    return [{
      token: path,
      bucketId: "shelf",
      filePath: path,
      objectVersion: file.version ?? "first",
      fileSize: file.size === undefined ? bytesOf(file).length : file.size,
      sizeLimit: LIMIT,
      mimeType: "text/plain",
      userMetadata: file.userMetadata ?? null,
      progress: progress.get(path) ?? null,
      isGone: file.text === null,
    }];
  }

  function settle(result: FileResult): FileOutcome {
    const { token } = result;
    const times = busy[token] ?? 0;
    if (times > 0) {
      busy[token] = times - 1;
      return "busy";
    }
    const outcome = outcomes[token];
    if (outcome !== undefined) return outcome;
    if ("failure" in result) return result.failure.permanent ? "failed" : "retry";
    if ("parts" in result) {
      queue.documents.set(token, [...parts.get(token) ?? [], ...result.parts].map(({ content }) => content).join("|"));
    }
    return "completed";
  }

  async function called<Value>(name: keyof FileQueue, about: unknown, answer: () => Value): Promise<Value> {
    queue.calls.push({ name, about });
    await meet(name, about);
    return answer();
  }

  const queue: FakeFiles = {
    calls: [],
    claims: [],
    finished: [],
    saved: [],
    released: [],
    ends: [],
    downloads: [],
    documents: new Map(),
    claim: (batchSize) =>
      called("claim", batchSize, () => {
        queue.claims.push(batchSize);
        return due.splice(0, batchSize);
      }),
    read: (tokens) => called("read", tokens, () => tokens.flatMap(jobOf)),
    save: (token, objectVersion, next, some) =>
      called("save", { token, objectVersion }, () => {
        if (outcomes[token] === "lost_lease") return false;
        queue.saved.push({ token, progress: next, parts: some });
        progress.set(token, next);
        parts.set(token, [...parts.get(token) ?? [], ...some]);
        return true;
      }),
    finish: (results) =>
      called("finish", results, () => {
        queue.finished.push(results);
        return new Map(results.map((result) => [result.token, settle(result)]));
      }),
    release: (tokens) =>
      called("release", tokens, () => {
        queue.released.push(tokens);
        due.push(...tokens.filter((token) => outcomes[token] !== "lost_lease"));
      }),
    end: (goesOn) =>
      called("end", goesOn, () => {
        queue.ends.push(goesOn);
        return due.length;
      }),
    blobs: {
      download: (_bucket, path) => {
        queue.downloads.push(path);
        const file = files.find((file) => file.path === path);
        if (file?.download === "unavailable") return Promise.reject(new StorageUnavailableError("it answers 503"));
        if (file?.download !== undefined) return Promise.resolve(file.download);
        if (file === undefined || file.text === null) return Promise.resolve({ outcome: "missing" });
        return Promise.resolve({ outcome: "bytes", bytes: bytesOf(file) });
      },
    },
  };
  return queue;
}

function bytesOf({ path, text }: FakeFile): Uint8Array {
  return new TextEncoder().encode(text ?? `text of ${path}`);
}

/** Reads page by page; each takes as long as `perPage` makes the clock go on. */
export function fakeExtract(perPage: (page: number) => void | Promise<void> = () => {}): Extract {
  return async ({ bytes }, from, budget) => {
    const pages = new TextDecoder().decode(bytes).split("\f");
    const parts: Part[] = [];
    for (let page = from?.page ?? 1; page <= pages.length; page++) {
      await perPage(page);
      parts.push({ page, content: pages[page - 1] ?? "" });
      if (budget.isSpent() && page < pages.length) {
        return { parts, next: progressOf(page + 1, pages.length), ...known(pages) };
      }
    }
    return { parts, next: null, ...known(pages) };
  };
}

function known(pages: string[]) {
  return { title: null, locale: null, mimeType: "text/plain", metadata: { pages: pages.length } };
}

export function readFiles(queue: FakeFiles): ReadFile[] {
  return queue.finished.flat().flatMap((result) => "parts" in result ? [result] : []);
}

export function failures(queue: FakeFiles): Record<string, { message: string; permanent: boolean }> {
  return Object.fromEntries(
    queue.finished.flat().flatMap((result) => "failure" in result ? [[result.token, result.failure]] : []),
  );
}

import type { Clock } from "../platform/clock.ts";
import { type BlobStore, StorageUnavailableError } from "./blobs.ts";
import { documentOf } from "./document.ts";
import { FileError } from "./extract/file-error.ts";
import type { Budget, Progress, Slice, SourceFile } from "./extract/slice.ts";
import { finishFiles } from "./finish.ts";
import { isHarmless } from "./harmless.ts";
import type { FileJob, FileQueue, FileResult } from "./queue.ts";
import { emptyFilesReport, type FilesReport } from "./report.ts";
import { Work } from "./work.ts";

/** How one run of the worker goes about it; every option with its default. */
export interface FilesDrainOptions {
  /** Files claimed at a time, at most. */
  batchSize?: number;
  /** Processor time for one run; the platform ends a request at 2 s of it, and not all of it can be measured. */
  workMs?: number;
  /** After so long nothing more is begun; the platform ends a request at 150 s. */
  budgetMs?: number;
  /** How long an empty queue is watched before the run ends. */
  lingerMs?: number;
}

export const FILES_DRAIN_DEFAULTS = {
  batchSize: 16,
  workMs: 1_000,
  budgetMs: 90_000,
  lingerMs: 0,
} satisfies Required<FilesDrainOptions>;

/** Reads a file from where it stopped, for as long as the budget lasts. */
export type Extract = (file: SourceFile, from: Progress | null, budget: Budget) => Promise<Slice>;

export interface FilesDrainPorts {
  queue: FileQueue;
  blobs: BlobStore;
  extract: Extract;
  clock: Clock;
}

/** Empties the queue of files, as far as time allows; its end has a successor woken if something is left. */
export async function drainFiles(ports: FilesDrainPorts, options: FilesDrainOptions = {}): Promise<FilesReport> {
  return await new FilesDrain(ports, { ...FILES_DRAIN_DEFAULTS, ...options }).run();
}

/** Files that are leased together. */
interface Batch {
  /** Those that are neither finished nor given back. */
  held: Set<string>;
  /** Those that are to be handed in together. */
  done: FileResult[];
}

class FilesDrain {
  readonly #ports: FilesDrainPorts;
  readonly #options: Required<FilesDrainOptions>;
  readonly #startedAt: number;
  readonly #work: Work;
  readonly #report: FilesReport = emptyFilesReport();
  #isOver = false;
  /** The last file could not be downloaded, and it is not known whether that is the storage's fault. */
  #isStorageInDoubt = false;

  constructor(ports: FilesDrainPorts, options: Required<FilesDrainOptions>) {
    this.#ports = ports;
    this.#options = options;
    this.#startedAt = ports.clock.now();
    this.#work = new Work(ports.clock, options.workMs);
  }

  async run(): Promise<FilesReport> {
    const { queue, clock } = this.#ports;
    const report = this.#report;
    try {
      await this.#emptyQueue();
      const left = this.#options.lingerMs - this.#elapsed();
      if (left > 0 && this.#goesOn()) {
        await clock.wait(left);
        await this.#emptyQueue();
      }
    } catch (error) {
      if (!(error instanceof StorageUnavailableError)) {
        // Told is what broke the run, and not that its end fails for the same reason.
        await queue.end(false).catch(() => {});
        throw error;
      }
      report.stopped = { code: error.code, message: error.message };
    }
    // A successor would find the storage as it is: the schedule comes back later.
    report.remaining = await queue.end(report.stopped === null);
    report.durationMs = Math.round(this.#elapsed());
    return report;
  }

  #elapsed(): number {
    return this.#ports.clock.now() - this.#startedAt;
  }

  #goesOn(): boolean {
    return !this.#isOver && this.#work.hasRoomFor(0) && this.#elapsed() < this.#options.budgetMs;
  }

  /** One file first, then twice as many each time, as long as they are harmless. */
  async #emptyQueue(): Promise<void> {
    for (let size = 1; this.#goesOn();) {
      const tokens = await this.#ports.queue.claim(size);
      if (tokens.length === 0) return;
      this.#report.claimed += tokens.length;
      this.#work.addFiles(tokens.length);
      const wereHarmless = await this.#workOn({ held: new Set(tokens), done: [] });
      size = wereHarmless ? Math.min(2 * size, this.#options.batchSize) : 1;
    }
  }

  async #workOn(batch: Batch): Promise<boolean> {
    let goesOn = true;
    try {
      const jobs = await this.#ports.queue.read([...batch.held]);
      for (const job of jobs.sort((a, b) => (a.fileSize ?? 0) - (b.fileSize ?? 0))) {
        goesOn = goesOn && await this.#take(job, batch);
      }
      await this.#finish(batch);
      await this.#giveBack(batch);
    } catch (error) {
      // What has been read is not to be read again because another file was not to be had.
      if (error instanceof StorageUnavailableError) await this.#finish(batch);
      // Where even this fails, their leases run out.
      await this.#giveBack(batch).catch(() => {});
      throw error;
    }
    return goesOn;
  }

  /** False where the others of the batch are not to be taken any more. */
  async #take(job: FileJob, batch: Batch): Promise<boolean> {
    const { token } = job;
    const size = job.fileSize ?? 0;
    if (job.isGone || size > job.sizeLimit) {
      batch.done.push(job.isGone ? { token, isGone: true } : tooLarge(job));
      return true;
    }
    if (!this.#work.hasRoomFor(size) || this.#elapsed() >= this.#options.budgetMs) {
      this.#isOver = true;
      return false;
    }
    const file = await this.#open(job, batch);
    if (file === null) return true;
    if (isHarmless(file)) {
      await this.#read(job, file, batch);
      return true;
    }
    // A reader of such files may end the whole worker. It is charged for that, and nobody else.
    await this.#finish(batch);
    await this.#giveBack(batch, token);
    await this.#read(job, file, batch);
    return false;
  }

  /** The file with its bytes, or null where it has none and what becomes of it is settled. */
  async #open(job: FileJob, batch: Batch): Promise<SourceFile | null> {
    const { token, bucketId, filePath, mimeType, sizeLimit } = job;
    const download = await this.#ports.blobs.download(bucketId, filePath, {
      expected: job.fileSize ?? 0,
      limit: sizeLimit,
    });
    const fail = (message: string) => void batch.done.push({ token, failure: { message, permanent: false } });
    switch (download.outcome) {
      case "bytes":
        this.#isStorageInDoubt = false;
        this.#work.addDownload(download.bytes.length);
        this.#report.bytes += download.bytes.length;
        return { name: filePath, mimeType, bytes: download.bytes };
      case "too_large":
        batch.done.push(tooLarge(job));
        break;
      case "missing":
        await this.#settleMissing(job, batch);
        break;
      case "broken":
        if (this.#isStorageInDoubt) {
          throw new StorageUnavailableError(`two files in a row cannot be downloaded (${download.reason})`);
        }
        this.#isStorageInDoubt = true;
        fail(
          `Its bytes cannot be downloaded: the storage answers ${download.reason}. Upload it again if that goes on.`,
        );
        break;
      case "unnameable": {
        const message = 'A folder in its name is "." or "..", which no URL can name. Move it to another path.';
        batch.done.push({ token, failure: { message, permanent: true } });
        break;
      }
      case "refused":
        fail(`The storage does not give it out: ${download.reason}.`);
        break;
    }
    return null;
  }

  /** The object may have gone or been moved since its row was read. */
  async #settleMissing({ token, filePath, objectVersion }: FileJob, batch: Batch): Promise<void> {
    const [now] = await this.#ports.queue.read([token]);
    if (now === undefined) batch.held.delete(token);
    else if (now.isGone) batch.done.push({ token, isGone: true });
    else if (now.filePath === filePath && now.objectVersion === objectVersion) {
      const message = "Its bytes are lost: the storage lists the file and has nothing to give out. Upload it again.";
      batch.done.push({ token, failure: { message, permanent: false } });
    }
    // What has changed meanwhile is given back, and read as it is then.
  }

  /** Reads a file as far as the budget allows, or until it is lost. What is not finished stays held, and is given back. */
  async #read(job: FileJob, file: SourceFile, batch: Batch): Promise<void> {
    const { token, objectVersion } = job;
    let from = job.progress;
    do {
      let slice: Slice;
      try {
        slice = await this.#work.measure(() => this.#ports.extract(file, from, this.#work));
      } catch (error) {
        batch.done.push({ token, failure: failureOf(error) });
        return;
      }
      this.#report.slices++;
      if (slice.next === null) {
        batch.done.push(documentOf(job, slice));
        return;
      }
      if (slice.parts.length === 0 && JSON.stringify(slice.next) === JSON.stringify(from)) {
        const message = `It cannot be read further than ${JSON.stringify(from)}.`;
        batch.done.push({ token, failure: { message, permanent: true } });
        return;
      }
      if (!await this.#ports.queue.save(token, objectVersion, slice.next, slice.parts)) return;
      from = slice.next;
    } while (!this.#work.isSpent() && this.#elapsed() < this.#options.budgetMs);
  }

  async #finish(batch: Batch): Promise<void> {
    const report = this.#report;
    for (const [token, outcome] of await finishFiles(this.#ports, batch.done.splice(0))) {
      if (outcome === "busy") continue;
      batch.held.delete(token);
      if (outcome === "completed") report.completed++;
      if (outcome === "requeued") report.requeued++;
      if (outcome === "retry" || outcome === "failed") report.failed++;
    }
  }

  async #giveBack({ held }: Batch, except?: string): Promise<void> {
    const tokens = [...held].filter((token) => token !== except);
    if (tokens.length > 0) await this.#ports.queue.release(tokens);
    for (const token of tokens) held.delete(token);
  }
}

function tooLarge({ token, fileSize, sizeLimit }: FileJob): FileResult {
  const [size, limit] = [fileSize ?? 0, sizeLimit].map((bytes) => `${bytes.toLocaleString("en-US")} bytes`);
  const message = `The file has ${(fileSize ?? 0) > sizeLimit ? size : "more"}; the limit is ${limit}. ` +
    "Split it, or raise the setting files_size_limit.";
  return { token, failure: { message, permanent: true } };
}

function failureOf(error: unknown): { message: string; permanent: boolean } {
  if (error instanceof FileError) return { message: error.message, permanent: true };
  return { message: `It cannot be read. ${error instanceof Error ? error.message : String(error)}`, permanent: false };
}

import type { Clock } from "../platform/clock.ts";
import type { Budget } from "./extract/slice.ts";

/** What a file costs beside its text, to be claimed, downloaded and finished; as measured on the platform's Deno. */
const FILE_MS = 2;
const DOWNLOADED_MEGABYTE_MS = 3;
/** What a text may be expected to cost, so that it is not begun with too little left. */
const FEWEST_MS = 50;
const EXPECTED_MEGABYTE_MS = 300;
/** No file is to wait for ever for more than a new run has left after a few small ones. */
const LARGEST_SHARE = 0.75;

/**
 * Counts the processor time that a run uses, as far as it can be known: only what is measured around work counts, and
 * not what is spent waiting.
 */
export class Work implements Budget {
  readonly #clock: Clock;
  readonly #limitMs: number;
  #spentMs = 0;
  #startedAt: number | null = null;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  isSpent(): boolean {
    return this.#left() <= 0;
  }

  /** Whether a file of so many bytes may be begun. */
  hasRoomFor(bytes: number): boolean {
    const expected = FEWEST_MS + megabytes(bytes) * EXPECTED_MEGABYTE_MS;
    return this.#left() >= Math.min(expected, LARGEST_SHARE * this.#limitMs);
  }

  addFiles(count: number): void {
    this.#spentMs += count * FILE_MS;
  }

  addDownload(bytes: number): void {
    this.#spentMs += megabytes(bytes) * DOWNLOADED_MEGABYTE_MS;
  }

  async measure<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#startedAt = this.#clock.now();
    try {
      return await work();
    } finally {
      this.#spentMs += this.#clock.now() - this.#startedAt;
      this.#startedAt = null;
    }
  }

  #left(): number {
    const underWay = this.#startedAt === null ? 0 : this.#clock.now() - this.#startedAt;
    return this.#limitMs - this.#spentMs - underWay;
  }
}

function megabytes(bytes: number): number {
  return bytes / 1_048_576;
}

/** What one function may use. The defaults are the platform's. */
export interface Limits {
  /** How long a request, and what it leaves running behind it, may take in all. Default: 150 s. */
  wallClockMs: number;
  /** How long a caller waits for the first byte of an answer. Default: 150 s. */
  firstByteMs: number;
  /** How long a function may take to start. Default: 60 s, for a machine that is busy with other things. */
  bootMs: number;
  /** Default: 256 MB. */
  memoryMb: number;
}

export const PLATFORM_LIMITS: Limits = { wallClockMs: 150_000, firstByteMs: 150_000, bootMs: 60_000, memoryMb: 256 };

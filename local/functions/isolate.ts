import { randomUUID } from "node:crypto";
import type { Log } from "../log.ts";
import { DenoProcess, type Launch } from "./deno-process.ts";
import { FunctionFailure } from "./failures.ts";
import { type Answer, forward, UnreachableError, UploadError } from "./forward.ts";
import type { Limits } from "./limits.ts";

export interface Birth extends Omit<Launch, "print" | "memoryMb"> {
  name: string;
  /** What its sources looked like when it started. */
  stamp: string;
  limits: Limits;
  log: Log;
}

/** One running copy of a function: as many requests as come, until its sources change or a limit is reached. */
export class Isolate {
  readonly executionId = randomUUID();
  readonly stamp: string;
  readonly exited: Promise<void>;
  /** Whether a new request may still be sent to it. */
  isOpen = true;
  readonly #name: string;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #process: DenoProcess;
  #requests = 0;
  #lastBegan = Date.now();
  #isServing = false;
  #isEnding = false;
  #isOverLimit = false;
  #rest: NodeJS.Timeout | undefined;

  constructor(birth: Birth) {
    this.stamp = birth.stamp;
    this.#name = birth.name;
    this.#limits = birth.limits;
    this.#log = birth.log;
    this.#process = new DenoProcess({
      ...birth,
      environment: {
        ...birth.environment,
        SB_EXECUTION_ID: this.executionId,
        DENO_DEPLOYMENT_ID: `local_${birth.name}_1`,
        SUPABASE_FUNCTION_SLUG: birth.name,
      },
      memoryMb: birth.limits.memoryMb,
      print: (line, stream) => birth.log[stream === "stdout" ? "info" : "warn"](this.#line(line)),
    });
    this.exited = this.#process.exited.then((how) => this.#noteEnd(how));
  }

  /** The function's own answer. `path` is what the function sees: `/<name>/…`. */
  async fetch(request: Request, path: string, headers: Headers): Promise<Answer> {
    const release = this.#hold();
    try {
      const port = await this.#started();
      const answer = await this.#forward(request, { port, path, headers });
      void answer.ended.then(release);
      return answer;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Takes no more requests, lets those that it has finish, and ends. */
  retire(): void {
    this.isOpen = false;
    if (this.#requests === 0) this.end();
  }

  /** Ends at once, whatever it is doing. */
  end(): void {
    this.isOpen = false;
    this.#isEnding = true;
    this.#process.kill();
  }

  async #started(): Promise<number> {
    const tooLong = setTimeout(() => {
      if (this.#isEnding) return;
      this.#log.error(this.#line(`did not start within ${this.#limits.bootMs / 1000} s: stopped`));
      this.end();
    }, this.#limits.bootMs);
    try {
      const port = await this.#process.ready;
      this.#isServing = true;
      return port;
    } catch (cause) {
      await this.exited;
      throw new FunctionFailure("BOOT_ERROR", undefined, { cause });
    } finally {
      clearTimeout(tooLong);
    }
  }

  async #forward(request: Request, to: { port: number; path: string; headers: Headers }): Promise<Answer> {
    const { firstByteMs, wallClockMs } = this.#limits;
    this.#lastBegan = Date.now();
    const patience = new AbortController();
    const idle = new FunctionFailure("IDLE_TIMEOUT", `Request idle timeout limit (${firstByteMs / 1000}s) reached`);
    const firstByte = setTimeout(() => patience.abort(idle), firstByteMs);
    const wallClock = setTimeout(() => this.#exceedWallClock(), wallClockMs);
    try {
      const answer = await forward(request, to, AbortSignal.any([request.signal, patience.signal]));
      void answer.ended.then(() => clearTimeout(wallClock));
      return answer;
    } catch (error) {
      clearTimeout(wallClock);
      if (patience.signal.aborted) throw idle;
      if (request.signal.aborted || error instanceof UploadError) throw error;
      throw await this.#lossOf(error);
    } finally {
      clearTimeout(firstByte);
    }
  }

  /** Deno answers even for a handler that throws, so a connection that breaks means that the process is dying. */
  async #lossOf(error: unknown): Promise<unknown> {
    this.#isEnding ||= error instanceof UnreachableError;
    this.#process.kill();
    await this.exited;
    if (error instanceof UnreachableError) return error;
    return new FunctionFailure(this.#isOverLimit ? "WORKER_LIMIT" : "WORKER_ERROR", undefined, { cause: error });
  }

  #exceedWallClock(): void {
    if (this.#isEnding) return;
    this.#log.error(this.#line(`wall clock limit of ${this.#limits.wallClockMs / 1000} s reached: stopped`));
    this.#isOverLimit = true;
    this.end();
  }

  /** Counts a request in; the function that comes back counts it out, once. */
  #hold(): () => void {
    this.#requests++;
    clearTimeout(this.#rest);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#requests === 0) this.#settle();
    };
  }

  /** What the last request left running behind it has the rest of that request's wall clock. */
  #settle(): void {
    if (!this.isOpen) return this.end();
    this.#rest = setTimeout(() => this.end(), this.#lastBegan + this.#limits.wallClockMs - Date.now());
    this.#rest.unref();
  }

  #noteEnd(how: string): void {
    this.isOpen = false;
    clearTimeout(this.#rest);
    if (this.#process.ranOutOfMemory) {
      this.#isOverLimit = true;
      this.#log.error(this.#line(`needed more than ${this.#limits.memoryMb} MB of memory: stopped`));
    } else if (!this.#isEnding) {
      this.#log.error(this.#line(`${this.#isServing ? "" : "did not start: "}${how}; the next call starts it again`));
    }
  }

  #line(text: string): string {
    return `${this.#name} | ${text}`;
  }
}

/** Whether the one who had the turn keeps it: inside a transaction nobody else may speak. */
export type TurnEnd = "released" | "kept";

interface Job<Owner> {
  owner: Owner;
  run: () => Promise<TurnEnd>;
}

/**
 * The single backend, shared out turn by turn: first come, first served, except that whoever is inside a transaction
 * goes on alone until it ends.
 */
export class Turns<Owner> {
  readonly #jobs: Job<Owner>[] = [];
  readonly #onFailure: (owner: Owner, error: unknown) => void;
  #holder: Owner | undefined;
  #running = false;
  #heldSince = 0;

  constructor(onFailure: (owner: Owner, error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  take(owner: Owner, run: () => Promise<TurnEnd>): void {
    this.#jobs.push({ owner, run });
    void this.#runNext();
  }

  /** Whoever has kept the backend for longer than `patience` while others wait. */
  overdue(patience: number): Owner | undefined {
    if (this.#holder === undefined || this.#running) return undefined;
    const othersWait = this.#jobs.length > 0;
    return othersWait && performance.now() - this.#heldSince > patience ? this.#holder : undefined;
  }

  /** Forgets what this owner still wanted to say; a job of its own may follow to clean up. */
  forget(owner: Owner): void {
    for (let i = this.#jobs.length - 1; i >= 0; i--) if (this.#jobs[i]?.owner === owner) this.#jobs.splice(i, 1);
  }

  async #runNext(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let job = this.#next(); job !== undefined; job = this.#next()) {
      let end: TurnEnd = "released";
      try {
        end = await job.run();
      } catch (error) {
        this.#onFailure(job.owner, error);
      }
      this.#holder = end === "kept" ? job.owner : undefined;
      this.#heldSince = performance.now();
    }
    this.#running = false;
  }

  #next(): Job<Owner> | undefined {
    const holder = this.#holder;
    const at = holder === undefined ? 0 : this.#jobs.findIndex((job) => job.owner === holder);
    return at === -1 ? undefined : this.#jobs.splice(at, 1)[0];
  }
}

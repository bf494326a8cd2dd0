import type pg from "pg";
import type { OwnDatabase } from "./own-database.ts";

/** Every order in which the steps of several actors can follow each other, each actor's own in their order. */
export function* interleavings<Step>(sequences: Step[][], before: Step[] = []): Generator<Step[]> {
  if (sequences.every((sequence) => sequence.length === 0)) return yield before;
  for (const [i, [next, ...rest]] of sequences.entries()) {
    if (next !== undefined) yield* interleavings(sequences.with(i, rest), [...before, next]);
  }
}

/** Actors with a session each, and somebody who sees which of them waits for another's lock. */
export class Stage<Actor extends string> {
  readonly observer: pg.Client;
  readonly #sessions: Map<Actor, { client: pg.Client; pid: number }>;

  private constructor(observer: pg.Client, sessions: Map<Actor, { client: pg.Client; pid: number }>) {
    this.observer = observer;
    this.#sessions = sessions;
  }

  static async on<Actor extends string>(database: OwnDatabase, actors: readonly Actor[]): Promise<Stage<Actor>> {
    const sessions = new Map<Actor, { client: pg.Client; pid: number }>();
    for (const actor of actors) {
      const client = await database.connect();
      const { rows: [backend] } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      sessions.set(actor, { client, pid: backend?.pid ?? 0 });
    }
    return new Stage(await database.connect(), sessions);
  }

  sessionOf(actor: Actor): pg.Client {
    const session = this.#sessions.get(actor);
    if (session === undefined) throw new Error(`There is no ${actor} on this stage.`);
    return session.client;
  }

  /** Takes the steps in this order; one that waits for another's lock goes on in the background, as it would in life. */
  async play<Act extends string>(
    order: `${Actor}.${Act}`[],
    take: (actor: Actor, act: Act) => Promise<unknown>,
  ): Promise<void> {
    const latest = new Map<Actor, Promise<unknown>>();
    for (const step of order) {
      const [actor, act] = step.split(".") as [Actor, Act];
      const taken = (latest.get(actor) ?? Promise.resolve()).then(() => take(actor, act));
      latest.set(actor, taken);
      await Promise.race([taken, this.#untilBlocked(actor, taken)]);
    }
    await Promise.all(latest.values());
  }

  async #untilBlocked(actor: Actor, taken: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = taken.finally(() => (isOver = true));
    over.catch(() => {});
    while (!isOver) {
      const { rows: [lock] } = await this.observer.query<{ blocked: boolean }>(
        "select cardinality(pg_blocking_pids($1)) > 0 as blocked",
        [this.#sessions.get(actor)?.pid],
      );
      if (lock?.blocked) return;
    }
  }
}

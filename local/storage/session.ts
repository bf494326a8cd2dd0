import pg from "pg";
import type { Caller, Database, Settings } from "../database/database.ts";
import { fromDatabase } from "./errors.ts";

export type Transaction = pg.PoolClient;

const ATTEMPTS = 3;
const SERVICE: Caller = { role: "service_role", claims: { role: "service_role" } };

/** The storage rows as one caller may see and change them. Each unit of work is one short transaction. */
export class Session {
  readonly caller: Caller;
  readonly #database: Database;
  readonly #settings: Settings;

  constructor(database: Database, caller: Caller, settings: Settings) {
    this.#database = database;
    this.caller = caller;
    this.#settings = settings;
  }

  /** The same request, past row-level security. */
  get service(): Session {
    return new Session(this.#database, SERVICE, this.#settings);
  }

  /** Runs the work again where Postgres chose it as the victim of a deadlock, so it must do nothing but statements. */
  async run<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#database.as(this.caller, work, this.#settings);
      } catch (error) {
        if (attempt === ATTEMPTS || !isDeadlock(error)) throw fromDatabase(error);
      }
    }
  }

  /** Does the work to learn whether the caller may, then undoes it. Triggers see it happen, policies decide. */
  async probe(work: (tx: Transaction) => Promise<unknown>): Promise<void> {
    const undo = new Error("Undo what was only a question of permission");
    await this.run(async (tx) => {
      await work(tx);
      throw undo;
    }).catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  }

  /** Goes on in a transaction that another session began, with this caller's rights. */
  async takeOver(tx: Transaction): Promise<void> {
    const { role, claims } = this.caller;
    await tx.query(
      `select set_config('role', $1, true), set_config('request.jwt.claim.role', $1, true),
        set_config('request.jwt.claims', $2, true), set_config('request.jwt.claim.sub', $3, true)`,
      [role, JSON.stringify(claims), typeof claims.sub === "string" ? claims.sub : ""],
    );
  }
}

function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === "40P01";
}

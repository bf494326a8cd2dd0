import pg from "pg";

/** Whoever is behind a request: the Postgres role it acts as and the claims that policies read. */
export interface Caller {
  role: string;
  claims: Record<string, unknown>;
}

/** Session settings that live for one transaction, such as `request.method`. */
export type Settings = Record<string, string>;

/**
 * The one way in which the services of the stack reach Postgres, embedded or not.
 * Each unit of work is one transaction: PGlite serves one session at a time, so none may be held open while waiting
 * for anything but the database.
 */
export class Database {
  readonly url: string;
  readonly #pool: pg.Pool;

  constructor(url: string, options: { connections?: number } = {}) {
    this.url = url;
    this.#pool = new pg.Pool({
      connectionString: url,
      max: options.connections ?? 4,
      application_name: "accord-local",
    });
    // A connection that breaks while idle is replaced by the pool at the next use; the error surfaces there.
    this.#pool.on("error", () => {});
  }

  /** Runs `work` in one transaction with the caller's role and claims: row-level security is real. */
  as<T>(caller: Caller, work: (tx: pg.PoolClient) => Promise<T>, settings: Settings = {}): Promise<T> {
    return this.#transaction(async (tx) => {
      const all: Settings = {
        role: caller.role,
        "request.jwt.claims": JSON.stringify(caller.claims),
        "request.jwt.claim.sub": typeof caller.claims.sub === "string" ? caller.claims.sub : "",
        "request.jwt.claim.role": caller.role,
        ...settings,
      };
      const names = Object.keys(all);
      const calls = names.map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, true)`).join(", ");
      await tx.query(`select ${calls}`, names.flatMap((name) => [name, all[name]]));
      return await work(tx);
    });
  }

  /** Runs `work` in one transaction as the stack itself, past row-level security. */
  asStack<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#transaction(work);
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values)).rows;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #transaction<T>(work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
    const tx = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await tx.query("begin");
      const result = await work(tx);
      await tx.query("commit");
      return result;
    } catch (error) {
      await tx.query("rollback").catch((rollbackError: Error) => {
        broken = rollbackError;
      });
      throw error;
    } finally {
      tx.release(broken);
    }
  }
}

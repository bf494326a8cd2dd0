import { createServer, type Server, type Socket } from "node:net";
import type { PGlite } from "@electric-sql/pglite";
import { Backend } from "./backend.ts";
import { Client } from "./client.ts";
import { Turns } from "./turns.ts";

/** How long a client may sit idle inside a transaction while others wait for the only backend there is. */
const IDLE_IN_TRANSACTION_PATIENCE_MS = 30_000;

/**
 * PGlite behind the Postgres wire protocol, for any number of clients.
 *
 * One backend serves them all, so a transaction runs alone and waits for nobody: nothing about concurrency can be
 * learnt here. What a client may expect of its own session holds all the same: role, settings, prepared statements,
 * notifications. Temporary tables and session-level advisory locks are shared, and a query cannot be cancelled.
 * (`@electric-sql/pglite-socket` 0.2 interleaves single messages of several clients and shares their settings and
 * statement names, which is why this server exists.)
 */
export class WireServer {
  readonly #backend: Backend;
  readonly #turns: Turns<Client>;
  readonly #clients = new Set<Client>();
  readonly #server: Server;
  readonly #onBroken: (error: unknown) => void;
  #nextId = 1;
  #guard: NodeJS.Timeout | undefined;

  constructor(db: PGlite, options: { onBroken: (error: unknown) => void }) {
    this.#backend = new Backend(db);
    this.#onBroken = options.onBroken;
    this.#turns = new Turns((client, error) => {
      client.end();
      this.#onBroken(error);
    });
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    this.#guard = setInterval(() => {
      this.#turns.overdue(IDLE_IN_TRANSACTION_PATIENCE_MS)?.dismiss();
    }, IDLE_IN_TRANSACTION_PATIENCE_MS / 10);
    this.#guard.unref();
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  async close(): Promise<void> {
    clearInterval(this.#guard);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of this.#clients) client.end();
    await closed;
  }

  #accept(socket: Socket): void {
    const client = new Client(this.#nextId++, socket, this.#backend, this.#turns, this.#clients);
    this.#clients.add(client);
    socket.once("close", () => this.#clients.delete(client));
  }
}

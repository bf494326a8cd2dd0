import pg from "pg";
import type { Database } from "../../database/database.ts";
import type { Log } from "../../log.ts";
import type { SchemaFacts } from "./facts.ts";
import { loadSchema } from "./load.ts";

/**
 * Keeps the facts about the schema until `notify pgrst` says that they changed, which an event trigger does after
 * every change. They are read again at the next request, so that a migration of many statements costs one reading.
 */
export class SchemaCache {
  readonly #database: Database;
  readonly #log: Log;
  #facts: Promise<SchemaFacts> | undefined;
  #listener: Promise<pg.Client> | undefined;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  async facts(): Promise<SchemaFacts> {
    // Listening comes first: a change after the reading began is then never missed.
    await (this.#listener ??= this.#listen());
    const facts = this.#facts ??= loadSchema(this.#database);
    return await facts.catch((error: unknown) => {
      if (this.#facts === facts) this.#facts = undefined;
      throw error;
    });
  }

  /** The facts as they are now, for whoever missed something in `known`. */
  async factsNewerThan(known: SchemaFacts): Promise<SchemaFacts> {
    if (await this.#facts === known) this.#facts = undefined;
    return await this.facts();
  }

  async close(): Promise<void> {
    const listener = await this.#listener;
    await listener?.end();
  }

  async #listen(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#database.url, application_name: "accord-local-rest" });
    // Nothing is heard while the connection is gone, so the facts go with it; the next request listens anew.
    const forget = () => {
      this.#listener = undefined;
      this.#facts = undefined;
    };
    client.on("notification", ({ payload }) => {
      this.#log.detail(`rest: ${payload || "notified"}, the schema is read again at the next request`);
      this.#facts = undefined;
    });
    client.on("error", forget);
    client.on("end", forget);
    try {
      await client.connect();
      await client.query("listen pgrst");
      return client;
    } catch (error) {
      forget();
      await client.end().catch((endError: Error) => this.#log.detail(`rest: ${endError.message}`));
      throw error;
    }
  }
}

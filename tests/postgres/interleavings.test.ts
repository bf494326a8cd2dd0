import type pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Job } from "../../shared/embeddings/queue.ts";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { mutate, QUEUE_MUTANTS } from "./support/mutants.ts";
import { interleavings, Stage } from "./support/orders.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/**
 * One editor and two workers on one row, in every order in which their steps can follow each other: the editor writes
 * and ends its transaction, each worker claims, reads and finishes. The leases end at once, so that both workers may
 * have the row. Whatever the order, the copy must agree with the row when the queue is empty.
 */
type Actor = "editor" | "first" | "second";
type Act = "write" | "end" | "claim" | "read" | "finish";
type Step = `${Actor}.${Act}`;
type Edit = "update" | "delete" | "update, rolled back";

const EDITS: Edit[] = ["update", "delete", "update, rolled back"];
const SEQUENCES: Step[][] = [
  ["editor.write", "editor.end"],
  ["first.claim", "first.read", "first.finish"],
  ["second.claim", "second.read", "second.finish"],
];
const ORDERS = [...interleavings(SEQUENCES)];
const PROFILE = smallProfile("test:interleavings:2");

let database: OwnDatabase;
let stage: Stage<Actor>;

beforeAll(async () => {
  database = await createOwnDatabase();
  stage = await Stage.on(database, ["editor", "first", "second"]);
  await stage.observer.query(`
    create table public.notes (id int primary key, body int not null);
    select public.register_embedding_source('public.notes', 'body::text');
    select private.use_default_profile('${JSON.stringify(PROFILE)}');
  `);
});

afterAll(() => database.drop());

/** One that knows between its steps only what a worker knows. */
class Worker {
  #tokens: string[] = [];
  #jobs: Job[] = [];
  readonly #client: pg.Client;
  readonly #worker: SqlWorker;

  constructor(client: pg.Client) {
    this.#client = client;
    this.#worker = new SqlWorker(client, PROFILE);
  }

  async claim(): Promise<boolean> {
    const { rows: [claimed] } = await this.#client.query<{ tokens: string[] }>(
      "select private.claim('public.embedding_sync_queue', 1, '0 s', 1000) as tokens",
    );
    this.#tokens = claimed?.tokens ?? [];
    return this.#tokens.length > 0;
  }

  async read(): Promise<void> {
    this.#jobs = await this.#worker.read(this.#tokens);
  }

  async finish(): Promise<void> {
    const results = this.#tokens.map((token) => {
      const job = this.#jobs.find((job) => job.token === token);
      return job === undefined ? { token, copies: [] } : embedded(job, inTwo);
    });
    await this.#worker.finish(results);
  }
}

/** A text in two chunks, one of which an edit leaves as it was. */
const inTwo = (text: string) => ["all alike", text];

const inEditor: Record<Edit, [string, string]> = {
  "update": ["begin; update public.notes set body = 11 where id = 1", "commit"],
  "delete": ["begin; delete from public.notes where id = 1", "commit"],
  "update, rolled back": ["begin; update public.notes set body = 11 where id = 1", "rollback"],
};

async function play(edit: Edit, order: Step[]): Promise<void> {
  const workers = { first: new Worker(stage.sessionOf("first")), second: new Worker(stage.sessionOf("second")) };
  await stage.play<Act>(order, async (actor, act) => {
    if (actor === "editor") await stage.sessionOf(actor).query(inEditor[edit][act === "write" ? 0 : 1]);
    else if (act === "claim") await workers[actor].claim();
    else if (act === "read") await workers[actor].read();
    else await workers[actor].finish();
  });
}

/** The orders after which copy and row disagree, up to so many. */
async function disagreements(atMost: number): Promise<string[]> {
  const found: string[] = [];
  for (const edit of EDITS) {
    for (const order of ORDERS) {
      await stage.observer.query(`
        truncate public.embedding_sync_queue, private.embedded_rows, public.documentation_embeddings;
        alter table public.notes disable trigger user;
        delete from public.notes;
        alter table public.notes enable trigger user;
        insert into public.notes values (1, 10);
      `);
      await play(edit, order);
      const worker = new Worker(stage.observer);
      while (await worker.claim()) {
        await worker.read();
        await worker.finish();
      }
      const { rows: [end] } = await stage.observer.query<{ body: string | null; copy: string | null; open: number }>(`
        select (select body::text from public.notes) as body,
               (select string_agg(content, ', ' order by chunk_index) from public.documentation_embeddings) as copy,
               (select count(*)::int from public.embedding_sync_queue where status <> 'completed') as open`);
      const right = end?.body === null ? null : inTwo(end?.body ?? "").join(", ");
      if (end?.copy !== right || end?.open !== 0) found.push(`${edit}: ${order.join(" ")}: ${JSON.stringify(end)}`);
      if (found.length >= atMost) return found;
    }
  }
  return found;
}

it(
  `no edit is lost in any of the ${ORDERS.length} orders of an edit and two workers, for each kind of edit`,
  async () => {
    expect(ORDERS).toHaveLength(560);
    expect(await disagreements(3)).toEqual([]);
  },
  900_000,
);

it.each(QUEUE_MUTANTS)("these orders would catch it if $name", async (mutant) => {
  const restore = await mutate(stage.observer, mutant);
  try {
    expect(await disagreements(1)).not.toEqual([]);
  } finally {
    await restore();
  }
}, 900_000);

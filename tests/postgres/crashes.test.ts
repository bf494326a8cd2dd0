import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { launchOwnStack } from "../support/own-stack.ts";
import { tokensOfText } from "../support/provider/embedding.ts";
import { type Provider, startProvider } from "../support/provider/provider.ts";
import { canHaveOwnCluster, startOwnCluster } from "./support/own-cluster.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { runWorker, type Step, type WorkerOptions } from "./support/worker.ts";

/** Workers, servers and calls that end without a word, at every step: afterwards all agrees, and little is paid twice. */
const WORKER = fileURLToPath(new URL("./support/worker-process.ts", import.meta.url));
const ROWS = 40;
const BATCH = 10;

let provider: Provider;

beforeAll(async () => {
  provider = await startProvider();
});

afterAll(() => provider.close());

const tokensOf = (texts: string[]) => texts.reduce((sum, text) => sum + tokensOfText(text), 0);

/** A database with one table of its own, and what must become of it. */
class Scene {
  readonly #client: pg.Client;
  readonly options: WorkerOptions;
  #from = 0;
  #texts: string[] = [];

  constructor(client: pg.Client, databaseUrl: string) {
    this.#client = client;
    this.options = { databaseUrl, provider: { baseUrl: provider.baseUrl, key: provider.key }, batchSize: BATCH };
  }

  /** The same, when the server has started again. */
  after(client: pg.Client): Scene {
    const scene = new Scene(client, this.options.databaseUrl);
    scene.#from = this.#from;
    scene.#texts = this.#texts;
    return scene;
  }

  async prepare(): Promise<void> {
    await this.#client.query(`
      create table public.leaves (id text primary key, body text not null);
      select public.register_embedding_source('public.leaves', 'body');
      select public.set_setting('embedding_workers', '32');
      select public.set_setting('embedding_retry_seconds', '0');
    `);
    await this.settle();
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(sql, values)).rows;
  }

  /** Rows that nobody has seen before, and what is asked from now on is counted. */
  async fill(name: string, rows = ROWS): Promise<void> {
    this.#texts = Array.from({ length: rows }, (_, i) => `Leaf ${i} of the tree where ${name}`);
    this.#from = provider.requests.length;
    await this.query(
      "insert into public.leaves select $1 || i, body from unnest($2::text[]) with ordinality as t (body, i)",
      [
        name,
        this.#texts,
      ],
    );
  }

  async keepLeasesFor(seconds: number): Promise<void> {
    await this.query("select public.set_setting('embedding_lease_seconds', to_jsonb($1::int))", [seconds]);
  }

  async open(): Promise<number> {
    const [row] = await this.query<{ open: number }>(`
      select (select count(*) from public.embedding_sync_queue where status in ('pending', 'processing'))::int
        + (select count(*) from private.embedding_backfills)::int as open`);
    return row?.open ?? 0;
  }

  /** Other workers, for as long as something is open: leases of the dead have to run out first. */
  async settle(): Promise<void> {
    await vi.waitUntil(async () => {
      await runWorker(this.options);
      return await this.open() === 0;
    }, { timeout: 60_000, interval: 50 });
  }

  /** The tokens that were billed beyond each text once. */
  paidTwice(): number {
    const billed = provider.requests.slice(this.#from).reduce((sum, { tokens }) => sum + tokens, 0);
    return billed - tokensOf(this.#texts);
  }

  /** Every text that was asked for, as often as it was. */
  asked(): string[] {
    return provider.requests.slice(this.#from).flatMap(({ inputs }) => inputs);
  }

  /** The texts of the request that was under way when all went dark. */
  lastAsked(): string[] {
    return provider.requests.at(-1)?.inputs ?? [];
  }

  async expectAgreement(): Promise<void> {
    expect(await this.query("select * from public.verify_embeddings()")).toEqual([]);
    expect(
      await this.query(
        `select l.id, e.source_id from public.leaves as l
         full join (select * from public.documentation_embeddings where source_table = 'leaves') as e on e.source_id = l.id
         where l.body is distinct from e.content`,
      ),
    ).toEqual([]);
    expect(
      await this.query(
        "select * from public.embedding_sync_queue where status <> 'completed' or retry_count <> 0 or last_error is not null",
      ),
    ).toEqual([]);
  }
}

/** Keeps every worker from writing its copies; `arrived` gives the server process of the first one that tries. */
async function holdWriters(client: pg.Client): Promise<{ arrived(): Promise<number>; release(): Promise<void> }> {
  await client.query("begin; lock table private.embedded_rows in exclusive mode");
  return {
    arrived: () =>
      vi.waitUntil(async () => {
        // A transaction sees who is active as it was when it first looked.
        await client.query("select pg_stat_clear_snapshot()");
        const { rows: [row] } = await client.query<{ pid: number }>(
          `select pid from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' and query like '%finish_embedding_jobs%'`,
        );
        return row?.pid;
      }, { timeout: 30_000, interval: 20 }),
    release: async () => void await client.query("commit"),
  };
}

describe("a worker that is killed", () => {
  let database: OwnDatabase;
  let scene: Scene;
  let release = () => Promise.resolve();

  beforeAll(async () => {
    database = await createOwnDatabase();
    scene = new Scene(await database.connect(), database.url);
    await scene.prepare();
  });

  afterAll(() => database.drop());

  /** Kills a worker at a step, in its second batch; or where it gets from there until `meanwhile` is over. */
  async function killAt(
    step: Step,
    meanwhile?: (goOn: () => void) => Promise<void>,
    times = step === "ending" ? 1 : 2,
  ): Promise<void> {
    await scene.keepLeasesFor(1);
    const child = fork(WORKER, [JSON.stringify({ ...scene.options, stayAt: step, times })], {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const exited = once(child, "exit");
    expect(await Promise.race([once(child, "message"), exited])).toEqual([step, undefined]);
    await meanwhile?.(() => void child.send("go on"));
    child.kill("SIGKILL");
    expect(await exited).toEqual([null, "SIGKILL"]);
  }

  async function expectRecovery(most: number): Promise<void> {
    await scene.keepLeasesFor(180);
    await scene.settle();
    await scene.expectAgreement();
    expect(scene.paidTwice()).toBe(most);
  }

  it.each<[Step, string]>([
    ["claimed", "after its claim"],
    ["read", "after it has read its rows"],
    ["finished", "after it has written a batch"],
    ["ending", "after all is written, before it says so"],
  ])("(%s) %s costs nothing", async (step, name) => {
    await scene.fill(name);
    await killAt(step);
    await expectRecovery(0);
  });

  it.each<[Step, string]>([
    ["answered", "after the answer"],
    ["accounted", "after it has written down what it paid"],
  ])("(%s) %s costs that answer once more, and no more", async (step, name) => {
    await scene.fill(name);
    await killAt(step);
    expect(scene.lastAsked()).toHaveLength(BATCH);
    await expectRecovery(tokensOf(scene.lastAsked()));
  });

  it("while the provider answers costs that answer once more, and no more", async () => {
    await scene.fill("while the provider answers");
    let asked: string[] = [];
    await killAt("asking", async (goOn) => {
      const held = provider.holdNext();
      goOn();
      asked = await held.arrived;
      held.release();
    });
    await vi.waitUntil(() => provider.requests.at(-1)?.outcome !== null);
    expect(asked).toHaveLength(BATCH);
    await expectRecovery(tokensOf(asked));
  });

  it("while its batch is being written, which is written all the same, costs nothing", async () => {
    await scene.fill("while its batch is being written");
    const client = await database.connect();
    await killAt("finishing", async (goOn) => {
      const writers = await holdWriters(client);
      goOn();
      await writers.arrived();
      // Let go only when nobody is there any more to hear of it.
      release = writers.release;
    });
    await release();
    await expectRecovery(0);
  });

  it("while its batch is being written, which is then undone, costs that answer once more, and no more", async () => {
    await scene.fill("while its batch is undone");
    const client = await database.connect();
    await killAt("finishing", async (goOn) => {
      const writers = await holdWriters(client);
      goOn();
      await client.query("select pg_terminate_backend($1)", [await writers.arrived()]);
      release = writers.release;
    });
    await release();
    await expectRecovery(tokensOf(scene.lastAsked()));
  });

  it("in the middle of a row of thousands of chunks has lost none of those that were in stock", async () => {
    await scene.query("create table public.books (id int primary key, body text not null)");
    await scene.query("select public.register_embedding_source('public.books', 'body', 'true', 16)");
    const chapters = Array.from(
      { length: 1_500 },
      (_, i) => `## Chapter ${i}\n\nIn which ${"they walk ".repeat(6)}to ${i}.`,
    );
    await scene.fill("nothing", 0);
    await scene.query("insert into public.books values (1, $1)", [chapters.join("\n\n")]);
    // 1,024 chunks, a hundred at a time.
    await killAt("stocked", undefined, 11);
    await scene.keepLeasesFor(180);
    await scene.settle();
    await scene.expectAgreement();
    const [copy] = await scene.query<{ chunks: number; left: number }>(
      `select count(*)::int as chunks, (select count(*)::int from private.embedding_stock) as left
       from public.documentation_embeddings where source_table = 'books'`,
    );
    expect(copy?.chunks).toBeGreaterThan(1_200);
    expect(copy?.left).toBe(0);
    const asked = scene.asked();
    expect(asked).toHaveLength(new Set(asked).size);
    await scene.query("select public.unregister_embedding_source('public.books')");
  });

  it("three times with the same row leaves that row to a person, and an edit of it begins anew", async () => {
    await scene.fill("three die", 1);
    for (let n = 0; n < 3; n++) {
      await scene.keepLeasesFor(1);
      const child = fork(WORKER, [JSON.stringify({ ...scene.options, stayAt: "claimed", times: 1 })], {
        execArgv: ["--import", "tsx"],
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      });
      await once(child, "message");
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      await scene.query(
        "update public.embedding_sync_queue set visible_at = clock_timestamp() where status = 'processing'",
      );
    }
    await scene.settle();
    expect(await scene.query("select status, last_error from public.embedding_sync_queue where status <> 'completed'"))
      .toEqual([{ status: "failed", last_error: "3 workers ended without a word while they had this row" }]);
    await scene.query("update public.leaves set body = body || ' again' where id like 'three die%'");
    await scene.settle();
    await scene.expectAgreement();
  });
});

it("a row that cannot be written fails by itself, and the others of its batch are written and paid for once", async () => {
  const database = await createOwnDatabase();
  const scene = new Scene(await database.connect(), database.url);
  await scene.prepare();
  await scene.fill("one row cannot be written");
  const unwritable = "Leaf 7 of the tree where one row cannot be written";
  await scene.query(
    `alter table public.documentation_embeddings add constraint not_this check (content <> '${unwritable}')`,
  );
  await scene.settle();
  expect(
    await scene.query(
      "select status, retry_count, last_error from public.embedding_sync_queue where status <> 'completed'",
    ),
  )
    .toEqual([{ status: "failed", retry_count: 3, last_error: expect.stringContaining("not_this") as string }]);
  // Its own three attempts; nobody else's.
  expect(scene.paidTwice()).toBe(2 * tokensOf([unwritable]));
  await scene.query("alter table public.documentation_embeddings drop constraint not_this");
  await scene.query("select public.retry_failed_embeddings()");
  await scene.settle();
  await scene.expectAgreement();
  await database.drop();
});

describe("Postgres that goes away", () => {
  it("session by session, in the middle of a run, has lost nothing when the next run begins", async () => {
    const database = await createOwnDatabase();
    const scene = new Scene(await database.connect(), database.url);
    await scene.prepare();
    for (const moment of ["asking", "finishing"] as const) {
      await scene.fill(`all sessions end, ${moment}`);
      let times = 0;
      const run = runWorker(scene.options, async (step) => {
        if (step !== moment || ++times !== 2) return;
        await scene.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        );
      });
      // With a new session the run goes on, or it ends and gives back what it had: either is well.
      await run.catch(() => {});
      await scene.settle();
      await scene.expectAgreement();
      expect(scene.paidTwice()).toBeLessThanOrEqual(tokensOf(scene.lastAsked()));
    }
    await database.drop();
  }, 120_000);

  it.runIf(canHaveOwnCluster)(
    "all at once, in the middle of a write, starts again from its log and has lost nothing",
    async () => {
      const cluster = await startOwnCluster();
      try {
        const connect = async () => {
          const client = new pg.Client({ connectionString: cluster.url });
          client.on("error", () => {});
          await client.connect();
          return client;
        };
        let client = await connect();
        let scene = new Scene(client, cluster.url);
        await scene.prepare();
        await scene.fill("Postgres crashes");
        let times = 0;
        let writers: Awaited<ReturnType<typeof holdWriters>> | undefined;
        const run = runWorker(scene.options, async (step) => {
          if (step === "finishing" && ++times === 2) writers = await holdWriters(client);
        });
        await vi.waitUntil(() => writers !== undefined, { timeout: 30_000 });
        const backend = await writers?.arrived() ?? 0;
        const inFlight = tokensOf(scene.lastAsked());
        cluster.crash(backend);
        await expect(run).rejects.toThrow();
        await vi.waitUntil(async () => {
          client = await connect().catch(() => client);
          return await client.query("select").then(() => true, () => false);
        }, { timeout: 60_000, interval: 100 });
        scene = scene.after(client);
        // What the dead run held is due when its leases have run out.
        await scene.query(
          "update public.embedding_sync_queue set visible_at = clock_timestamp() where status = 'processing'",
        );
        await scene.settle();
        await scene.expectAgreement();
        expect(scene.paidTwice()).toBeLessThanOrEqual(inFlight);
        await client.end();
      } finally {
        await cluster.stop();
      }
    },
    180_000,
  );
});

describe("pg_net that loses every second call", () => {
  it.each(["immediate", "cron"])(
    "keeps nobody from being embedded, by the schedule, when workers are woken: %s",
    async (wake) => {
      const stack = await launchOwnStack({
        OPENAI_API_KEY: provider.key,
        OPENAI_BASE_URL: provider.baseUrl,
        ACCORD_DIMENSIONS: "64",
      });
      const client = new pg.Client({ connectionString: stack.databaseUrl });
      await client.connect();
      const scene = new Scene(client, stack.databaseUrl);
      await scene.prepare();
      await client.query(`
      create table public.calls (id bigint generated always as identity, is_lost boolean not null);
      create function public.lose() returns trigger language plpgsql security definer as $$
      declare
          call bigint;
      begin
          insert into public.calls (is_lost) values (false) returning id into call;
          update public.calls set is_lost = true where id = call and call % 2 = 1;
          return case when call % 2 = 0 then new end;
      end
      $$;
      create trigger lose before insert on net.http_request_queue for each row execute function public.lose();
      select public.set_setting('embedding_wake', '"${wake}"');
      select public.set_setting('embedding_wake_interval_seconds', '1');
      select public.set_setting('embedding_rows_per_worker', '50');
    `);
      await scene.fill(`calls are lost, ${wake}`, 300);
      // Edits of one row each, as people make them.
      for (let n = 1; n <= 20; n++) {
        await client.query("update public.leaves set body = body || '.' where id like $1", [`% ${wake}${n}`]);
      }
      await vi.waitUntil(async () => {
        if (await scene.open() === 0) return true;
        await client.query("select private.dispatch_embeddings()");
        return false;
      }, { timeout: 90_000, interval: 500 });
      await scene.expectAgreement();
      const [counts] = await scene.query<{ lost: number; sent: number }>(
        "select count(*) filter (where is_lost)::int as lost, count(*) filter (where not is_lost)::int as sent from public.calls",
      );
      expect(counts?.lost).toBeGreaterThan(0);
      expect(counts?.sent).toBeGreaterThan(0);
      await client.end();
      await stack.stop();
    },
    180_000,
  );
});

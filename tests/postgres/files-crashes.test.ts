import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SECRET_KEY } from "../../local/keys.ts";
import { connectClient } from "../support/client.ts";
import { launch, type Launched } from "../support/launch.ts";
import { pdfOf } from "../support/pdf.ts";
import { type Provider, startProvider } from "../support/provider/provider.ts";
import { type FileStep, runFilesWorker } from "./support/files-worker.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { runWorker } from "./support/worker.ts";

/** From upload to embedding: whoever is killed, and wherever, afterwards all agrees, and no text is paid for twice. */
const WORKER = fileURLToPath(new URL("./support/files-worker-process.ts", import.meta.url));
const PAGES = 12;

let provider: Provider;
let own: OwnDatabase;
let stack: Launched;
let database: pg.Client;
const folder = mkdtempSync(join(tmpdir(), "accord-files-"));

const start = () =>
  launch(["--database-url", own.url, "--data", folder, "--no-seed"], {
    OPENAI_API_KEY: provider.key,
    OPENAI_BASE_URL: provider.baseUrl,
    ACCORD_DIMENSIONS: "64",
  });

beforeAll(async () => {
  provider = await startProvider();
  own = await createOwnDatabase();
  stack = await start();
  database = await own.connect();
  await database.query(`
    delete from vault.secrets; -- nobody is woken but by the test
    select public.set_setting('embedding_wake', '"manual"'), public.set_setting('files_wake', '"manual"'),
      public.set_setting('files_workers', '32'), public.set_setting('embedding_workers', '32'),
      public.set_setting('files_retry_seconds', '0'), public.set_setting('embedding_retry_seconds', '0');
  `);
});

afterAll(async () => {
  await stack.stop();
  await own.drop();
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

const storage = () => connectClient(stack.url, SECRET_KEY).storage.from("documents");

async function upload(path: string, body: string | Uint8Array, contentType = "text/plain"): Promise<void> {
  const { error } = await storage().upload(path, body, { contentType, upsert: true });
  expect(error).toBeNull();
}

const keepLeasesFor = (seconds: number) =>
  database.query("select public.set_setting('files_lease_seconds', to_jsonb($1::int))", [seconds]);

const options = () => ({ databaseUrl: own.url, url: stack.url, workMs: 1_000 });

/** Kills a worker when it has come to a step for the so-manieth time. */
async function killAt(step: FileStep, { times = 1, workMs = 1_000, meanwhile = () => Promise.resolve() } = {}) {
  await keepLeasesFor(1);
  const child = fork(WORKER, [JSON.stringify({ ...options(), workMs, stayAt: step, times })], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  expect(await Promise.race([once(child, "message"), exited])).toEqual([step, undefined]);
  await meanwhile();
  child.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
}

/** Other workers, until nothing is open: leases of the dead have to run out first. */
async function settle(): Promise<void> {
  await keepLeasesFor(180);
  await vi.waitUntil(async () => {
    await runFilesWorker(options());
    await runWorker({ databaseUrl: own.url, provider, batchSize: 16 });
    const { rows: [row] } = await database.query<{ open: number }>(`
      select (select count(*) from public.files_queue where processed_at is null and failed_at is null)::int
        + (select count(*) from public.embedding_sync_queue where processed_at is null and failed_at is null)::int
        + (select count(*) from private.embedding_backfills)::int as open`);
    return row?.open === 0;
  }, { timeout: 60_000, interval: 50 });
}

/** Objects, queue, documents and embeddings tell the same of each file; and of what was asked, nothing twice. */
async function expectAgreement(texts: Record<string, string>): Promise<void> {
  const { rows } = await database.query<{ path: string; text: string; status: string; isCurrent: boolean }>(`
    select coalesce(o.name, q.file_path, d.file_path) as path, d.content as text, q.status,
      q.object_version = o.version and d.metadata ->> 'contentTag' = o.metadata ->> 'eTag' as "isCurrent"
    from (select * from storage.objects where bucket_id = 'documents') as o
    full join public.files_queue as q on q.bucket_id = o.bucket_id and q.file_path = o.name
    full join (select * from public.documents where bucket_id = 'documents') as d on d.file_path = coalesce(o.name, q.file_path)
    order by 1`);
  expect(rows).toEqual(
    Object.entries(texts).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([path, text]) => ({ path, text, status: "completed", isCurrent: true })),
  );
  expect((await database.query("select * from public.verify_embeddings()")).rows).toEqual([]);
  expect((await database.query("select * from private.missed_objects")).rows).toEqual([]);
  expect((await database.query("select * from private.file_parts")).rows).toEqual([]);
  const asked = provider.requests.flatMap(({ inputs }) => inputs);
  expect(asked).toHaveLength(new Set(asked).size);
}

/** What is to be in each file, in the end. */
const expected: Record<string, string> = {};

describe("a worker that is killed", () => {
  it.each<FileStep>(["claimed", "read", "downloaded", "finishing", "finished", "ending"])(
    "at the step '%s' loses nothing and has nothing embedded twice",
    async (step) => {
      for (const n of [1, 2, 3]) {
        expected[`${step}-${n}.txt`] = `What was ${step} when the worker died, number ${n}`;
        await upload(`${step}-${n}.txt`, expected[`${step}-${n}.txt`] ?? "");
      }
      await killAt(step);
      await settle();
      await expectAgreement(expected);
    },
  );

  it("in the middle of a file of many pages goes on where it was", async () => {
    const pages = Array.from({ length: PAGES }, (_, i) => `Page ${i + 1} of the book that outlives its readers`);
    await upload("book.pdf", pdfOf(pages), "application/pdf");
    expected["book.pdf"] = pages.join("\n\n");
    // So little time that a page is a slice.
    await killAt("saved", { times: 1, workMs: 60 });
    const { rows: [parts] } = await database.query<{ saved: number }>(
      "select count(*)::int as saved from private.file_parts",
    );
    expect(parts?.saved).toBeGreaterThan(0);
    await settle();
    await expectAgreement(expected);
  });

  it("while its file is overwritten leaves the new one to the next", async () => {
    await upload("changing.txt", "What was there at first");
    expected["changing.txt"] = "What came while it was being read";
    await killAt("downloaded", { meanwhile: () => upload("changing.txt", expected["changing.txt"] ?? "") });
    await settle();
    await expectAgreement(expected);
  });

  it("while its file is deleted leaves nothing of it", async () => {
    await upload("short-lived.txt", "Gone before anybody could ask");
    await killAt("downloaded", {
      meanwhile: async () => {
        expect((await storage().remove(["short-lived.txt"])).error).toBeNull();
      },
    });
    await settle();
    await expectAgreement(expected);
  });

  it("while its file is moved leaves it to the next under its new name", async () => {
    expected["moved/there.txt"] = "It went from here to there";
    await upload("here.txt", expected["moved/there.txt"] ?? "");
    await killAt("finishing", {
      meanwhile: async () => {
        expect((await storage().move("here.txt", "moved/there.txt")).error).toBeNull();
      },
    });
    await settle();
    await expectAgreement(expected);
  });
});

describe("the whole stack that is killed", () => {
  it("between the bytes of an upload and its row leaves neither row nor document, and the next upload of it is taken", async () => {
    const holder = await own.connect();
    await holder.query("begin; lock table storage.objects in exclusive mode");
    const upload = storage().upload("unfinished.txt", "Never heard of", { contentType: "text/plain" });
    await vi.waitUntil(async () => {
      const { rows } = await database.query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length > 0;
    }, { timeout: 30_000, interval: 20 });
    await stack.kill();
    expect((await upload).error).not.toBeNull();
    await holder.query("rollback");
    stack = await start();
    await settle();
    await expectAgreement(expected);
    expected["unfinished.txt"] = "At the second attempt";
    const { error } = await storage().upload("unfinished.txt", expected["unfinished.txt"], {
      contentType: "text/plain",
    });
    expect(error).toBeNull();
    await settle();
    await expectAgreement(expected);
  });

  it("right after an upload has it read when it is there again", async () => {
    await upload("late.txt", expected["late.txt"] = "Uploaded in the last moment");
    await stack.kill();
    stack = await start();
    await settle();
    await expectAgreement(expected);
  });
});

describe("a queue that somebody holds", () => {
  const locks = ["public.files_queue", "public.documents", "private.watched_buckets"];
  it.each(locks)("fails no upload, overwrite, move or deletion while %s is locked", async (table) => {
    const name = table.replace(/\W/g, "-");
    await upload(`${name}/old.txt`, `Old ${table}`);
    await upload(`${name}/gone.txt`, `Gone ${table}`);
    await upload(`${name}/moves.txt`, `Moves ${table}`);
    await settle();
    const holder = await own.connect();
    await holder.query(`begin; lock table ${table} in access exclusive mode`);
    await upload(`${name}/new.txt`, `New ${table}`);
    await upload(`${name}/old.txt`, `Newer ${table}`);
    expect((await storage().move(`${name}/moves.txt`, `${name}/moved.txt`)).error).toBeNull();
    expect((await storage().remove([`${name}/gone.txt`])).error).toBeNull();
    await holder.query("rollback");
    await database.query("select private.dispatch_files()");
    Object.assign(expected, {
      [`${name}/new.txt`]: `New ${table}`,
      [`${name}/old.txt`]: `Newer ${table}`,
      [`${name}/moved.txt`]: `Moves ${table}`,
    });
    await settle();
    // A document that could not be renamed was made anew: its text is the same, and is not paid for again.
    await expectAgreement(expected);
  });

  it("fails no deletion of a hundred files at once, each of which would wait", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `many/${i}.txt`);
    await Promise.all(names.map((name) => upload(name, `One of many: ${name}`)));
    await settle();
    const holder = await own.connect();
    await holder.query("begin; lock table public.files_queue in access exclusive mode");
    expect((await storage().remove(names)).error).toBeNull();
    await holder.query("rollback");
    await database.query("select private.dispatch_files()");
    await settle();
    await expectAgreement(expected);
  });
});

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SECRET_KEY } from "../../local/keys.ts";
import { drain } from "../../shared/embeddings/drain.ts";
import { openAiEmbedder } from "../../shared/embeddings/embedders/openai.ts";
import { defaultProfile } from "../../shared/embeddings/profile.ts";
import { jobQueue } from "../../shared/embeddings/queue.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { rpcOf } from "../../shared/platform/rpc.ts";
import { connectClient } from "../support/client.ts";
import { launch, type Launched } from "../support/launch.ts";
import { tokensOfText } from "../support/provider/embedding.ts";
import { type Fault, faults } from "../support/provider/faults.ts";
import { type LoggedRequest, type Provider, startProvider } from "../support/provider/provider.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { changingWeather, dice } from "./support/weather.ts";

/**
 * A provider that fails in every way it knows, in an order that looks random, while rows are embedded and edited. The
 * test plays the clock: a pause that was asked for is over as soon as all workers have gone.
 */
const DIMENSIONS = 64;
const BATCH = 64;
const PROBE = 8;
const PATIENCE_MS = 600;

/** What ends in an error, whoever asks. */
const FAILURES: Record<string, () => Fault> = {
  "429 with Retry-After": () => faults.rateLimited({ "retry-after": "1" }),
  "429 for want of credit": faults.quotaExhausted,
  "401": () => faults.status(401),
  "403": () => faults.status(403),
  "500": () => faults.status(500),
  "503": () => faults.status(503),
  "a cut connection": faults.cut,
  "broken JSON": faults.brokenJson,
  "a web page": faults.webPage,
  "fewer vectors": faults.fewerVectors,
  "wrong dimensions": faults.wrongDimensions,
  "one index twice": faults.sameIndexTwice,
  "zeros": () => faults.zeros(DIMENSIONS),
  "no numbers": () => faults.notFinite(DIMENSIONS),
};
/** Whoever waits for these waits as long as the client's patience lasts. */
const SILENCES: Record<string, () => Fault> = { "silence": faults.silent, "an answer that stops": faults.stalled };
/** These are answers all the same. */
const ODDITIES: Record<string, () => Fault> = {
  "a slow answer": () => faults.slow(PATIENCE_MS / 6),
  "another order": faults.backwards,
  "plain numbers": faults.numbers,
};

let provider: Provider;
let stack: Launched;
let own: OwnDatabase;
const folder = mkdtempSync(join(tmpdir(), "accord-storm-"));
let database: pg.Client;

beforeAll(async () => {
  provider = await startProvider();
  own = await createOwnDatabase();
  // Without the seed, which would have a worker woken that nobody here knows of.
  stack = await launch(["--database-url", own.url, "--data", folder, "--no-seed"], {
    OPENAI_API_KEY: provider.key,
    OPENAI_BASE_URL: provider.baseUrl,
    ACCORD_DIMENSIONS: `${DIMENSIONS}`,
  });
  database = await own.connect();
  await database.query(`
    delete from vault.secrets; -- nobody is woken but by the test
    select public.unregister_embedding_source('faq_items');
    select public.unregister_embedding_source('documents');
    select public.set_setting('embedding_wake', '"manual"');
    select public.set_setting('embedding_retry_seconds', '0');
  `);
});

afterAll(async () => {
  await stack.stop();
  await own.drop();
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(): Promise<void> {
  const response = await fetch(`${stack.url}/functions/v1/process-embedding-queue`, {
    method: "POST",
    headers: { apikey: SECRET_KEY, "content-type": "application/json" },
    body: JSON.stringify({ action: "process", batchSize: BATCH }),
  });
  const answer = await response.text();
  expect({ status: response.status, answer }).toMatchObject({ status: 200 });
  expect(answer).not.toContain(provider.key);
}

/** What the function does, with less patience than its half a minute. */
async function runImpatiently(): Promise<void> {
  const embedder = openAiEmbedder({
    apiKey: provider.key,
    baseUrl: provider.baseUrl,
    model: "text-embedding-3-small",
    dimensions: DIMENSIONS,
    fetch,
    timeoutMs: PATIENCE_MS,
  });
  const rpc = rpcOf(connectClient(stack.url, SECRET_KEY));
  const queue = jobQueue(rpc, randomUUID(), defaultProfile(embedder.profile, embedder.usdPerMillionTokens));
  await drain({ queue, embedderOf: () => embedder, clock: systemClock }, { batchSize: BATCH });
}

const WORDS = "piano corde feutre marteau table clavier cadre pedale touche vernis".split(" ");
const textOf = (table: string, id: number, version: number) =>
  `${table} ${id} version ${version} ${WORDS[id % 10]} ${WORDS[version % 10]}`;

const isPoisonous = (id: number) => id % 700 === 13;

interface Storm {
  table: string;
  rows: number;
  failures: Record<string, () => Fault>;
  workers: number;
  work(): Promise<void>;
  seed: number;
}

interface Told {
  rounds: number;
  pauses: number;
  editsOfWaiting: number;
  editsOfEmbedded: number;
}

async function query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.query<Row>(sql, values)).rows;
}

async function liveThrough({ table, rows, failures, workers, work, seed }: Storm): Promise<void> {
  const roll = dice(seed);
  const weather = changingWeather(failures, roll);
  const from = provider.requests.length;
  const versions = new Map<number, number>();
  // Texts that somebody has to have paid for: those that were there when their row was edited, and the last ones.
  const owed = new Set<string>();
  const told: Told = { rounds: 0, pauses: 0, editsOfWaiting: 0, editsOfEmbedded: 0 };
  const log = () => provider.requests.slice(from);
  let editsLeft = rows / 10;
  let wasPaused = false;

  await database.query(`create table public.${table} (id int primary key, body text not null)`);
  const ids = Array.from({ length: rows }, (_, id) => id);
  await database.query(`insert into public.${table} select * from unnest($1::int[], $2::text[])`, [
    ids,
    ids.map((id) => isPoisonous(id) ? `${provider.poison} ${table} ${id}` : textOf(table, id, 0)),
  ]);
  await database.query(`select public.register_embedding_source('public.${table}', 'body')`);
  provider.failAs(weather.next);

  async function editSome(): Promise<void> {
    for (let n = 0; n < 3 && editsLeft > 0; n++, editsLeft--) {
      const id = roll(rows);
      if (isPoisonous(id)) continue;
      const version = versions.get(id) ?? 0;
      const [before] = await query<{ content: string }>(
        "select content from public.documentation_embeddings where source_table = $1 and source_id = $2",
        [table, `${id}`],
      );
      if (before?.content === textOf(table, id, version)) {
        owed.add(before.content);
        told.editsOfEmbedded++;
      } else told.editsOfWaiting++;
      versions.set(id, version + 1);
      await database.query(`update public.${table} set body = $2 where id = $1`, [id, textOf(table, id, version + 1)]);
    }
  }

  const open = async () => {
    const [{ due, alerts } = { due: 0, alerts: 0 }] = await query<{ due: number; alerts: number }>(`
      select
        (select count(*)::int from public.embedding_sync_queue where status in ('pending', 'processing'))
          + (select count(*)::int from private.embedding_backfills) as due,
        (select count(*)::int from public.alerts where kind = 'provider_paused' and resolved_at is null) as alerts`);
    expect(alerts).toBeLessThanOrEqual(1);
    return due;
  };

  let isFirst = true;
  while (isFirst || await open() > 0) {
    isFirst = false;
    told.rounds++;
    const begin = log().length;
    let areWorking = true;
    const working = Promise.all(Array.from({ length: workers }, work)).finally(() => (areWorking = false));
    do await editSome(); while (areWorking && roll(3) > 0);
    await working;
    const asked = log().slice(begin);
    // A failed provider is asked with a few rows and no more until it has answered.
    const [{ failed } = { failed: 0 }] = await query<{ failed: number }>(
      "select failures as failed from private.embedding_providers where provider = 'openai'",
    );
    if (wasPaused) expectProbe(asked);
    wasPaused = failed > 0;
    if (wasPaused) told.pauses++;
    await database.query(`
      update private.embedding_providers set paused_until = clock_timestamp() where failures > 0;
      update public.embedding_sync_queue set visible_at = clock_timestamp()
      where status = 'pending' and visible_at > clock_timestamp()`);
  }
  provider.failAs(null);
  expect(await query("select * from public.alerts where kind = 'provider_paused' and resolved_at is null")).toEqual([]);

  // Everything agrees, but for what nobody can embed.
  const poisonous = ids.filter(isPoisonous).map(String).sort();
  const differing = await query<{ source_id: string; problem: string; queued: string }>(
    'select source_id, problem, queued from public.verify_embeddings($1) order by source_id collate "C"',
    [table],
  );
  expect(differing).toEqual(poisonous.map((source_id) => ({ source_id, problem: "missing", queued: "failed" })));
  const charged = await query<{ source_id: string; status: string; retry_count: number; last_error: string }>(
    `select source_id, status, retry_count, last_error from public.embedding_sync_queue
     where source_table = $1 and (status <> 'completed' or retry_count > 0 or last_error is not null)
     order by source_id collate "C"`,
    [table],
  );
  expect(charged).toEqual(poisonous.map((source_id) => ({
    source_id,
    status: "failed",
    retry_count: 3,
    last_error: expect.stringContaining("this text is not accepted") as string,
  })));
  const wrong = await query(
    `select r.id, e.source_id from public.${table} as r
     full join (select source_id, content from public.documentation_embeddings where source_table = $1) as e
       on e.source_id = r.id::text
     where r.body is distinct from e.content and r.id % 700 is distinct from 13`,
    [table],
  );
  expect(wrong).toEqual([]);

  // What it cost.
  for (const id of ids) if (!isPoisonous(id)) owed.add(textOf(table, id, versions.get(id) ?? 0));
  const least = [...owed].reduce((sum, text) => sum + tokensOfText(text), 0);
  const billed = (outcome: LoggedRequest["outcome"]) =>
    log().filter((request) => request.outcome === outcome).reduce((sum, { tokens }) => sum + tokens, 0);
  const [intact, spoilt] = [billed("answered"), billed("spoilt")];
  console.log(
    `${table}: ${rows} rows, ${log().length} requests in ${told.rounds} rounds, ${told.pauses} pauses, edits of ` +
      `${told.editsOfEmbedded} embedded and ${told.editsOfWaiting} waiting rows; failures met: ` +
      [...weather.met].map(([name, times]) => `${name} ${times}`).join(", ") +
      `. Tokens: least ${least}, in whole answers ${intact} (+${((intact / least - 1) * 100).toFixed(2)} %), ` +
      `in answers that were spoilt ${spoilt}.`,
  );
  expect(intact).toBeGreaterThanOrEqual(least);
  expect(intact / least).toBeLessThanOrEqual(1.01);
  // That the weather was as bad as promised.
  expect([...weather.met].filter(([, times]) => times === 0)).toEqual([]);
}

function expectProbe(asked: LoggedRequest[]): void {
  const answered = asked.findIndex(({ outcome }) => outcome === "answered");
  const probes = answered === -1 ? asked : asked.slice(0, answered + 1);
  expect(Math.max(0, ...probes.map(({ inputs }) => inputs.length))).toBeLessThanOrEqual(PROBE);
}

describe("while the provider fails in every way it knows, nothing is lost, nobody is blamed and nothing is paid for twice", () => {
  it("by the function as it is deployed", async () => {
    const failures = { ...FAILURES, ...ODDITIES };
    await liveThrough({ table: "leaves", rows: 3_000, failures, workers: 1, work: run, seed: 20_261_121 });
  }, 300_000);

  it("by two workers at once that are silenced as well", async () => {
    const failures = { ...FAILURES, ...ODDITIES, ...SILENCES };
    await liveThrough({ table: "pages", rows: 5_000, failures, workers: 2, work: runImpatiently, seed: 7 });
  }, 300_000);
});

it("a provider that failed is found to answer again also where nothing but deletions wait", async () => {
  await query("create table public.gone (id int primary key, body text not null)");
  await query("insert into public.gone select i, 'Gone soon ' || i from generate_series(1, 100) as i");
  await query("select public.register_embedding_source('public.gone', 'body')");
  await runImpatiently();
  await query("insert into public.gone values (0, 'Never embedded')");
  provider.failNext(faults.status(503));
  await runImpatiently();
  expect(await query("select failures from private.embedding_providers")).toEqual([{ failures: 1 }]);
  await query("delete from public.gone");
  await query("update private.embedding_providers set paused_until = clock_timestamp()");
  await query("update public.embedding_sync_queue set visible_at = clock_timestamp() where status = 'pending'");
  await runImpatiently();
  expect(await query("select failures, paused_until from private.embedding_providers")).toEqual([
    { failures: 0, paused_until: null },
  ]);
  expect(await query("select * from public.verify_embeddings('gone')")).toEqual([]);
  expect(
    await query("select status from public.embedding_sync_queue where source_table = 'gone' and status <> 'completed'"),
  )
    .toEqual([]);
}, 60_000);

it("a provider that failed is found to answer again also where only what it refuses waits", async () => {
  await query("create table public.hopeless (id int primary key, body text not null)");
  await query("insert into public.hopeless values (1, $1)", [`${provider.poison} forever`]);
  await query("select public.register_embedding_source('public.hopeless', 'body')");
  provider.failNext(faults.status(503));
  await runImpatiently();
  expect(await query("select failures from private.embedding_providers")).toEqual([{ failures: 1 }]);
  await query("update private.embedding_providers set paused_until = clock_timestamp()");
  await query("update public.embedding_sync_queue set visible_at = clock_timestamp() where status = 'pending'");
  await runImpatiently();
  expect(await query("select status from public.embedding_sync_queue where source_table = 'hopeless'")).toEqual([
    { status: "failed" },
  ]);
  expect(await query("select failures, paused_until from private.embedding_providers")).toEqual([
    { failures: 0, paused_until: null },
  ]);
  expect(await query("select * from public.alerts where kind = 'provider_paused' and resolved_at is null")).toEqual([]);
}, 60_000);

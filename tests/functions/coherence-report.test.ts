import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SECRET_KEY } from "../../local/keys.ts";
import { Report } from "../../shared/coherence/report.ts";
import { connectClient } from "../support/client.ts";
import type { Launched } from "../support/launch.ts";
import { launchOwnStack } from "../support/own-stack.ts";

let house: Launched;

beforeAll(async () => {
  house = await launchOwnStack({});
});

afterAll(async () => {
  await house.stop();
});

const client = () => connectClient(house.url, SECRET_KEY);

const get = (query = "", headers: Record<string, string> = {}) =>
  fetch(`${house.url}/functions/v1/coherence-report${query}`, { headers: { apikey: SECRET_KEY, ...headers } });

const post = (body: unknown, headers: Record<string, string> = { apikey: SECRET_KEY }) =>
  fetch(`${house.url}/functions/v1/coherence-report`, { method: "POST", headers, body: JSON.stringify(body) });

const QUEUE = "queue of bucket documents";

async function queuePair() {
  const { pairs } = Report.parse(await (await get()).json());
  return pairs.find(({ name }) => name === QUEUE);
}

async function onDatabase(sql: string): Promise<void> {
  const session = new pg.Client({ connectionString: house.databaseUrl });
  await session.connect();
  await session.query(sql);
  await session.end();
}

const setting = async (name: string, value: unknown) =>
  expect((await client().rpc("set_setting", { name, value })).error).toBeNull();

describe("the coherence-report function", () => {
  it("gives every pair and one verdict", async () => {
    const response = await get();
    expect(response.status).toBe(200);
    const { pairs } = Report.parse(await response.json());
    expect(pairs.map(({ name }) => name).sort()).toEqual([
      "documents of bucket documents",
      "embeddings of documents",
      "embeddings of faq_items",
      QUEUE,
    ]);
  });

  it("gives the same to whoever uses supabase-js, and to an administrator", async () => {
    const { data, error } = await client().functions.invoke("coherence-report", { method: "GET" });
    expect(error).toBeNull();
    expect(Report.parse(data).pairs).toHaveLength(4);
    const person = connectClient(house.url, SECRET_KEY);
    await person.auth.signInWithPassword({ email: "admin@accord.test", password: "accord-dev" });
    expect((await person.functions.invoke("coherence-report", { body: {} })).error).toBeNull();
  });

  it("gives metrics to whoever asks for them, in either form", async () => {
    for (const [query, accept] of [["?format=prometheus", ""], ["", "text/plain"]] as const) {
      const response = await get(query, accept === "" ? {} : { accept });
      expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(await response.text()).toMatch(
        /^accord_coherence_rows\{pair="queue of bucket documents",kind="missing"\} 0$/m,
      );
    }
    const open = await get("", {
      accept: "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
    });
    expect(open.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(await open.text()).toMatch(/\n# EOF\n$/);
    expect((await get("?format=json", { accept: "text/plain" })).headers.get("content-type")).toContain("json");
    const refused = await get("?format=xml");
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { message: "format must be json or prometheus, not xml" } });
  });

  it("sees what the queue lacks, and has it put right when it is asked to", async () => {
    await setting("files_wake", "manual");
    await setting("coherence_grace_seconds", 0);
    const storage = client().storage.from("documents");
    expect((await storage.upload("a.txt", new Blob(["text"], { type: "text/plain" }))).error).toBeNull();
    expect(await queuePair()).toMatchObject({ sourceCount: 1, copyCount: 1, missing: 0, verdict: "ok" });

    await onDatabase("truncate public.files_queue cascade");
    const missing = { sourceCount: 1, copyCount: 0, missing: 1, ratio: 1, verdict: "auto_sync" };
    expect(await queuePair()).toMatchObject(missing);
    // Posted to without a wish it only tells.
    expect(Report.parse(await (await post({})).json()).pairs).toContainEqual(expect.objectContaining(missing));
    expect(await (await post({ repair: true })).json()).toMatchObject({
      verdict: "auto_sync",
      pairs: expect.arrayContaining([expect.objectContaining(missing)]) as unknown,
      repaired: [{ pair: QUEUE, rows: 1 }],
      left: [],
    });
    await onDatabase("select private.advance_syncs()");
    expect(await queuePair()).toMatchObject({ copyCount: 1, missing: 0, verdict: "ok" });
    expect((await storage.remove(["a.txt"])).error).toBeNull();
  });

  it("refuses what it does not know, and whoever may not ask", async () => {
    const unknown = await post({ repairs: true });
    expect(unknown.status).toBe(400);
    expect((await post({ repair: "yes" })).status).toBe(400);
    expect((await fetch(`${house.url}/functions/v1/coherence-report`)).status).toBe(401);
    expect((await post({}, { apikey: "sb_secret_forged" })).status).toBe(401);
    const deleted = await fetch(`${house.url}/functions/v1/coherence-report`, {
      method: "DELETE",
      headers: { apikey: SECRET_KEY },
    });
    expect(deleted.status).toBe(405);
  });
});

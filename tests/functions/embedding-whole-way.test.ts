import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { expectAgreement, type House, openHouse, settings } from "./embedding-support.ts";

let house: House;

beforeAll(async () => {
  house = await openHouse();
});

afterAll(() => house.close());

beforeEach(() => settings(house, { embedding_wake: "manual" }));

const items = () => house.client.from("faq_items");

async function insert(question: string): Promise<string> {
  const { data, error } = await items().insert({ question, answer: "Oui." }).select("id").single();
  expect(error).toBeNull();
  return data?.id as string;
}

const textOf = (question: string, answer = "Oui.") => `${question}\n\n${answer}`;

describe("a row, from its edit to the answer", () => {
  it("is found once it is inserted, by its new text once it is edited, and not once it is deleted", async () => {
    const id = await insert("Peut-on jouer la nuit ?");
    await house.settle();
    expect(await house.find(textOf("Peut-on jouer la nuit ?"))).toEqual([textOf("Peut-on jouer la nuit ?")]);
    await items().update({ question: "Peut-on jouer à l'aube ?" }).eq("id", id);
    await house.settle();
    expect(await house.find(textOf("Peut-on jouer la nuit ?"))).toEqual([]);
    expect(await house.find(textOf("Peut-on jouer à l'aube ?"))).toEqual([textOf("Peut-on jouer à l'aube ?")]);
    await items().delete().eq("id", id);
    expect(await house.find(textOf("Peut-on jouer à l'aube ?"))).toEqual([]);
    await house.settle();
    await expectAgreement(house);
  });

  it("is gone from search the moment it is unpublished, is back when it is published, and then costs its text once more", async () => {
    const id = await insert("Vendez-vous des tabourets ?");
    await house.settle();
    await items().update({ is_published: false }).eq("id", id);
    expect(await house.find(textOf("Vendez-vous des tabourets ?"))).toEqual([]);
    await house.settle();
    await expectAgreement(house);
    await items().update({ is_published: true }).eq("id", id);
    await house.settle();
    expect(await house.find(textOf("Vendez-vous des tabourets ?"))).toHaveLength(1);
  });

  it("is found under its new key, and under no other, when its key changes", async () => {
    const id = await insert("Louez-vous des clavecins ?");
    await house.settle();
    const other = randomUUID();
    await items().update({ id: other }).eq("id", id);
    await house.settle();
    await expectAgreement(house);
    const { data } = await house.client.from("documentation_embeddings").select("source_id").in("source_id", [
      id,
      other,
    ]);
    expect(data).toEqual([{ source_id: other }]);
  });

  it("costs nothing when another column is touched, or the same text is written again", async () => {
    const id = await insert("Faut-il couvrir le piano ?");
    await house.settle();
    const before = house.provider.totals();
    await items().update({ category: "Entretien" }).eq("id", id);
    await items().update({ question: "Faut-il couvrir le piano ?" }).eq("id", id);
    expect((await house.process()).claimed).toBe(0);
    // Somebody asks for it all the same.
    await house.client.rpc("enqueue_embedding", { source_table: "faq_items", source_id: id });
    const { claimed, unchanged, usage } = await house.process();
    expect([claimed, unchanged]).toEqual([1, 1]);
    expect(usage).toMatchObject({ requests: 0, tokens: 0 });
    expect(usage.tokensSaved).toBeGreaterThan(0);
    expect(house.provider.totals()).toEqual(before);
  });

  it("keeps the edit that lands while its text is being embedded", async () => {
    const id = await insert("Version une");
    const held = house.provider.holdNext();
    const run = house.process();
    expect(await held.arrived).toEqual([textOf("Version une")]);
    await items().update({ question: "Version deux" }).eq("id", id);
    held.release();
    expect((await run).requeued).toBe(1);
    await house.settle();
    expect(await house.find(textOf("Version deux"))).toEqual([textOf("Version deux")]);
    await expectAgreement(house);
  });

  it("leaves no copy when it is deleted while its text is being embedded", async () => {
    const id = await insert("Bientôt supprimée");
    const held = house.provider.holdNext();
    const run = house.process();
    await held.arrived;
    await items().delete().eq("id", id);
    held.release();
    await run;
    await house.settle();
    await expectAgreement(house);
  });
});

it("a thousand rows at once are embedded in few requests, each text once", async () => {
  const before = house.provider.totals();
  const rows = Array.from(
    { length: 1000 },
    (_, n) => ({ question: `Pièce détachée numéro ${n}`, answer: "En stock." }),
  );
  expect((await items().insert(rows)).error).toBeNull();
  await house.settle();
  const after = house.provider.totals();
  expect(after.inputs - before.inputs).toBe(1000);
  expect(after.requests - before.requests).toBeLessThanOrEqual(20);
  expect(await house.find("Pièce détachée numéro 777\n\nEn stock.")).toEqual([
    "Pièce détachée numéro 777\n\nEn stock.",
  ]);
  await items().delete().like("question", "Pièce détachée numéro %");
  await house.settle();
  await expectAgreement(house);
});

it("a table that joins later is embedded with the rows that it has, and followed from then on", async () => {
  const database = new pg.Client({ connectionString: house.stack.databaseUrl });
  await database.connect();
  await database.query(`
    create table public.test_parts (maker text, number int, label text, primary key (maker, number));
    insert into public.test_parts values ('Pleyel', 1, 'Feutre de marteau'), ('Érard', 2, 'Corde filée');
    grant select on public.test_parts to service_role;
    select public.register_embedding_source('public.test_parts', 'label');
    notify pgrst, 'reload schema'`);
  await house.settle();
  expect(await house.find("Corde filée")).toEqual(["Corde filée"]);
  await database.query("update public.test_parts set label = 'Corde nue' where number = 2");
  await house.settle();
  expect(await house.find("Corde nue")).toEqual(["Corde nue"]);
  await database.query("select public.unregister_embedding_source('public.test_parts'); drop table public.test_parts");
  expect(await house.find("Corde nue")).toEqual([]);
  await database.end();
});

it("in immediate mode edits are followed without anybody asking, with far fewer calls than edits", async () => {
  await settings(house, { embedding_wake: "immediate", embedding_wake_interval_seconds: 1 });
  const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => insert(`Immédiat ${n}`)));
  await expect.poll(async () => {
    const { count } = await house.client.from("embedding_sync_queue").select("*", { count: "exact", head: true })
      .in("status", ["pending", "processing"]);
    return count;
  }, { timeout: 20_000 }).toBe(0);
  await expectAgreement(house);
  await items().delete().in("id", ids);
});

it("the schedule alone follows edits, and calls nobody while nothing is due", async () => {
  const database = new pg.Client({ connectionString: house.stack.databaseUrl });
  await database.connect();
  const set = (schedule: string) =>
    database.query("select cron.alter_job(jobid, schedule := $1) from cron.job where jobname = 'accord-embeddings'", [
      schedule,
    ]);
  await house.settle();
  await settings(house, { embedding_wake: "cron" });
  const { rows: [before] } = await database.query("select private.dispatch_embeddings() as call");
  expect(before).toEqual({ call: null });
  await set("1 seconds");
  const id = await insert("Suivie par l'horaire");
  await expect.poll(() => house.find(textOf("Suivie par l'horaire")), { timeout: 20_000 }).toHaveLength(1);
  await set("*/5 * * * *");
  await items().delete().eq("id", id);
  await database.end();
});

it("a row without text, or with blanks alone, has no copy and is no failure; one above the limit fails and says why", async () => {
  await settings(house, { embedding_content_limit: 1000 });
  const { data } = await house.client.from("documents").insert([
    { title: "", content: " \n " },
    { title: "", content: "x".repeat(1001) },
  ]).select("id");
  const [blank, long] = (data ?? []).map(({ id }) => id as string);
  await house.settle();
  const { data: jobs } = await house.client.from("embedding_sync_queue").select("source_id, status, last_error").in(
    "source_id",
    [blank, long],
  );
  expect(jobs).toContainEqual({ source_id: blank, status: "completed", last_error: null });
  expect(jobs).toContainEqual({
    source_id: long,
    status: "failed",
    last_error: expect.stringMatching(
      /^The text has 100[1-9] characters; the limit is 1000\. Shorten it, or raise the setting/,
    ),
  });
  await house.client.from("documents").delete().in("id", [blank, long]);
  await settings(house, { embedding_content_limit: null });
  await house.settle();
});

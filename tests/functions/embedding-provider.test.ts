import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Fault, faults } from "../support/provider/faults.ts";
import { expectAgreement, type House, openHouse } from "./embedding-support.ts";

let house: House;

beforeAll(async () => {
  house = await openHouse();
});

afterAll(() => house.close());

const items = () => house.client.from("faq_items");

async function insertThree(name: string): Promise<string[]> {
  const { data } = await items().insert([1, 2, 3].map((n) => ({ question: `${name} ${n}`, answer: "Oui." }))).select(
    "id",
  );
  return (data ?? []).map(({ id }) => id as string);
}

async function jobs(ids: string[]): Promise<{ status: string; retry_count: number }[]> {
  const { data } = await house.client.from("embedding_sync_queue").select("status, retry_count").in("source_id", ids);
  return data ?? [];
}

/** What rests after a failure of the provider is due again now. */
const wakeAll = async (ids: string[]) => {
  for (const id of ids) await house.client.rpc("enqueue_embedding", { source_table: "faq_items", source_id: id });
};

describe("while the provider fails as a whole, no row is charged, nothing is half written, and afterwards all agree", () => {
  const cases: [string, Fault, string][] = [
    ["429 with Retry-After", faults.rateLimited({ "retry-after": "2" }), "rate_limited"],
    ["429 for want of credit", faults.quotaExhausted(), "quota_exhausted"],
    ["401", faults.status(401), "unauthorized"],
    ["500", faults.status(500), "unavailable"],
    ["503", faults.status(503), "unavailable"],
    ["a cut connection", faults.cut(), "connection_failed"],
    ["broken JSON", faults.brokenJson(), "bad_response"],
    ["a web page", faults.webPage(), "bad_response"],
    ["fewer vectors than asked", faults.fewerVectors(), "bad_response"],
    ["vectors of other dimensions", faults.wrongDimensions(), "bad_response"],
  ];

  it.each(cases)("%s", async (name, fault, code) => {
    const ids = await insertThree(name);
    house.provider.failAlways(fault);
    const report = await house.process();
    house.provider.failAlways(null);
    expect(report).toMatchObject({ failed: 0, completed: 0, stopped: { code } });
    expect(JSON.stringify(report)).not.toContain(house.provider.key);
    expect(await jobs(ids)).toEqual(ids.map(() => ({ status: "pending", retry_count: 0 })));
    await wakeAll(ids);
    await house.settle();
    await expectAgreement(house);
    await items().delete().in("id", ids);
    await house.settle();
  });
});

it("a poisonous text fails alone, after three attempts; the good rows of its batch are kept", async () => {
  const { data } = await items().insert([
    { question: "Bonne un", answer: "Oui." },
    { question: `Mauvaise ${house.provider.poison}`, answer: "Non." },
    { question: "Bonne deux", answer: "Oui." },
  ]).select("id");
  const [first, poisonous, second] = (data ?? []).map(({ id }) => id as string);
  await house.settle();
  expect(await jobs([first ?? "", second ?? ""])).toEqual([{ status: "completed", retry_count: 0 }, {
    status: "completed",
    retry_count: 0,
  }]);
  expect(await jobs([poisonous ?? ""])).toEqual([{ status: "failed", retry_count: 3 }]);
  await items().update({ question: "Guérie" }).eq("id", poisonous ?? "");
  await house.settle();
  await expectAgreement(house);
});

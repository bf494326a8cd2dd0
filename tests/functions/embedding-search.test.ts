import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { PUBLISHABLE_KEY } from "../../local/keys.ts";
import { type House, openHouse, settings } from "./embedding-support.ts";

let house: House;

beforeAll(async () => {
  house = await openHouse();
});

afterAll(() => house.close());

const ask = (query: string) =>
  fetch(`${house.stack.url}/functions/v1/search`, {
    method: "POST",
    headers: { apikey: PUBLISHABLE_KEY, "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });

/** What was asked of the provider that ends as questions do; starting the house asks one as well. */
const questions = () =>
  house.provider.requests.filter(({ inputs }) => inputs.length === 1 && inputs[0]?.endsWith("?") === true);

async function ledger(): Promise<{ requests: number; tokens: number; cost_usd: number } | undefined> {
  const { data } = await house.client.from("embedding_costs").select("requests, tokens, cost_usd")
    .eq("source_table", "search");
  return data?.[0];
}

it("a visitor's question stands in the ledger, and is refused without a request once the budget is used up", async () => {
  expect((await ask("Faut-il accorder un piano neuf ?")).status).toBe(200);
  expect(questions().some(({ inputs }) => inputs[0] === "Faut-il accorder un piano neuf ?")).toBe(true);
  await vi.waitFor(async () =>
    expect(await ledger()).toMatchObject({
      requests: questions().length,
      tokens: questions().reduce((sum, { tokens }) => sum + tokens, 0),
    })
  );
  expect(Number((await ledger())?.cost_usd)).toBeGreaterThan(0);

  await settings(house, { embedding_daily_budget_usd: 1e-9 });
  const refused = await ask("Et un vieux piano ?");
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ error: { code: "budget_used_up" } });
  expect(questions().some(({ inputs }) => inputs[0] === "Et un vieux piano ?")).toBe(false);
});

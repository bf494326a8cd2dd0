import { expect, it } from "vitest";
import type { Rpc } from "../../../shared/platform/rpc.ts";
import { search, SearchRequest } from "../../../shared/search/search.ts";

const REQUEST = SearchRequest.parse({ query: "who may play" });

function portsOf({ isAffordable = true, requests = 1 } = {}) {
  const asked: string[] = [];
  const accounted: unknown[] = [];
  const profile = { name: "openai:fake:1", provider: "openai", model: "fake", dimensions: 1, isAffordable };
  const rpc: Rpc = (name) => Promise.resolve(name === "search_profile" ? profile : []);
  const serviceRpc: Rpc = (name, args) => Promise.resolve(void accounted.push({ name, ...args }));
  const embedQuery = (text: string) => {
    asked.push(text);
    return Promise.resolve({ vector: [1], requests, tokens: 3 * requests });
  };
  return { asked, accounted, ports: { rpc, serviceRpc, embedQuery } };
}

it("a question is written down under search, with what it cost", async () => {
  const { accounted, ports } = portsOf();
  expect(await search(REQUEST, ports)).toEqual({ results: [] });
  expect(accounted).toEqual([{
    name: "account_embedding_usage",
    profile: "openai:fake:1",
    known_failures: 0,
    entries: [{ sourceTable: "search", requests: 1, tokens: 3 }],
    has_answered: false,
  }]);
});

it("a question that nobody was asked for is not written down", async () => {
  const { accounted, ports } = portsOf({ requests: 0 });
  await search(REQUEST, ports);
  expect(accounted).toEqual([]);
});

it("with the budget used up no question is paid for, and whoever asks is told so", async () => {
  const { asked, ports } = portsOf({ isAffordable: false });
  await expect(search(REQUEST, ports)).rejects.toMatchObject({
    code: "budget_used_up",
    status: 503,
    message: expect.stringContaining("embedding_daily_budget_usd") as string,
  });
  expect(asked).toEqual([]);
});

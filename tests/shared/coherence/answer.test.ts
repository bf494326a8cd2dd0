import { describe, expect, it } from "vitest";
import { answerReport, performCoherence } from "../../../shared/coherence/answer.ts";
import type { Rpc } from "../../../shared/platform/rpc.ts";
import { agreeing, reportOf } from "./support.ts";

const REPORT = reportOf([agreeing("p")]);

function house(
  answers: Partial<Record<string, unknown>> = { coherence_report: REPORT, last_coherence_report: REPORT },
) {
  const asked: string[] = [];
  const rpc: Rpc = (name) => {
    asked.push(name);
    return Promise.resolve(answers[name]);
  };
  return { asked, rpc };
}

const typeFor = async (accept: string | null, query = "") => {
  const headers: Record<string, string> = accept === null ? {} : { accept };
  const response = await answerReport(house().rpc, new Request(`http://house/report${query}`, { headers }));
  return response.headers.get("content-type")?.split(";")[0];
};

describe("the answer's form", () => {
  it.each([
    [null, "application/json"],
    ["*/*", "application/json"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "application/json"],
    ["application/json, text/plain, */*", "application/json"],
    ["text/plain", "text/plain"],
    ["text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain"],
    ["application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text"],
  ])("for %j is %s", async (accept, type) => {
    expect(await typeFor(accept)).toBe(type);
  });

  it.each([
    ["?format=json", "text/plain", "application/json"],
    ["?format=prometheus", "application/json", "text/plain"],
    ["?format=prometheus", "application/openmetrics-text", "application/openmetrics-text"],
  ])("is what %s says, whatever %s accepts", async (query, accept, type) => {
    expect(await typeFor(accept, query)).toBe(type);
  });

  it.each([
    ["the last check's, which costs nothing", { last_coherence_report: REPORT }, ["last_coherence_report"]],
    ["made anew where nothing was checked yet", { last_coherence_report: null, coherence_report: REPORT }, [
      "last_coherence_report",
      "coherence_report",
    ]],
  ])("of metrics has figures that are %s", async (_, answers, calls) => {
    const { asked, rpc } = house(answers);
    const response = await answerReport(rpc, new Request("http://house/report?format=prometheus"));
    expect(await response.text()).toContain('accord_coherence_ratio{pair="p"} 0');
    expect(asked).toEqual(calls);
  });

  it("that nobody knows is refused before anything is compared", async () => {
    const { asked, rpc } = house();
    await expect(answerReport(rpc, new Request("http://house/report?format=csv"))).rejects.toMatchObject({
      status: 400,
      message: "format must be json or prometheus, not csv",
    });
    expect(asked).toEqual([]);
  });
});

describe("what is posted", () => {
  it("repairs nothing unless it says so", async () => {
    const { asked, rpc } = house();
    expect(await performCoherence(rpc, { repair: false })).toEqual(REPORT);
    expect(asked).toEqual(["coherence_report"]);
  });

  it("that asks for a repair is told what was done, what was left, and the figures that it went by", async () => {
    const done = { repaired: [{ pair: "p", rows: 3 }], left: [{ pair: "q", action: "Run: this" }], report: REPORT };
    const { asked, rpc } = house({ repair_coherence: done });
    expect(await performCoherence(rpc, { repair: true })).toEqual({
      ...REPORT,
      repaired: done.repaired,
      left: done.left,
    });
    expect(asked).toEqual(["repair_coherence"]);
  });
});

import { describe, expect, it } from "vitest";
import { coherence } from "../../cli/commands/coherence.ts";
import { createOutput } from "../../cli/output.ts";
import { openProject } from "../../cli/project.ts";
import { AccordError } from "../../shared/platform/errors.ts";
import type { Pair, TrendPoint, Verdict } from "../../shared/coherence/report.ts";
import type { Rpc } from "../../shared/platform/rpc.ts";
import { agreeing, reportOf } from "../shared/coherence/support.ts";

interface Call {
  name: string;
  args: Record<string, unknown> | undefined;
}

/** Runs the command on a project whose database gives these answers, call by call. */
async function accord(argument: string, answers: unknown[] = [], force = false) {
  const calls: Call[] = [];
  const rpc: Rpc = (name, args) => {
    calls.push({ name, args });
    return Promise.resolve(answers[calls.length - 1]);
  };
  return { ...await run(argument, rpc, force), calls };
}

async function run(argument: string, rpc: Rpc, force = false) {
  let out = "";
  const { code, json } = await coherence.run({
    project: { ...openProject({ url: undefined, environment: {} }), rpc },
    argument,
    options: {},
    force,
    output: createOutput((text) => (out += text), { color: false, isWatched: false }),
    now: new Date(),
  });
  return { code, json, out };
}

const pair = (chosen: Partial<Pair> = {}): Pair => ({
  ...agreeing("queue of bucket documents"),
  sourceCount: 1_000,
  copyCount: 1_000,
  ...chosen,
});

describe("accord coherence", () => {
  it("shows each pair and what is to be done, and exits 0 where all agree", async () => {
    const { code, out, calls } = await accord("", [
      reportOf([pair(), { ...agreeing("embeddings of faq_items"), inFlight: 3 }]),
    ]);
    expect(out).toBe(
      "pair                       source  copy  missing  stale  orphan  in flight  ratio  verdict\n" +
        "queue of bucket documents    1000  1000        0      0       0          0  0 %    ok\n" +
        "embeddings of faq_items         0     0        0      0       0          3  0 %    ok\n" +
        "\nAll 2 pairs agree. Rows in flight: 3.\n",
    );
    expect(code).toBe(0);
    expect(calls.map(({ name }) => name)).toEqual(["coherence_report"]);
  });

  it.each<[Verdict, number, string]>([
    ["ok", 2, "1 of 1 pairs differ."],
    ["auto_sync", 2, "1 of 1 pairs differ."],
    ["alert", 3, "A person is needed."],
  ])("exits with what a script may rely on: %s is %d", async (verdict, expected, said) => {
    const { code, out, json } = await accord("", [
      reportOf([pair({ missing: 60, ratio: 0.06, verdict, action: "Run: this", detail: "since noon" })]),
    ]);
    expect(code).toBe(expected);
    expect(out).toContain("\n\nqueue of bucket documents\n  since noon\n  Run: this\n\n");
    expect(out).toContain(said);
    expect(json).toMatchObject({ verdict });
  });

  it("an alert is refused to a script also where no row differs", async () => {
    expect((await accord("", [reportOf([pair({ verdict: "alert", action: "The trigger is missing." })])])).code).toBe(
      3,
    );
  });

  it("says how many rows nobody will put right by themselves", async () => {
    const { out } = await accord("", [
      reportOf([pair({ missing: 20, waiting: 12, inFlight: 5 }), pair({ waiting: 1 })]),
    ]);
    expect(out).toContain("1 of 2 pairs differ. Rows in flight: 5. Rows that failed or that nobody takes: 13.\n");
  });

  it("repairs what is safe, and says what it left", async () => {
    const differing = pair({ missing: 60, verdict: "auto_sync" });
    const { code, out, calls } = await accord("repair", [{
      repaired: [{ pair: differing.name, rows: 60 }],
      left: [{ pair: "embeddings of faq_items", action: "Run: npm run accord -- resync faq_items" }],
      report: reportOf([differing, { ...agreeing("embeddings of faq_items"), missing: 200_000, verdict: "alert" }]),
    }]);
    expect(calls.map(({ name }) => name)).toEqual(["repair_coherence"]);
    expect(out).toContain("queue of bucket documents: 60 rows are being put right.\n");
    expect(out).toContain("embeddings of faq_items: Run: npm run accord -- resync faq_items");
    expect(out).toContain("The schedule begins within a minute");
    expect(code).toBe(3);
    const nothing = await accord("repair", [{ repaired: [], left: [], report: reportOf([pair()]) }]);
    expect(nothing.out).toBe("Nothing is to be put right.\n");
    expect(nothing.code).toBe(0);
  });

  it("stops a bucket that is being put right", async () => {
    const stopped = { bucketId: "b", wasUnderWay: true, enqueued: 5, removed: 2 };
    const { code, out, calls } = await accord("stop b", [stopped]);
    expect(calls).toEqual([{ name: "stop_sync", args: { bucket_id: "b" } }]);
    expect(out).toContain("b: no longer put right; 5 files were queued and 2 removed.\n");
    expect(code).toBe(0);
    expect((await accord("stop b", [{ ...stopped, wasUnderWay: false }])).out).toBe("b: was not being put right.\n");
  });

  it("tells what the database refuses without the path that was called", async () => {
    const rpc: Rpc = () => {
      throw new AccordError("22023", '/rest/v1/rpc/stop_sync: 400 Bucket "b" is not watched', { status: 400 });
    };
    await expect(run("stop b", rpc)).rejects.toThrow(/^Bucket "b" is not watched$/);
  });

  it("shows the trend of each pair", async () => {
    const point: TrendPoint = {
      pair: "queue of bucket documents",
      at: "2026-11-21T00:00:00Z",
      checks: 288,
      sourceCount: 100,
      copyCount: 100,
      missing: 4,
      stale: 0,
      orphan: 0,
      verdict: "ok",
    };
    const { out, calls } = await accord("history 30", [[point, { ...point, missing: 8 }]]);
    expect(calls).toEqual([{ name: "coherence_trend", args: { days: 30 } }]);
    expect(out).toMatch(/^pair .+ trend\nqueue of bucket documents +576 +8 +8 +0 +▅█\n$/);
    expect((await accord("history", [[]])).out).toContain("No check has been made yet");
  });

  it.each([
    ["explode", "coherence knows repair, sync, stop and history, not"],
    ["stop", "coherence stop needs a bucket."],
    ["sync", "coherence sync needs a bucket."],
    ["repair all", 'coherence repair takes no "all".'],
    ["history long", 'coherence history takes a number of days from 1 to 3650, not "long".'],
    ["history 0", 'from 1 to 3650, not "0".'],
    ["history 99999999999999999999", 'from 1 to 3650, not "99999999999999999999".'],
  ])("%j is refused before anybody is asked", async (argument, said) => {
    await expect(accord(argument)).rejects.toThrow(said);
  });

  it("knows --force only where something is forced", async () => {
    await expect(accord("repair", [], true)).rejects.toThrow("coherence repair knows no --force.");
  });
});

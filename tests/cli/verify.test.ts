import { describe, expect, it } from "vitest";
import { verify } from "../../cli/commands/verify.ts";
import { createOutput } from "../../cli/output.ts";
import { openProject } from "../../cli/project.ts";

const UNREADABLE = {
  source_table: "orders",
  source_id: null,
  profile: "lexical",
  problem: "unreadable",
  detail: 'column "pub" does not exist (SQLSTATE 42703)',
  queued: null,
};
const MISSING = {
  source_table: "faq_items",
  source_id: "7",
  profile: "lexical",
  problem: "missing",
  detail: "nothing is embedded",
  queued: null,
};

/** Runs the command on a project whose database finds these problems. */
async function accord(problems: unknown[]) {
  let out = "";
  const { code } = await verify.run({
    project: { ...openProject({ url: undefined, environment: {} }), rpc: () => Promise.resolve(problems) },
    argument: "",
    options: {},
    force: false,
    output: createOutput((text) => (out += text), { color: false, isWatched: false }),
    now: new Date(),
  });
  return { code, out };
}

describe("accord verify", () => {
  it("says which table was not proven, and that this is no agreement", async () => {
    const { code, out } = await accord([UNREADABLE]);
    expect(code).toBe(2);
    expect(out).toMatch(/orders +all +unreadable +column "pub" does not exist \(SQLSTATE 42703\)\n/);
    expect(out).toContain("Not proven: orders. npm run accord -- doctor says how to mend what is unreadable.");
    expect(out).not.toContain("rows disagree");
  });

  it("counts rows as rows and names tables apart, however many rows disagree", async () => {
    const rows = Array.from({ length: 60 }, (_, index) => ({ ...MISSING, source_id: `${index}` }));
    const { out } = await accord([...rows, UNREADABLE]);
    expect(out).toMatch(/orders +all +unreadable/);
    expect(out).toContain("60 rows disagree.");
  });
});

import { describe, expect, it } from "vitest";
import { drain, type DrainOptions } from "../../../shared/embeddings/drain.ts";
import type { Embedder } from "../../../shared/embeddings/embedder.ts";
import { ProviderError } from "../../../shared/embeddings/provider-error.ts";
import type { ProfileInUse } from "../../../shared/embeddings/profile.ts";
import type { LedgerEntry, Result } from "../../../shared/embeddings/queue.ts";
import { AccordError, DatabaseError } from "../../../shared/platform/errors.ts";
import { fakeEmbedder, refusing } from "./fake-embedder.ts";
import { FAKE_PROFILE, type FakeQueue, fakeQueue, type FakeRow, stillClock } from "./fake-queue.ts";

const rows = (count: number, row: Partial<FakeRow> = {}): FakeRow[] =>
  Array.from({ length: count }, (_, i) => ({ id: `row ${i}`, ...row }));

const run = (
  queue: FakeQueue,
  embedderOf: Embedder | ((profile: ProfileInUse) => Embedder),
  options: DrainOptions = {},
  clock = stillClock(),
) => drain({ queue, clock, embedderOf: typeof embedderOf === "function" ? embedderOf : () => embedderOf }, options);

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
const paidTokens = (entries: LedgerEntry[]) => sum(entries.map(({ tokens }) => tokens));

describe("a run", () => {
  it("ends when the queue is empty, also where the clock stands still", async () => {
    const queue = fakeQueue({ rows: rows(35) });
    const clock = stillClock();
    const report = await run(queue, fakeEmbedder(), { batchSize: 10 }, clock);
    expect(report).toMatchObject({ claimed: 35, completed: 35, remaining: 0, failed: 0, durationMs: 0, stopped: null });
    const copies = Object.fromEntries([...queue.copies].map(([id, own]) => [id, own.get(FAKE_PROFILE.name)]));
    expect(copies).toEqual(Object.fromEntries(rows(35).map(({ id }) => [id, [`text of ${id}`]])));
    expect(clock.waited).toEqual([]);
  });

  it("over an empty queue asks it once", async () => {
    const queue = fakeQueue({ rows: [] });
    await run(queue, fakeEmbedder(), { lanes: 4 });
    expect(queue.calls.map(({ name }) => name)).toEqual(["claim", "end"]);
  });

  it("makes its first claim alone: it is what lets the worker in", async () => {
    let underWay = 0;
    const queue = fakeQueue({
      rows: rows(30),
      meet: async (name) => {
        if (name !== "claim") return;
        underWay++;
        await Promise.resolve();
        if (queue.claims.length === 0) expect(underWay).toBe(1);
        underWay--;
      },
    });
    await run(queue, fakeEmbedder(), { batchSize: 10, lanes: 3 });
    expect(queue.copies.size).toBe(30);
  });

  it("watches an empty queue for as long as it is told to, and takes what comes meanwhile", async () => {
    const queue = fakeQueue({ rows: [] });
    const clock = stillClock();
    await run(queue, fakeEmbedder(), { lingerMs: 5_500 }, clock);
    expect(clock.waited).toEqual([5_500]);
    expect(queue.claims).toHaveLength(2);
  });

  it("claims no more when its time is up, and finishes what it has", async () => {
    const clock = stillClock();
    const queue = fakeQueue({ rows: rows(30), meet: (name) => name === "read" ? clock.wait(1_000) : undefined });
    const report = await run(queue, fakeEmbedder(), { batchSize: 10, lanes: 1, budgetMs: 1_500 }, clock);
    expect(report).toMatchObject({ claimed: 20, completed: 20, remaining: 10 });
  });

  it("with an embedder that has processor time for few texts takes few rows", async () => {
    const queue = fakeQueue({ rows: rows(30) });
    const embedder = fakeEmbedder({ limits: { inputsPerInvocation: 5, inputsPerRequest: 5 } });
    const report = await run(queue, embedder, { batchSize: 5, lanes: 1 });
    expect(report).toMatchObject({ claimed: 5, completed: 5, remaining: 25, stopped: null });
  });

  it.each(["budget_used_up", "provider_paused"] as const)("that gets nothing says why: %s", async (idle) => {
    const queue = fakeQueue({ rows: rows(3), idle });
    const report = await run(queue, fakeEmbedder(), { lingerMs: 1_000 });
    expect(report).toMatchObject({ claimed: 0, remaining: 3, stopped: { code: idle } });
    // Nor does it wait for more of nothing.
    expect(queue.claims).toHaveLength(1);
  });

  it("that is one too many is no failure", async () => {
    const report = await run(fakeQueue({ rows: rows(3), idle: "enough_workers" }), fakeEmbedder());
    expect(report).toMatchObject({ claimed: 0, stopped: null });
  });
});

describe("what is claimed", () => {
  it("is embedded in as few requests as its batches allow", async () => {
    const queue = fakeQueue({ rows: rows(40) });
    const embedder = fakeEmbedder({ limits: { inputsPerRequest: 20 } });
    await run(queue, embedder, { batchSize: 20, lanes: 1 });
    expect(embedder.requests.map((texts) => texts.length)).toEqual([20, 20]);
  });

  it("is read, and written, a few rows at a time", async () => {
    const queue = fakeQueue({ rows: rows(200) });
    await run(queue, fakeEmbedder(), { batchSize: 200, lanes: 1 });
    expect(queue.of("read").map((tokens) => (tokens as string[]).length)).toEqual([64, 64, 64, 8]);
    expect(queue.finished.map((results) => results.length)).toEqual([50, 50, 50, 50]);
  });

  it("and is gone has its copy removed; what is unchanged or too long asks no provider", async () => {
    const name = FAKE_PROFILE.name;
    const queue = fakeQueue({
      rows: [{ id: "gone", content: null }, { id: "same", unchanged: { [name]: 7 } }, { id: "long", tooLong: 1_001 }],
    });
    const embedder = fakeEmbedder();
    const report = await run(queue, embedder);
    expect(report).toMatchObject({ completed: 2, deleted: 1, unchanged: 1, failed: 1, usage: { tokensSaved: 7 } });
    expect(embedder.requests).toEqual([]);
    expect(queue.finished.flat().find(({ token }) => token === "long")?.failure).toMatchObject({
      permanent: true,
      message: expect.stringContaining("1001 characters; the limit is 1000") as string,
    });
  });

  it("and is locked by an edit is asked for again a moment later", async () => {
    const queue = fakeQueue({ rows: rows(3), busy: { "row 1": 2 } });
    const clock = stillClock();
    const report = await run(queue, fakeEmbedder(), {}, clock);
    expect(report.completed).toBe(3);
    expect(queue.finished.map((results) => results.length)).toEqual([3, 1, 1]);
    expect(clock.waited).toEqual([20, 50]);
  });

  it("and is locked with its whole table is asked for again with the others of it, and not one by one", async () => {
    const busy = Object.fromEntries(rows(40).map(({ id }) => [id, Infinity]));
    const queue = fakeQueue({ rows: rows(41), busy });
    const clock = stillClock();
    const report = await run(queue, fakeEmbedder(), {}, clock);
    expect(report).toMatchObject({ completed: 1, failed: 0 });
    expect(queue.finished.map((results) => results.length)).toEqual([41, 40, 40, 40, 40, 40, 40]);
    expect(clock.now()).toBeLessThan(2_000);
  });

  it("and stays locked is left to its lease, nobody waits for ever, and what was paid for is kept", async () => {
    const queue = fakeQueue({ rows: rows(2), busy: { "row 0": Infinity } });
    const report = await run(queue, fakeEmbedder());
    expect(report).toMatchObject({ completed: 1, failed: 0 });
    expect(queue.finished).toHaveLength(7);
    const [copy] = queue.finished.at(-1)?.[0]?.copies ?? [];
    expect(queue.stocked.flat()).toEqual(copy?.chunks.map(({ hash, embedding }) => ({ hash, embedding })));
    expect(queue.stocked.flat()).not.toHaveLength(0);
  });
});

describe("a row that cannot be written", () => {
  const unwritable = (code: string) => (name: string, about: unknown) => {
    if (name !== "finish") return;
    const bad = (about as Result[]).some(({ token, copies }) => token === "row 2" && copies.length > 0);
    if (bad) throw new DatabaseError("finish: no", { details: { code } });
  };

  it.each(["23514", "22P05", "42703", "54000", "P0001"])(
    "is charged alone, and the others are written and paid for once: %s",
    async (code) => {
      const queue = fakeQueue({ rows: rows(5), meet: unwritable(code) });
      const embedder = fakeEmbedder();
      const report = await run(queue, embedder);
      expect(report).toMatchObject({ completed: 4, failed: 1 });
      expect(embedder.requests.flat()).toHaveLength(5);
      expect([...queue.copies.keys()].filter((id) => queue.copies.get(id)?.size === 1)).toHaveLength(4);
      expect(queue.finished.flat().find(({ failure }) => failure !== undefined)).toEqual({
        token: "row 2",
        copies: [],
        failure: { message: "Its copy cannot be written. finish: no", permanent: false },
      });
    },
  );

  it.each(["08006", "40P01", "57P01", "57014", "PGRST003"])(
    "is not to blame where the database is: %s",
    async (code) => {
      const queue = fakeQueue({ rows: rows(5), meet: unwritable(code) });
      await expect(run(queue, fakeEmbedder(), { lanes: 1 })).rejects.toThrow("finish: no");
      expect(queue.released).toEqual([rows(5).map(({ id }) => id)]);
    },
  );
});

/** A text whose every word is a chunk by itself, at 16 tokens a chunk. */
const longText = (chunks: number) =>
  Array.from({ length: chunks }, (_, i) => `## Heading ${i}\n\nSentence ${"word ".repeat(10)}${i}.`).join("\n\n");

describe("a row of many chunks", () => {
  const profiles = [{ chunkTokens: 16 }];
  const content = longText(1_500);
  const limits = { inputsPerRequest: 256, tokensPerRequest: 1_000_000, concurrentRequests: 1 };

  it("is embedded and written in bounded portions, whole", async () => {
    const queue = fakeQueue({ rows: [{ id: "book", content }], profiles });
    const embedder = fakeEmbedder({ limits });
    let [most, written] = [0, 0];
    const report = await run(queue, {
      ...embedder,
      // Texts that were embedded and neither stocked nor written: those whose vectors are in memory.
      embed: async (texts, options) => {
        const outcome = await embedder.embed(texts, options);
        written = sum(queue.stocked.map((chunks) => chunks.length));
        most = Math.max(most, sum(embedder.requests.map((request) => request.length)) - written);
        return outcome;
      },
    });
    expect(report).toMatchObject({ claimed: 1, completed: 1 });
    const chunks = queue.copies.get("book")?.get(FAKE_PROFILE.name) ?? [];
    expect(chunks.length).toBeGreaterThan(2_900);
    expect(most).toBeLessThanOrEqual(1_024 + 256);
    expect(Math.max(...queue.stocked.map((chunks) => chunks.length))).toBeLessThanOrEqual(100);
    const inFinish = queue.finished.flat().flatMap(({ copies }) => copies.flatMap(({ chunks }) => chunks));
    expect(inFinish.filter(({ embedding }) => embedding !== undefined).length).toBeLessThanOrEqual(100);
  });

  it("keeps what was paid for when the provider fails in the middle, and pays for the rest alone", async () => {
    const queue = fakeQueue({ rows: [{ id: "book", content }], profiles });
    let asked = 0;
    const embedder = fakeEmbedder({
      limits,
      meet: () => {
        if (++asked === 7) throw new ProviderError("unavailable", "down");
      },
    });
    const report = await run(queue, embedder);
    expect(report).toMatchObject({ completed: 0, failed: 0, stopped: { code: "unavailable" } });
    expect(sum(queue.stocked.map((chunks) => chunks.length))).toBe(6 * 256);
    const second = fakeQueue({ rows: [{ id: "book", content }], profiles });
    for (const hash of queue.paid) second.paid.add(hash);
    const rest = fakeEmbedder({ limits });
    await run(second, rest);
    const [before, after] = [embedder, rest].map(({ requests }) => new Set(requests.flat()));
    expect(second.copies.get("book")?.get(FAKE_PROFILE.name)).toHaveLength(
      new Set([...before ?? [], ...after ?? []]).size,
    );
    expect([...after ?? []].filter((text) => embedder.requests.slice(0, 6).flat().includes(text))).toEqual([]);
  });

  it("is charged where writing it takes longer than anybody may: it would be tried for ever", async () => {
    const queue = fakeQueue({
      rows: [{ id: "book", content }, { id: "leaf" }],
      profiles,
      meet: (name, about) => {
        const isBook = name === "finish" &&
          (about as Result[]).some(({ token, copies }) => token === "book" && copies[0]);
        if (isBook) throw new DatabaseError("statement timeout", { details: { code: "57014" } });
      },
    });
    const report = await run(queue, fakeEmbedder({ limits }));
    expect(report).toMatchObject({ completed: 1, failed: 1 });
  });

  it("is not read together with another one", async () => {
    const queue = fakeQueue({ rows: rows(3, { content: longText(700) }), profiles });
    await run(queue, fakeEmbedder({ limits }), { lanes: 1 });
    expect(queue.finished.map((results) => results.map(({ token }) => token))).toEqual([["row 0"], ["row 1"], [
      "row 2",
    ]]);
  });
});

describe("what was paid for before", () => {
  it("is not asked for again: the row takes it from where it is", async () => {
    const queue = fakeQueue({ rows: [{ id: "new", content: "known text" }] });
    const first = fakeQueue({ rows: [{ id: "old", content: "known text" }] });
    await run(first, fakeEmbedder());
    for (const hash of first.paid) queue.paid.add(hash);
    const embedder = fakeEmbedder();
    const report = await run(queue, embedder);
    expect(embedder.requests).toEqual([]);
    expect(report).toMatchObject({ completed: 1, usage: { tokens: 0, requests: 0 } });
    expect(report.usage.tokensSaved).toBeGreaterThan(0);
    expect(queue.ledger).toEqual([]);
    expect(queue.finished.flat().flatMap(({ copies }) => copies.map(({ reused }) => reused)))
      .toEqual([report.usage.tokensSaved]);
  });

  it("of a row whose rest is refused is kept in stock, and the row is charged", async () => {
    const content = longText(20).replace("word word", "bad word");
    const queue = fakeQueue({ rows: [{ id: "mixed", content }, { id: "good" }], profiles: [{ chunkTokens: 16 }] });
    const embedder = fakeEmbedder({
      limits: { tokensPerRequest: 100_000 },
      meet: refusing((text) => text.includes("bad")),
    });
    const report = await run(queue, embedder);
    expect(report).toMatchObject({ completed: 1, failed: 1, stopped: null });
    const [mixed] = queue.finished.flat().filter(({ token }) => token === "mixed");
    expect(mixed?.failure).toMatchObject({
      permanent: false,
      message: expect.stringContaining("cannot take") as string,
    });
    expect(mixed?.copies).toEqual([]);
    const distinct = new Set(embedder.requests.flat().filter((text) => text !== "ok" && !text.includes("bad")));
    // All but the good row's one.
    expect(sum(queue.stocked.map((chunks) => chunks.length))).toBe(distinct.size - 1);
  });

  it("is no saving to the row that waits for the rest of it: a new book of several runs has saved nothing", async () => {
    const book = { id: "book", content: longText(1_500) };
    const limits = { inputsPerRequest: 256, tokensPerRequest: 1_000_000, concurrentRequests: 1, tokensPerInput: 1_000 };
    const profiles = [{ chunkTokens: 16 }];
    let asked = 0;
    const failing = fakeEmbedder({
      limits,
      meet: () => {
        if (++asked % 4 === 0) throw new ProviderError("unavailable", "down");
      },
    });
    const queue = fakeQueue({ rows: [book], profiles });
    const saved: number[] = [];
    for (let round = 0; round < 5 && queue.copies.get("book")?.size !== 1; round++) {
      const report = await run(queue, failing);
      saved.push(report.usage.tokensSaved);
      queue.giveBack("book");
    }
    expect(saved.length).toBeGreaterThan(2);
    expect(sum(saved)).toBe(0);
    // Another one of the same text is spared all of it.
    const other = fakeQueue({ rows: [{ ...book, id: "other" }], profiles });
    for (const hash of queue.paid) other.paid.add(hash);
    const spared = await run(other, fakeEmbedder({ limits }));
    expect(spared.usage).toMatchObject({ tokens: 0, requests: 0 });
    expect(spared.usage.tokensSaved).toBeGreaterThan(10_000);
  });

  it("is paid for once where two rows of a batch have the same text", async () => {
    const queue = fakeQueue({ rows: rows(5, { content: "the same" }) });
    const embedder = fakeEmbedder();
    await run(queue, embedder);
    expect(embedder.requests).toEqual([["the same"]]);
    expect(queue.copies.size).toBe(5);
  });
});

describe("a provider that fails as a whole", () => {
  const down = new ProviderError("rate_limited", "slow down", { retryAfterMs: 7_000 });

  it("is given the pause that it asks for, once, and no row is charged", async () => {
    const queue = fakeQueue({ rows: rows(40) });
    const embedder = fakeEmbedder({
      meet: () => {
        throw down;
      },
    });
    const report = await run(queue, embedder, { batchSize: 40, lanes: 1 });
    expect(queue.pauses).toEqual([{ provider: "openai", message: "slow down", seconds: 7 }]);
    expect(report).toMatchObject({ completed: 0, failed: 0, stopped: { code: "rate_limited", message: "slow down" } });
    expect(queue.finished.flat()).toEqual(rows(40).map(({ id }) => ({ token: id, copies: [] })));
  });

  it("keeps nobody from what it answered before", async () => {
    const queue = fakeQueue({ rows: rows(40) });
    let asked = 0;
    const embedder = fakeEmbedder({
      limits: { concurrentRequests: 1 },
      meet: () => {
        if (++asked > 2) throw down;
      },
    });
    const report = await run(queue, embedder, { batchSize: 40, lanes: 1 });
    expect(report.completed).toBe(20);
    expect(paidTokens(queue.ledger)).toBe(report.usage.tokens);
  });

  it("is not asked where another worker has seen it fail meanwhile", async () => {
    const queue = fakeQueue({ rows: rows(4), permissions: [{ waitMs: 0, isPaused: true }] });
    const embedder = fakeEmbedder({ limits: { isRated: true } });
    const report = await run(queue, embedder, { lanes: 1 });
    expect(embedder.requests).toEqual([]);
    // Nobody failed here: its pause is the other worker's affair.
    expect(queue.pauses).toEqual([]);
    expect(report).toMatchObject({ completed: 0, failed: 0 });
  });

  it("is asked as fast as all workers together may", async () => {
    const permissions = [{ waitMs: 300, isPaused: false }, { waitMs: 40, isPaused: false }];
    const queue = fakeQueue({ rows: rows(4), permissions });
    const clock = stillClock();
    const report = await run(queue, fakeEmbedder({ limits: { isRated: true } }), {}, clock);
    expect(clock.waited).toEqual([300, 40]);
    expect(report.completed).toBe(4);
  });

  it("and that cannot even be made pauses and charges nobody", async () => {
    const queue = fakeQueue({ rows: rows(3) });
    const report = await run(queue, () => {
      throw new AccordError("misconfigured", "OPENAI_API_KEY is not set");
    });
    expect(queue.pauses).toEqual([{ provider: "openai", message: "OPENAI_API_KEY is not set", seconds: null }]);
    expect(report).toMatchObject({ completed: 0, failed: 0, stopped: { code: "misconfigured" } });
    expect(queue.finished.flat().filter(({ failure }) => failure !== undefined)).toEqual([]);
  });
});

describe("a provider that has failed before", () => {
  const profiles = [{ knownFailures: 2 }];

  it("is asked whether it answers also where there is nothing to embed", async () => {
    const queue = fakeQueue({ rows: rows(5, { content: null }), profiles });
    const embedder = fakeEmbedder();
    const report = await run(queue, embedder);
    expect(embedder.requests).toEqual([["ok"]]);
    expect(queue.of("account")).toEqual([
      {
        profile: FAKE_PROFILE.name,
        knownFailures: 2,
        entries: [{ sourceTable: "leaves", requests: 1, tokens: 2 }],
        hasAnswered: true,
      },
    ]);
    expect(report).toMatchObject({ completed: 5, usage: { requests: 1, tokens: 2 }, stopped: null });
  });

  it("and fails again rests again; what needed no provider is done", async () => {
    const queue = fakeQueue({ rows: rows(5, { content: null }), profiles });
    const embedder = fakeEmbedder({
      meet: () => {
        throw new ProviderError("unavailable", "still down");
      },
    });
    const report = await run(queue, embedder);
    expect(queue.pauses).toEqual([{ provider: "openai", message: "still down", seconds: null }]);
    expect(queue.of("account")).toMatchObject([{ hasAnswered: false }]);
    expect(report).toMatchObject({ completed: 5, stopped: { code: "unavailable" } });
  });

  it("is asked nothing more where it has answered", async () => {
    const embedder = fakeEmbedder();
    await run(fakeQueue({ rows: rows(5), profiles }), embedder);
    expect(embedder.requests.flat()).toEqual(rows(5).map(({ id }) => `text of ${id}`));
  });

  it("and is not asked where it never failed", async () => {
    const embedder = fakeEmbedder();
    await run(fakeQueue({ rows: rows(5, { content: null }) }), embedder);
    expect(embedder.requests).toEqual([]);
  });
});

describe("two profiles", () => {
  const profiles = [{ name: "active", model: "one" }, { name: "building", provider: "lexical" as const }];

  it("are both filled, the active one first", async () => {
    const queue = fakeQueue({ rows: rows(5), profiles });
    const asked: string[] = [];
    const report = await run(queue, ({ name }) => fakeEmbedder({ meet: () => void asked.push(name) }));
    expect(asked).toEqual(["active", "building"]);
    expect(report.completed).toBe(5);
    expect([...queue.copies.get("row 0")?.keys() ?? []]).toEqual(["active", "building"]);
  });

  it("do not wait for each other: where one fails the other has its copies", async () => {
    const queue = fakeQueue({ rows: rows(5), profiles });
    const report = await run(queue, ({ name }) =>
      fakeEmbedder({
        meet: () => {
          if (name === "active") throw new ProviderError("unavailable", "down");
        },
      }));
    expect(queue.pauses.map(({ provider }) => provider)).toEqual(["openai"]);
    expect([...queue.copies.get("row 0")?.keys() ?? []]).toEqual(["building"]);
    expect(report).toMatchObject({ completed: 0, failed: 0 });
  });

  it("of which one rests: only the other is asked", async () => {
    const queue = fakeQueue({ rows: rows(2), profiles: [{ name: "active", isPaused: true }, { name: "building" }] });
    const asked: string[] = [];
    await run(queue, ({ name }) => fakeEmbedder({ meet: () => void asked.push(name) }));
    expect(asked).toEqual(["building"]);
  });
});

describe("the ledger", () => {
  it("adds up to what the provider counted, however the rows are mixed", async () => {
    const mixed = rows(90).map((row, i) => ({ ...row, table: `table ${i % 3}`, content: `text ${i % 70} of this` }));
    const queue = fakeQueue({ rows: mixed });
    let provided = 0;
    const embedder = fakeEmbedder({ meet: refusing((text) => text.startsWith("text 13 ")) });
    const report = await run(queue, {
      ...embedder,
      embed: async (texts, options) => {
        const outcome = await embedder.embed(texts, options);
        provided += outcome.tokens;
        return outcome;
      },
    }, { batchSize: 40 });
    expect(report.usage.tokens).toBe(provided);
    expect(paidTokens(queue.ledger)).toBe(provided);
    expect(sum(queue.ledger.map(({ requests }) => requests))).toBe(report.usage.requests);
    expect(new Set(queue.ledger.map(({ sourceTable }) => sourceTable)).size).toBe(3);
    expect(report).toMatchObject({ claimed: 90, completed: 88, failed: 2 });
  });
});

it("a row whose text cannot be read is charged by itself, and holds up nobody", async () => {
  const queue = fakeQueue({
    rows: rows(20),
    meet: (name, args) => {
      if (name === "read" && JSON.stringify(args).includes(`"${rows(20)[7]?.id}"`)) {
        throw new DatabaseError("division by zero", { details: { code: "22012" } });
      }
    },
  });
  const report = await run(queue, fakeEmbedder());
  expect(report).toMatchObject({ completed: 19, failed: 1, stopped: null });
  expect(queue.finished.flat().filter(({ failure }) => failure !== undefined)).toMatchObject([
    { token: rows(20)[7]?.id, failure: { message: "Its text cannot be read. division by zero", permanent: false } },
  ]);
});

describe("a run that breaks", () => {
  it.each(["claim", "read", "known", "account", "finish"] as const)(
    "at %s ends, and gives back what it holds",
    async (at) => {
      const queue = fakeQueue({
        rows: rows(20),
        meet: (name) => {
          if (name === at) throw new Error("the database is away");
        },
      });
      await expect(run(queue, fakeEmbedder(), { batchSize: 10 })).rejects.toThrow("the database is away");
      expect(queue.of("end")).toHaveLength(1);
      // Either way they are due again at once, and nobody is charged.
      const unfinished = queue.finished.flat().filter(({ copies, failure }) =>
        copies.length === 0 && failure === undefined
      );
      expect([...queue.released.flat(), ...unfinished.map(({ token }) => token)].sort()).toEqual(
        rows(20).slice(0, queue.claims.length * 10).map(({ id }) => id).sort(),
      );
    },
  );

  it("by a fault in the program is told, and not taken for the provider's", async () => {
    const queue = fakeQueue({ rows: rows(5) });
    const embedder = fakeEmbedder({
      meet: () => {
        throw new TypeError("a fault in the program");
      },
    });
    await expect(run(queue, embedder)).rejects.toThrow("a fault in the program");
    expect(queue.pauses).toEqual([]);
    expect(queue.of("end")).toHaveLength(1);
  });

  it("tells what broke it, also where what follows breaks as well", async () => {
    const queue = fakeQueue({
      rows: rows(5),
      meet: (name) => {
        if (["read", "release", "end"].includes(name)) throw new Error(`${name} is away`);
      },
    });
    await expect(run(queue, fakeEmbedder(), { lanes: 1 })).rejects.toThrow("read is away");
  });
});

import type { ProfileInUse } from "../../../shared/embeddings/profile.ts";
import type {
  Claim,
  Embedding,
  Job,
  JobQueue,
  LedgerEntry,
  Outcome,
  Result,
} from "../../../shared/embeddings/queue.ts";

export interface FakeRow {
  id: string;
  content?: string | null;
  table?: string;
  tooLong?: number;
  /** Profiles in which it agrees already, with the tokens that it had cost. */
  unchanged?: Record<string, number>;
}

export interface FakeQueue extends JobQueue {
  /** Every call, in its order. */
  readonly calls: { name: keyof JobQueue; about: unknown }[];
  readonly claims: number[];
  readonly finished: Result[][];
  readonly stocked: { hash: string; embedding: Embedding }[][];
  readonly pauses: { provider: string; message: string; seconds: number | null }[];
  readonly ledger: LedgerEntry[];
  readonly released: string[][];
  /** Hashes that have been paid for. */
  readonly paid: Set<string>;
  /** The copies that were written, by row and profile. */
  readonly copies: Map<string, Map<string, string[]>>;
  of(name: keyof JobQueue): unknown[];
  /** Has a row that was left unfinished claimed again. */
  giveBack(id: string): void;
}

interface FakeOptions {
  rows: FakeRow[];
  profiles?: Partial<ProfileInUse>[];
  idle?: Claim["idle"];
  /** How often a row is found locked before it can be written; Infinity for always. */
  busy?: Record<string, number>;
  /** What happens before a call is answered; it may throw. */
  meet?: (name: keyof JobQueue, about: unknown) => void | Promise<void>;
  /** The answers to the questions for permission, in their order; after them it is always given. */
  permissions?: { waitMs: number; isPaused: boolean }[];
}

export const FAKE_PROFILE: ProfileInUse = {
  name: "openai:fake:1",
  provider: "openai",
  model: "fake",
  dimensions: 1,
  template: "{chunk}",
  chunkTokens: 400,
  chunkOverlap: 0,
  knownFailures: 0,
  isPaused: false,
};

/** The rules of the real queue, in memory: a row is done when each profile in use has its copy. */
export function fakeQueue(options: FakeOptions): FakeQueue {
  const { rows, profiles: wanted = [{}], idle = null, meet = () => {} } = options;
  const profiles = wanted.map((profile): ProfileInUse => ({ ...FAKE_PROFILE, ...profile }));
  const busy = { ...options.busy };
  const permissions = [...options.permissions ?? []];
  const due = rows.map(({ id }) => id);
  const stock = new Set<string>();

  const jobOf = (id: string): Job => {
    const row = rows.find((row) => row.id === id);
    const isGone = row?.content === null || row === undefined;
    return {
      token: id,
      sourceTable: row?.table ?? "leaves",
      sourceId: id,
      content: row?.tooLong === undefined ? row?.content ?? (isGone ? null : `text of ${id}`) : null,
      fields: {},
      isGone,
      tooLong: row?.tooLong ?? null,
      limit: 1_000,
      chunkTokens: null,
      chunkOverlap: null,
      targets: isGone ? [] : profiles.map(({ name }) => ({
        profile: name,
        fingerprint: `fingerprint of ${id}`,
        isUnchanged: row?.unchanged?.[name] !== undefined,
        tokens: row?.unchanged?.[name] ?? 0,
      })),
    };
  };

  function settle({ token, copies, failure }: Result): Outcome {
    const times = busy[token] ?? 0;
    if (times > 0) {
      busy[token] = times - 1;
      return "busy";
    }
    const written = queue.copies.get(token) ?? new Map<string, string[]>();
    queue.copies.set(token, written);
    for (const { profile, chunks, isUnchanged } of copies) {
      if (isUnchanged) continue;
      for (const { hash, embedding } of chunks) {
        if (embedding === undefined && !queue.paid.has(hash)) throw new Error(`No vector for a chunk of ${token}`);
        queue.paid.add(hash);
        stock.delete(hash);
      }
      written.set(profile, chunks.map(({ content }) => content));
    }
    if (failure !== undefined) return failure.permanent ? "failed" : "retry";
    const { isGone } = jobOf(token);
    const has = new Set(copies.map(({ profile }) => profile));
    return isGone || profiles.every(({ name }) => has.has(name)) ? "completed" : "unfinished";
  }

  async function called<Value>(name: keyof JobQueue, about: unknown, answer: () => Value): Promise<Value> {
    queue.calls.push({ name, about });
    await meet(name, about);
    return answer();
  }

  const queue: FakeQueue = {
    calls: [],
    claims: [],
    finished: [],
    stocked: [],
    pauses: [],
    ledger: [],
    released: [],
    paid: new Set(),
    copies: new Map(),
    giveBack: (id) => void due.push(id),
    of: (name) => queue.calls.filter((call) => call.name === name).map(({ about }) => about),
    claim: (batchSize) =>
      called("claim", batchSize, () => {
        queue.claims.push(batchSize);
        const tokens = idle === null ? due.splice(0, batchSize) : [];
        return { tokens, profiles: profiles.map((profile) => ({ ...profile })), idle };
      }),
    read: (tokens) => called("read", tokens, () => tokens.map(jobOf)),
    known: (profile, hashes) =>
      called("known", { profile, hashes }, () => {
        const known = hashes.filter((hash) => queue.paid.has(hash));
        return {
          copied: new Set(known.filter((hash) => !stock.has(hash))),
          stocked: new Set(known.filter((hash) => stock.has(hash))),
        };
      }),
    stock: (profile, chunks) =>
      called("stock", { profile, chunks }, () => {
        queue.stocked.push(chunks);
        for (const { hash } of chunks) queue.paid.add(hash);
        for (const { hash } of chunks) stock.add(hash);
      }),
    finish: (results) =>
      called("finish", results, () => {
        queue.finished.push(results);
        return new Map(results.map((result) => [result.token, settle(result)]));
      }),
    release: (tokens) => called("release", tokens, () => void queue.released.push(tokens)),
    takeRate: (provider, knownFailures, tokens) =>
      called(
        "takeRate",
        { provider, knownFailures, tokens },
        () => permissions.shift() ?? { waitMs: 0, isPaused: false },
      ),
    pause: (provider, message, seconds) =>
      called("pause", { provider, message, seconds }, () => {
        queue.pauses.push({ provider, message, seconds });
        return seconds ?? 5;
      }),
    account: (profile, knownFailures, entries, hasAnswered) =>
      called("account", { profile, knownFailures, entries, hasAnswered }, () => void queue.ledger.push(...entries)),
    end: () => called("end", null, () => due.length),
  };
  return queue;
}

/** Time that passes only while somebody waits. */
export function stillClock(): { now(): number; wait(milliseconds: number): Promise<void>; waited: number[] } {
  const clock = {
    waited: [] as number[],
    now: () => clock.waited.reduce((sum, milliseconds) => sum + milliseconds, 0),
    wait: (milliseconds: number) => {
      clock.waited.push(milliseconds);
      return Promise.resolve();
    },
  };
  return clock;
}

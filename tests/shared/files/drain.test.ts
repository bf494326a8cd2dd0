import { describe, expect, it } from "vitest";
import type { BlobStore } from "../../../shared/files/blobs.ts";
import { drainFiles, type Extract, type FilesDrainOptions } from "../../../shared/files/drain.ts";
import { FileError } from "../../../shared/files/extract/file-error.ts";
import { DatabaseError } from "../../../shared/platform/errors.ts";
import { stillClock } from "../embeddings/fake-queue.ts";
import {
  failures,
  fakeExtract,
  type FakeFile,
  type FakeFiles,
  fakeFiles,
  progressOf,
  readFiles,
} from "./fake-files.ts";

const run = (
  queue: FakeFiles,
  extract: Extract = fakeExtract(),
  options: FilesDrainOptions = {},
  clock = stillClock(),
) => drainFiles({ queue, blobs: queue.blobs, extract, clock }, options);

const texts = (count: number, file: Partial<FakeFile> = {}): FakeFile[] =>
  Array.from({ length: count }, (_, i) => ({ path: `note ${i}.txt`, ...file }));

/** Files whose reader might end the worker. */
const books = (count: number, pages = 1): FakeFile[] =>
  Array.from({ length: count }, (_, i) => ({
    path: `book ${i}.pdf`,
    text: Array.from({ length: pages }, (_, page) => `%PDF page ${page}`).join("\f"),
  }));

const names = (queue: FakeFiles) => queue.calls.map(({ name }) => name);

describe("a run", () => {
  it("reads every file once and ends when the queue is empty", async () => {
    const queue = fakeFiles({ files: texts(40) });
    const report = await run(queue);
    expect(report).toMatchObject({ claimed: 40, completed: 40, slices: 40, failed: 0, remaining: 0, stopped: null });
    expect(Object.fromEntries(queue.documents)).toEqual(
      Object.fromEntries(texts(40).map(({ path }) => [path, `text of ${path}`])),
    );
    expect(report.bytes).toBe(texts(40).reduce((sum, { path }) => sum + `text of ${path}`.length, 0));
    expect(queue.downloads).toHaveLength(40);
    expect(queue.released).toEqual([]);
    expect(queue.ends).toEqual([true]);
  });

  it("over an empty queue asks it once", async () => {
    const queue = fakeFiles({ files: [] });
    await run(queue);
    expect(names(queue)).toEqual(["claim", "end"]);
  });

  it("watches an empty queue for as long as it is told to", async () => {
    const queue = fakeFiles({ files: [] });
    const clock = stillClock();
    await run(queue, fakeExtract(), { lingerMs: 5_500 }, clock);
    expect(clock.waited).toEqual([5_500]);
    expect(queue.claims).toHaveLength(2);
  });

  it("begins nothing more when its time is up", async () => {
    const clock = stillClock();
    const queue = fakeFiles({ files: texts(30), meet: (name) => name === "finish" ? clock.wait(1_000) : undefined });
    const report = await run(queue, fakeExtract(), { budgetMs: 2_500 }, clock);
    expect(report).toMatchObject({ claimed: 7, completed: 7, remaining: 23 });
  });

  it("that fails as a whole gives back what it holds, and has no successor woken", async () => {
    const queue = fakeFiles({
      files: texts(5),
      meet: (name) => {
        if (name === "finish") throw new DatabaseError("gone away", { details: { code: "57P01" } });
      },
    });
    await expect(run(queue)).rejects.toThrow("gone away");
    expect(queue.released).toEqual([["note 0.txt"]]);
    expect(queue.ends).toEqual([false]);
  });

  it("tells what broke it, also where nothing can be given back", async () => {
    const queue = fakeFiles({
      files: texts(5),
      meet: (name) => {
        if (name !== "claim") throw new DatabaseError(`${name}: gone away`, { details: { code: "57P01" } });
      },
    });
    await expect(run(queue)).rejects.toThrow("read: gone away");
  });
});

describe("who dies takes nobody along", () => {
  it("short texts are claimed by more and more, and handed in together", async () => {
    const queue = fakeFiles({ files: texts(40) });
    await run(queue, fakeExtract(), { batchSize: 8 });
    expect(queue.claims).toEqual([1, 2, 4, 8, 8, 8, 8, 8, 8]);
    expect(queue.finished.map((results) => results.length)).toEqual([1, 2, 4, 8, 8, 8, 8, 1]);
  });

  it("a file with a reader of its own is held alone while it is read", async () => {
    const queue = fakeFiles({
      files: [...texts(3), ...books(2), ...texts(2).map(({ path }) => ({ path: `late ${path}` }))],
    });
    const held: string[][] = [];
    const open = new Set<string>();
    const extract = fakeExtract();
    const report = await drainFiles({
      queue: {
        ...queue,
        claim: async (size) => {
          const tokens = await queue.claim(size);
          for (const token of tokens) open.add(token);
          return tokens;
        },
        finish: async (results) => {
          for (const { token } of results) open.delete(token);
          return await queue.finish(results);
        },
        release: async (tokens) => {
          for (const token of tokens) open.delete(token);
          await queue.release(tokens);
        },
      },
      blobs: queue.blobs,
      extract: async (file, from, budget) => {
        if (file.name.startsWith("book")) held.push([...open]);
        return await extract(file, from, budget);
      },
      clock: stillClock(),
    });
    expect(held).toEqual([["book 0.pdf"], ["book 1.pdf"]]);
    expect(report).toMatchObject({ completed: 7, remaining: 0 });
    expect(queue.documents.size).toBe(7);
  });

  it.each([
    ["a PDF by another name", "%PDF-1.7"],
    ["a PDF behind a few bytes", "\n\n%PDF-1.7"],
    ["an archive", "PK\u0003\u0004"],
    ["markup", "\n <!doctype html>"],
    ["markup behind a mark", "\ufeff<p>"],
    ["a long text", "a".repeat(65_537)],
  ])("%s is no short text, whatever it is called", async (_, text) => {
    const queue = fakeFiles({ files: [{ path: "a.txt", text }, ...texts(2)] });
    await run(queue);
    expect(queue.claims.slice(0, 2)).toEqual([1, 1]);
  });
});

describe("a large file", () => {
  const book = { path: "book.pdf", text: Array.from({ length: 10 }, (_, n) => `%PDF ${n}`).join("\f") };

  it("is read for as long as the budget lasts, kept where it stopped, and given back uncharged", async () => {
    const clock = stillClock();
    const queue = fakeFiles({ files: [book] });
    const report = await run(queue, fakeExtract(() => clock.wait(300)), { workMs: 1_000 }, clock);
    expect(report).toMatchObject({ claimed: 1, completed: 0, failed: 0, slices: 1, remaining: 1, stopped: null });
    expect(queue.saved).toMatchObject([{ token: "book.pdf", progress: { page: 5, pages: 10 } }]);
    expect(queue.saved[0]?.parts.map(({ page }) => page)).toEqual([1, 2, 3, 4]);
    expect(queue.released).toEqual([["book.pdf"]]);
    expect(queue.finished).toEqual([]);
    expect(queue.ends).toEqual([true]);
  });

  it("is whole after as many runs as it takes, each page once", async () => {
    const clock = stillClock();
    const queue = fakeFiles({ files: [book] });
    let runs = 0;
    for (let remaining = 1; remaining > 0; runs++) {
      ({ remaining } = await run(queue, fakeExtract(() => clock.wait(300)), { workMs: 1_000 }, clock));
    }
    expect(runs).toBe(3);
    expect(queue.documents.get("book.pdf")).toBe(book.text.replaceAll("\f", "|"));
  });

  it("goes on in the same run where a reader stops before the budget does", async () => {
    const queue = fakeFiles({ files: [book] });
    const whole = fakeExtract();
    const report = await run(queue, async (file, from, budget) => {
      let pages = 0;
      return await whole(file, from, { isSpent: () => ++pages >= 4 || budget.isSpent() });
    });
    expect(report).toMatchObject({ completed: 1, slices: 3 });
    expect(queue.downloads).toEqual(["book.pdf"]);
    expect(queue.documents.get("book.pdf")).toBe(book.text.replaceAll("\f", "|"));
  });

  it("is begun only where enough of the budget is left; it is the first of the next run", async () => {
    const clock = stillClock();
    const large = { path: "large.pdf", text: `%PDF${" ".repeat(900_000)}` };
    const queue = fakeFiles({ files: [...books(1), large] });
    const report = await run(queue, fakeExtract(() => clock.wait(800)), {}, clock);
    expect(report).toMatchObject({ claimed: 2, completed: 1, remaining: 1 });
    expect(queue.released).toEqual([["large.pdf"]]);
    expect(queue.downloads).toEqual(["book 0.pdf"]);
    expect(await run(queue, fakeExtract(), {}, clock)).toMatchObject({ completed: 1, remaining: 0 });
  });

  it("is read no further by a worker that has lost it", async () => {
    const clock = stillClock();
    const queue = fakeFiles({ files: [book], outcomes: { "book.pdf": "lost_lease" } });
    const report = await run(queue, fakeExtract(() => clock.wait(300)), { workMs: 1_000 }, clock);
    expect(report).toMatchObject({ completed: 0, failed: 0, slices: 1, remaining: 0 });
    expect(queue.saved).toEqual([]);
    expect(queue.finished).toEqual([]);
  });

  it("whose reader does not move is not asked for ever", async () => {
    const queue = fakeFiles({ files: [{ ...book, progress: progressOf(3, 10) }] });
    const report = await run(
      queue,
      (_file, from) =>
        Promise.resolve({
          parts: [],
          next: from,
          title: null,
          locale: null,
          mimeType: "application/pdf",
          metadata: {},
        }),
    );
    expect(report).toMatchObject({ failed: 1 });
    expect(failures(queue)).toEqual({
      "book.pdf": { message: expect.stringContaining("cannot be read further than") as string, permanent: true },
    });
  });
});

describe("many small files", () => {
  it("cost more than their texts: a run takes no more of them than the platform lets it", async () => {
    const queue = fakeFiles({ files: texts(1_000) });
    const report = await run(queue);
    expect(report.completed).toBeGreaterThan(100);
    expect(report.completed).toBeLessThan(600);
    expect(report.remaining).toBe(1_000 - report.completed);
    expect(queue.ends).toEqual([true]);
  });

  it("cost something also where they are gone", async () => {
    const queue = fakeFiles({ files: texts(1_000, { text: null }) });
    expect((await run(queue)).completed).toBeLessThan(600);
  });
});

describe("a file that cannot be read", () => {
  const refusing = (error: Error): Extract => (file, from, budget) =>
    file.name === "note 2.txt" ? Promise.reject(error) : fakeExtract()(file, from, budget);

  it("says why to whoever uploaded it and is not tried again by itself; the others are read", async () => {
    const queue = fakeFiles({ files: texts(5) });
    const report = await run(queue, refusing(new FileError("encrypted", "The file is encrypted: upload an open one.")));
    expect(report).toMatchObject({ completed: 4, failed: 1 });
    expect(failures(queue)).toEqual({
      "note 2.txt": { message: "The file is encrypted: upload an open one.", permanent: true },
    });
  });

  it("for a reason that nobody foresaw is tried again", async () => {
    const queue = fakeFiles({ files: texts(5) });
    await run(queue, refusing(new TypeError("Cannot read properties of undefined")));
    expect(failures(queue)).toEqual({
      "note 2.txt": { message: "It cannot be read. Cannot read properties of undefined", permanent: false },
    });
  });

  it("because it is too large is not even downloaded", async () => {
    const queue = fakeFiles({ files: [{ path: "film.mp4", size: 1_000_001 }, ...texts(2)] });
    const report = await run(queue);
    expect(report).toMatchObject({ completed: 2, failed: 1 });
    expect(queue.downloads).not.toContain("film.mp4");
    expect(failures(queue)["film.mp4"]).toEqual({
      message:
        "The file has 1,000,001 bytes; the limit is 1,000,000 bytes. Split it, or raise the setting files_size_limit.",
      permanent: true,
    });
  });

  it("because it turns out to be too large is charged for it", async () => {
    const queue = fakeFiles({ files: [{ path: "film.mp4", size: null, download: { outcome: "too_large" } }] });
    expect(await run(queue)).toMatchObject({ failed: 1 });
    expect(failures(queue)["film.mp4"]?.message).toContain("The file has more;");
  });
});

describe("a text that cannot be written", () => {
  const unwritable = (code: string) => (name: string, about: unknown) => {
    if (name !== "finish") return;
    const bad = (about as { token: string; parts?: unknown }[]).some(({ token, parts }) =>
      token === "note 4.txt" && parts
    );
    if (bad) throw new DatabaseError("finish: no", { details: { code } });
  };

  it.each(["23514", "22P05", "54000"])("is charged alone, and the others are kept: %s", async (code) => {
    const queue = fakeFiles({ files: texts(7), meet: unwritable(code) });
    const report = await run(queue);
    expect(report).toMatchObject({ completed: 6, failed: 1 });
    expect(failures(queue)).toEqual({
      "note 4.txt": { message: "Its text cannot be written. finish: no", permanent: false },
    });
    expect(queue.downloads).toHaveLength(7);
  });

  it.each(["08006", "40P01", "57P01", "57014"])("is not to blame where the database is: %s", async (code) => {
    const queue = fakeFiles({ files: texts(7), meet: unwritable(code) });
    await expect(run(queue)).rejects.toThrow("finish: no");
    expect(queue.released.flat()).toEqual(["note 3.txt", "note 4.txt", "note 5.txt", "note 6.txt"]);
  });

  it("because it takes longer than anybody may is charged, or it would be tried for ever", async () => {
    const queue = fakeFiles({
      files: [{ path: "note 4.txt", text: "%PDF".padEnd(1_000_000, "a") }],
      meet: unwritable("57014"),
    });
    const extract: Extract = (_file) =>
      Promise.resolve({
        parts: [{ page: null, content: "a".repeat(1_000_001) }],
        next: null,
        title: null,
        locale: null,
        mimeType: "text/plain",
        metadata: {},
      });
    expect(await run(queue, extract)).toMatchObject({ failed: 1 });
  });
});

describe("a file that changes while it is read", () => {
  it("is due again where it was overwritten", async () => {
    const queue = fakeFiles({ files: texts(2), outcomes: { "note 1.txt": "requeued" } });
    expect(await run(queue)).toMatchObject({ completed: 1, requeued: 1, failed: 0 });
  });

  it("is asked for again a moment later where its row is locked", async () => {
    const queue = fakeFiles({ files: texts(3), busy: { "note 2.txt": 2 } });
    const clock = stillClock();
    expect(await run(queue, fakeExtract(), {}, clock)).toMatchObject({ completed: 3 });
    expect(clock.waited).toEqual([20, 50]);
  });

  it("and stays locked is given back, and nobody waits for ever", async () => {
    const queue = fakeFiles({ files: texts(1), busy: { "note 0.txt": Infinity } });
    const report = await run(queue, fakeExtract(), { budgetMs: 2_000 });
    expect(report).toMatchObject({ completed: 0, failed: 0, remaining: 1 });
    expect(queue.released.length).toBeGreaterThan(0);
  });

  it("has its document removed where it was gone before", async () => {
    const queue = fakeFiles({ files: [{ path: "gone.txt", text: null }, ...texts(1)] });
    expect(await run(queue)).toMatchObject({ completed: 2 });
    expect(queue.finished.flat()).toContainEqual({ token: "gone.txt", isGone: true });
    expect(queue.downloads).toEqual(["note 0.txt"]);
  });
});

describe("an object that the storage does not find", () => {
  const missing = { path: "a.txt", download: { outcome: "missing" } } as const;

  /** The queue as it is seen once the download has failed. */
  const afterwards = (queue: FakeFiles, change: Record<string, unknown> | null): FakeFiles => ({
    ...queue,
    read: async (tokens) => {
      const jobs = await queue.read(tokens);
      if (queue.downloads.length === 0) return jobs;
      return change === null ? [] : jobs.map((job) => ({ ...job, ...change }));
    },
  });

  it("and is gone has its document removed", async () => {
    const queue = fakeFiles({ files: [missing] });
    expect(await run(afterwards(queue, { isGone: true }))).toMatchObject({ completed: 1, failed: 0 });
    expect(queue.finished.flat()).toEqual([{ token: "a.txt", isGone: true }]);
  });

  it.each([
    ["moved", { filePath: "b.txt" }],
    ["overwritten", { objectVersion: "second" }],
  ])("and was %s is given back, uncharged, and read as it is now", async (_, change) => {
    const queue = fakeFiles({ files: [missing] });
    const blobs: BlobStore = {
      download: async (...asked) => {
        const isFirst = queue.downloads.length === 0;
        const download = await queue.blobs.download(...asked);
        return isFirst ? download : { outcome: "bytes", bytes: new TextEncoder().encode("as it is now") };
      },
    };
    const report = await run({ ...afterwards(queue, change), blobs });
    expect(report).toMatchObject({ completed: 1, failed: 0, remaining: 0 });
    expect(queue.released).toEqual([["a.txt"]]);
    expect([...queue.documents.values()]).toEqual(["as it is now"]);
  });

  it("and whose row is gone is left alone", async () => {
    const queue = fakeFiles({ files: [missing] });
    expect(await run(afterwards(queue, null))).toMatchObject({ completed: 0, failed: 0, remaining: 0 });
    expect(queue.released).toEqual([]);
  });

  it("and has its row as before has lost its bytes: it is charged", async () => {
    const queue = fakeFiles({ files: [missing, ...texts(1)] });
    expect(await run(queue)).toMatchObject({ completed: 1, failed: 1, stopped: null });
    expect(failures(queue)).toEqual({
      "a.txt": {
        message: "Its bytes are lost: the storage lists the file and has nothing to give out. Upload it again.",
        permanent: false,
      },
    });
  });
});

describe("a storage that fails", () => {
  const broken = { outcome: "broken", reason: "500 Internal Server Error" } as const;

  it("as a whole ends the run: no file is charged, those that were read are kept, and the schedule comes back", async () => {
    const queue = fakeFiles({
      files: [...texts(5), { path: "z.txt", size: 99, download: "unavailable" }, ...texts(1, { path: "y.txt" })],
    });
    const report = await run(queue);
    expect(report).toMatchObject({
      claimed: 7,
      completed: 6,
      failed: 0,
      remaining: 1,
      stopped: { code: "storage_unavailable", message: expect.stringContaining("it answers 503") as string },
    });
    expect(queue.released).toEqual([["z.txt"]]);
    expect(queue.ends).toEqual([false]);
  });

  it("with one file is that file's fault as long as the next one can be had", async () => {
    const queue = fakeFiles({
      files: [{ path: "a.txt", download: broken }, ...texts(1), { path: "b.txt", download: broken }, ...texts(4, {})],
    });
    const report = await run(queue, fakeExtract(), { batchSize: 1 });
    expect(report).toMatchObject({ completed: 5, failed: 2, stopped: null });
    expect(failures(queue)["b.txt"]).toEqual({
      message:
        "Its bytes cannot be downloaded: the storage answers 500 Internal Server Error. Upload it again if that goes on.",
      permanent: false,
    });
  });

  it("with two files in a row is out of order: the second is not charged", async () => {
    const queue = fakeFiles({ files: texts(9, { download: broken }) });
    const report = await run(queue);
    expect(report).toMatchObject({ claimed: 3, completed: 0, failed: 1, stopped: { code: "storage_unavailable" } });
    expect(queue.released).toEqual([["note 1.txt", "note 2.txt"]]);
  });

  it("is not asked for a file that no URL can name, and never again", async () => {
    const queue = fakeFiles({ files: texts(2, { download: { outcome: "unnameable" } }) });
    expect(await run(queue)).toMatchObject({ failed: 2, stopped: null });
    expect(failures(queue)["note 0.txt"]).toEqual({
      message: 'A folder in its name is "." or "..", which no URL can name. Move it to another path.',
      permanent: true,
    });
  });

  it("to give out one path is that file's fault alone", async () => {
    const queue = fakeFiles({ files: texts(3, { download: { outcome: "refused", reason: "400 Invalid key" } }) });
    expect(await run(queue)).toMatchObject({ failed: 3, stopped: null });
    expect(failures(queue)["note 0.txt"]?.message).toBe("The storage does not give it out: 400 Invalid key.");
  });
});

it("a document is called what its uploader calls it", async () => {
  const userMetadata = { title: "Bilan", locale: "fr-CA" };
  const queue = fakeFiles({ files: [{ path: "a.txt", userMetadata, version: "v2" }] });
  await run(queue);
  expect(readFiles(queue)).toEqual([{
    token: "a.txt",
    objectVersion: "v2",
    parts: [{ page: 1, content: "text of a.txt" }],
    title: "Bilan",
    locale: "fr-CA",
    mimeType: "text/plain",
    metadata: { file: { pages: 1 }, titleFrom: "uploader" },
  }]);
});

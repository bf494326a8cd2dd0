import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { Database } from "../../../local/database/database.ts";
import { BlobStore } from "../../../local/storage/blobs.ts";
import { stack } from "../../support/stack.ts";
import { filesIn, log, newFolder, ownService } from "./own-service.ts";
import { newBucket } from "./support.ts";

async function* bytes(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(new TextEncoder().encode(chunk));
}

test("a blob is there under its name only when it is whole", async () => {
  const folder = await newFolder();
  const blobs = new BlobStore(folder, log);
  const id = { bucket: "b", key: "k", version: randomUUID() };
  const broken = async function* () {
    yield* bytes("half");
    throw new Error("the client went away");
  };
  await expect(blobs.write(id, broken(), 100)).rejects.toThrow("the client went away");
  expect(await filesIn(folder)).toEqual([]);
  await expect(blobs.write(id, bytes("1234", "5678"), 7)).rejects.toThrow("exceeded the maximum allowed size");
  expect(await filesIn(folder)).toEqual([]);
  expect(await blobs.write(id, bytes("1234", "5678"), 8)).toMatchObject({ size: 8 });
  expect(await filesIn(folder)).toEqual([blobs.pathOf(id)]);
});

test("what an earlier run left unfinished is swept at start", async () => {
  const folder = await newFolder();
  await mkdir(join(folder, ".uploading"));
  await writeFile(join(folder, ".uploading", "half"), "half");
  const blobs = new BlobStore(folder, log);
  const id = { bucket: "b", key: "k", version: randomUUID() };
  await blobs.write(id, bytes("whole"), 100);
  expect(await filesIn(folder)).toEqual([blobs.pathOf(id)]);
});

test("no bucket, key or version leads out of the folder, and no two share a file", async () => {
  const folder = await newFolder();
  const blobs = new BlobStore(folder, log);
  const names = [
    "..",
    "../..",
    "/etc/passwd",
    ".",
    "a/b",
    "a%2Fb",
    "a_b",
    "A/B",
    "x".repeat(1024),
    `${"x".repeat(1023)}y`,
  ];
  const paths = names.flatMap((name) => [
    blobs.pathOf({ bucket: name, key: "k", version: "v" }),
    blobs.pathOf({ bucket: "b", key: name, version: "v" }),
    blobs.pathOf({ bucket: "b", key: "k", version: name }),
  ]);
  expect(paths.every((path) => path.startsWith(`${folder}/`) && !path.includes("/../"))).toBe(true);
  expect(new Set(paths.map((path) => path.toLowerCase())).size).toBe(paths.length);
  // File systems stop at 255 bytes for each part of a path.
  expect(Math.max(...paths.flatMap((path) => path.split("/")).map((part) => part.length))).toBeLessThan(256);
});

test("moves, overwrites and removals take their blobs along", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  const json = { "content-type": "application/json" };
  await send("POST", `/object/${bucket}/a`, { body: "first" });
  await send("PUT", `/object/${bucket}/a`, { body: "second" });
  await send("POST", "/object/move", {
    body: JSON.stringify({ bucketId: bucket, sourceKey: "a", destinationKey: "b" }),
    headers: json,
  });
  expect(await filesIn(folder)).toHaveLength(1);
  await send("POST", "/object/copy", {
    body: JSON.stringify({ bucketId: bucket, sourceKey: "b", destinationKey: "c" }),
    headers: json,
  });
  expect(await filesIn(folder)).toHaveLength(2);
  await send("DELETE", `/object/${bucket}/b`);
  await send("DELETE", `/object/${bucket}`, { body: '{"prefixes":["c"]}', headers: json });
  expect(await filesIn(folder)).toEqual([]);
});

test("a refused upload leaves no blob", async () => {
  const bucket = await newBucket({ public: false, fileSizeLimit: 3 });
  const { folder, send } = await ownService();
  expect(
    (await send("POST", `/object/${bucket}/a`, { body: new Blob(["1234"]).stream(), duplex: "half" } as RequestInit))
      .status,
  )
    .toBe(400);
  expect(await filesIn(folder)).toEqual([]);
});

/** Loses the connection just after its n-th transaction was committed. */
class LosesConnection extends Database {
  #left: number;

  constructor(url: string, left: number) {
    super(url);
    this.#left = left;
  }

  override async as<T>(...work: Parameters<typeof Database.prototype.as<T>>): Promise<T> {
    const result = await super.as(...work);
    if (--this.#left === 0) throw new Error("Connection terminated unexpectedly");
    return result;
  }
}

test("a row whose commit got no answer keeps its bytes", async () => {
  const bucket = await newBucket();
  // The first transaction finds the bucket, the probe is rolled back, the second writes the row.
  const { send } = await ownService(new LosesConnection(stack().databaseUrl, 2));
  expect((await send("POST", `/object/${bucket}/a`, { body: "bytes" })).status).toBe(500);
  expect(await (await send("GET", `/object/${bucket}/a`)).text()).toBe("bytes");
});

test("a row whose blob is gone shows at a download alone", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  await send("POST", `/object/${bucket}/a`, { body: "bytes" });
  for (const file of await filesIn(folder)) await rm(file);
  expect((await send("HEAD", `/object/${bucket}/a`)).status).toBe(200);
  expect((await send("GET", `/object/info/${bucket}/a`)).status).toBe(200);
  const answer = await send("GET", `/object/${bucket}/a`);
  // storage server, file backend: an error of its own (S3 would say 404 in the body).
  expect([answer.status, await answer.json()]).toEqual([500, {
    statusCode: "500",
    error: "Internal",
    code: "InternalError",
    message: "Internal Server Error",
  }]);
  expect(log.error).toHaveBeenLastCalledWith(expect.stringContaining(`The blob of ${bucket}/a`));
});

test("an upload far over the limit is refused without being held in memory", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  const megabyte = 1024 * 1024;
  let peak = 0;
  let sent = 0;
  const before = process.memoryUsage().arrayBuffers;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (++sent > 2048) return controller.close();
      controller.enqueue(new Uint8Array(megabyte));
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    },
  });
  const answer = await send("POST", `/object/${bucket}/film`, { body, duplex: "half" } as RequestInit);
  expect([answer.status, await answer.json()]).toEqual([400, {
    statusCode: "413",
    error: "Payload too large",
    code: "EntityTooLarge",
    message: "The object exceeded the maximum allowed size",
  }]);
  // The limit is 50 MiB: of the 2 GB no more than that is read, and of what is read next to nothing is kept.
  expect(sent).toBeLessThan(60);
  expect(peak / megabyte).toBeLessThan(40);
  expect(await filesIn(folder)).toEqual([]);
});

import { describe, expect, it } from "vitest";
import { follow, StorageEvent } from "../../../shared/files/webhook.ts";
import { readBody } from "../../../shared/platform/body.ts";
import { stillClock } from "../embeddings/fake-queue.ts";
import { fakeExtract, fakeFiles } from "./fake-files.ts";

const row = (name: string, bucket_id = "shelf") => ({ id: "7", bucket_id, name, metadata: { size: 3 }, owner: null });
const table = { schema: "storage", table: "objects" };
const insert = { type: "INSERT", ...table, record: row("a.txt"), old_record: null };
const parse = (body: unknown) =>
  readBody(new Request("http://door.test", { method: "POST", body: JSON.stringify(body) }), StorageEvent);

async function asked(body: unknown): Promise<unknown> {
  const calls: unknown[] = [];
  const queue = fakeFiles({ files: [{ path: "a.txt" }, { path: "b.txt" }] });
  const answer = await follow(await parse(body), {
    rpc: (name, args) => {
      calls.push([name, args]);
      return Promise.resolve(1);
    },
    queue,
    blobs: queue.blobs,
    extract: fakeExtract(),
    clock: stillClock(),
  });
  expect(answer).toEqual({ queued: 1, processed: 2 });
  return calls;
}

describe("a delivery", () => {
  it.each([
    ["an upload", insert, [{ bucket: "shelf", name: "a.txt" }]],
    ["a deletion", { type: "DELETE", ...table, record: null, old_record: row("a.txt") }, [
      { bucket: "shelf", name: "a.txt" },
    ]],
    ["an overwrite", { type: "UPDATE", ...table, record: row("a.txt"), old_record: row("a.txt") }, [
      { bucket: "shelf", name: "a.txt" },
    ]],
    ["a move", { type: "UPDATE", ...table, record: row("b.txt"), old_record: row("a.txt") }, [
      { bucket: "shelf", name: "a.txt" },
      { bucket: "shelf", name: "b.txt" },
    ]],
    [
      "a move to another bucket",
      { type: "UPDATE", ...table, record: row("a.txt", "cellar"), old_record: row("a.txt") },
      [
        { bucket: "shelf", name: "a.txt" },
        { bucket: "cellar", name: "a.txt" },
      ],
    ],
  ])("of %s has its objects looked at, and what waits done", async (_, body, objects) => {
    expect(await asked(body)).toEqual([["sync_storage_objects", { objects }]]);
  });
});

describe("a half-formed delivery is refused with what it holds and what would do", () => {
  it.each([
    [{}, "type: must be one of INSERT, UPDATE, DELETE, not nothing"],
    [{ ...insert, type: "TRUNCATE" }, "type: must be one of INSERT, UPDATE, DELETE, not TRUNCATE"],
    [{ ...insert, table: "buckets" }, "table: must be one of objects, not buckets"],
    [{ ...insert, schema: "public" }, "schema: must be one of storage, not public"],
    [{ ...insert, record: null }, "record: must be a row, not null"],
    [{ ...insert, record: "a.txt" }, 'record: must be a row, not "a.txt"'],
    [{ type: "DELETE", ...table, record: row("a") }, "old_record: must be a row, not nothing"],
    [{ type: "UPDATE", ...table, record: row("a") }, "old_record: must be a row, not nothing"],
    [{ ...insert, record: { name: "a" } }, "record.bucket_id: must be a text, not nothing"],
    [{ ...insert, record: { bucket_id: "shelf", name: 12 } }, "record.name: must be a text, not 12"],
    [{ ...insert, record: { bucket_id: "shelf", name: "" } }, "record.name: must not be empty"],
    [{ ...insert, record: row("a\u0000b") }, 'record.name: is no name of anything: "a\\u0000b"'],
    [{ ...insert, record: row("a\ud800b") }, 'record.name: is no name of anything: "a\\ud800b"'],
    [{ ...insert, record: row("a".repeat(2_001)) }, "record.name: must have at most 2000 characters"],
    [[insert], "body: Invalid input: expected object, received array"],
    [null, "body: Invalid input: expected object, received null"],
  ])("%j", async (body, message) => {
    await expect(parse(body)).rejects.toMatchObject({
      status: 400,
      code: "invalid_request",
      message: expect.stringContaining(message) as string,
    });
  });
});

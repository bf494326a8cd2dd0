import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { BlobStore } from "../../../local/storage/blobs.ts";
import { filesIn, log, ownService } from "./own-service.ts";
import { newBucket, sql } from "./support.ts";

test("concurrent overwrites leave exactly one blob, the one that the row names", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => send("PUT", `/object/${bucket}/hot`, { body: `writer ${i}` })),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
  const [row] = await sql<{ version: string }>("select version from storage.objects where bucket_id = $1", [bucket]);
  const [file, ...others] = await filesIn(folder);
  expect(others).toEqual([]);
  expect(file?.endsWith(`.${row?.version}`)).toBe(true);
  expect(await (await send("GET", `/object/${bucket}/hot`)).text()).toMatch(/^writer \d+$/);
});

test("of many first uploads to one key, one wins and the others leave nothing", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => send("POST", `/object/${bucket}/new`, { body: `writer ${i}` })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(400)]);
  expect(await filesIn(folder)).toHaveLength(1);
});

test("a move and overwrites of the same file lose no bytes that were acknowledged", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  await send("POST", `/object/${bucket}/from`, { body: "first" });
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ bucketId: bucket, sourceKey: "from", destinationKey: "to" });
  const [moved, overwritten] = await Promise.all([
    send("POST", "/object/move", { body, headers: json }),
    send("PUT", `/object/${bucket}/from`, { body: "second" }),
  ]);
  expect([moved?.status, overwritten?.status]).toEqual([200, 200]);
  const to = await (await send("GET", `/object/${bucket}/to`)).text();
  const from = await send("GET", `/object/${bucket}/from`);
  // Either the overwrite came first and moved along, or it came after and made the file anew.
  expect(to === "second" ? from.status : await from.text()).toBe(to === "second" ? 400 : "second");
  expect(await filesIn(folder)).toHaveLength(to === "second" ? 1 : 2);
});

test("writes of all kinds at once leave each row with its bytes, and no bytes without a row", async () => {
  const bucket = await newBucket();
  const { folder, send } = await ownService();
  const json = { "content-type": "application/json" };
  const transfer = (path: string, from: string, to: string) =>
    send("POST", path, {
      body: JSON.stringify({ bucketId: bucket, sourceKey: from, destinationKey: to }),
      headers: { ...json, "x-upsert": "true" },
    });
  const act = (n: number): Promise<Response> => {
    const [key, other] = ["abc"[n % 3] ?? "", "abc"[(n >> 2) % 3] ?? ""];
    switch (n % 7) {
      case 0:
      case 1:
        return send("PUT", `/object/${bucket}/${key}`, { body: `bytes ${n} `.repeat(n) });
      case 2:
        return send("POST", `/object/${bucket}/${key}`, { body: `first ${n}` });
      case 3:
      case 4:
        return transfer("/object/move", key, other);
      case 5:
        return transfer("/object/copy", key, other);
      default:
        return send("DELETE", `/object/${bucket}`, { body: JSON.stringify({ prefixes: [key] }), headers: json });
    }
  };
  const worker = async (w: number) => {
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) statuses.push((await act(w * 41 + i * 13)).status);
    return statuses;
  };
  const statuses = (await Promise.all([1, 2, 3, 4, 5, 6].map(worker))).flat();
  // Refusals there are; failures there are none.
  expect([...new Set(statuses)].sort()).toEqual([200, 400]);

  const rows = await sql<{ name: string; version: string; metadata: { eTag: string } }>(
    "select name, version, metadata from storage.objects where bucket_id = $1",
    [bucket],
  );
  const blobs = new BlobStore(folder, log);
  const paths = rows.map(({ name, version }) => blobs.pathOf({ bucket, key: name, version }));
  expect((await filesIn(folder)).sort()).toEqual(paths.sort());
  for (const { name, version, metadata } of rows) {
    const bytes = await readFile(blobs.pathOf({ bucket, key: name, version }));
    expect(`"${createHash("md5").update(bytes).digest("hex")}"`).toBe(metadata.eTag);
  }
});

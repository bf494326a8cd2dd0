import { expect, test } from "vitest";
import { given, newBucket, raw, refusal, service, sql } from "./support.ts";

async function bucketWith(keys: string[]): Promise<string> {
  const bucket = await newBucket();
  await sql(
    `insert into storage.objects (bucket_id, name, version, created_at, updated_at, metadata)
      select $1, key, gen_random_uuid(), date, date, '{"size": 1}'
      from unnest($2::text[]) with ordinality as keys (key, n), make_interval(days => n::int) as later,
        lateral (select timestamptz '2026-01-01 00:00Z' + later as date) as dates`,
    [bucket, keys],
  );
  return bucket;
}

const KEYS = ["b.txt", "docs/guide.md", "docs/old/notes.md", "a.txt", "docs.txt", "images/cat.png", "C.txt"];

test("a level of the tree has its files and folders, by name whatever the case", async () => {
  const files = service().from(await bucketWith(KEYS));
  const entries = await given(files.list());
  expect(entries.map(({ name }) => name)).toEqual(["a.txt", "b.txt", "C.txt", "docs.txt", "docs", "images"]);
  // storage server: a folder is a name with nothing else.
  expect(entries[4]).toEqual({
    name: "docs",
    id: null,
    updated_at: null,
    created_at: null,
    last_accessed_at: null,
    metadata: null,
  });
  expect(entries[0]).toMatchObject({ name: "a.txt", id: expect.any(String), metadata: { size: 1 } });
});

test("a folder's entries are named within it, with or without its slash", async () => {
  const files = service().from(await bucketWith(KEYS));
  for (const folder of ["docs", "docs/"]) {
    expect((await given(files.list(folder))).map(({ name }) => name), folder).toEqual(["guide.md", "old"]);
  }
  expect((await given(files.list("docs/old"))).map(({ name }) => name)).toEqual(["notes.md"]);
  expect(await given(files.list("nowhere"))).toEqual([]);
});

test("a list can be sorted, paged and searched by the beginning of names", async () => {
  const files = service().from(await bucketWith(KEYS));
  const names = async (options: Parameters<typeof files.list>[1]) =>
    (await given(files.list("", options))).map(({ name }) => name);
  expect(await names({ sortBy: { column: "name", order: "desc" } })).toEqual(
    ["images", "docs", "docs.txt", "C.txt", "b.txt", "a.txt"],
  );
  // storage server: folders have no dates, so they come first.
  expect(await names({ sortBy: { column: "created_at", order: "desc" } })).toEqual(
    ["images", "docs", "C.txt", "docs.txt", "a.txt", "b.txt"],
  );
  expect(await names({ limit: 2, offset: 2 })).toEqual(["C.txt", "docs.txt"]);
  expect(await names({ search: "DOC" })).toEqual(["docs.txt", "docs"]);
  expect(await names({ search: "%" })).toEqual([]);
});

test("a column that cannot be sorted by, or a limit of none, is refused", async () => {
  const files = service().from(await newBucket());
  expect(await refusal(files.list("", { sortBy: { column: "owner" } }))).toEqual({
    status: 400,
    statusCode: "400",
    message: "body/sortBy/column must be equal to one of the allowed values",
  });
  expect(await refusal(files.list("", { limit: 0 }))).toMatchObject({ message: "body/limit must be >= 1" });
});

test("the second list pages through everything by cursor", async () => {
  const files = service().from(await bucketWith(KEYS));
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await given(files.listV2({ limit: 3, ...(cursor === undefined ? {} : { cursor }) }));
    expect(page?.folders).toEqual([]);
    names.push(...(page?.objects ?? []).map(({ name }) => name));
    cursor = page?.nextCursor;
  } while (cursor !== undefined);
  expect(names).toEqual([...KEYS].sort());
});

test("the second list pages through one level, newest first", async () => {
  const bucket = await bucketWith(KEYS);
  const files = service().from(bucket);
  const options = { limit: 2, with_delimiter: true, sortBy: { column: "created_at", order: "desc" } } as const;
  const first = await given(files.listV2({ ...options, prefix: "" }));
  expect(first).toMatchObject({
    hasNext: true,
    objects: [{ name: "C.txt" }],
    folders: [{ name: "images/", key: "images" }],
  });
  const second = await given(files.listV2({ ...options, prefix: "", cursor: first?.nextCursor ?? "" }));
  expect(second).toMatchObject({ hasNext: true, objects: [{ name: "docs.txt" }, { name: "a.txt" }], folders: [] });
  expect(await given(files.listV2({ with_delimiter: true, prefix: "docs/" }))).toMatchObject({
    hasNext: false,
    objects: [{ name: "docs/guide.md", key: "guide.md" }],
    folders: [{ name: "docs/old/", key: "old" }],
  });
  const broken = await raw("POST", `/object/list-v2/${bucket}`, { body: '{"cursor":"nonsense"}' });
  expect([broken.status, (await broken.json()).message]).toEqual([400, "Invalid Parameter continuation token"]);
});

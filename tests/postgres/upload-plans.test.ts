import { afterAll, beforeAll, expect, test } from "vitest";
import { documents, FileWorker, onBuckets, queue, upload } from "../sql/support/files.ts";
import { type Session, valueOf } from "../sql/support/session.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";
import { rowsLookedAt } from "./support/rows-looked-at.ts";

let database: OwnDatabase;

beforeAll(async () => {
  database = await createOwnDatabase();
});

afterAll(() => database.drop());

/** Objects that were there before anybody followed uploads. */
const fill = (tx: Session, bucket: string, type: string, objects: number) =>
  tx.query(
    `insert into storage.objects (bucket_id, name, version, metadata)
     select $1, 'f' || to_char(n, 'FM00000'), 'v1', jsonb_build_object('eTag', 'e' || n, 'size', 10, 'mimetype', $2::text)
     from generate_series(1, $3::int) as n`,
    [bucket, type, objects],
  );

/** A bucket of many objects that do not count, none of which the statistics know. */
const onUnknownBucket = (work: (tx: Session) => Promise<void>) => () =>
  onBuckets(async (tx) => {
    await fill(tx, "test-c", "text/plain", 20_000);
    await tx.query("analyze storage.objects");
    await tx.query("select public.watch_bucket('test-a', paths => 'texts/**')");
    await fill(tx, "test-a", "image/png", 400);
    await work(tx);
  }, database.url)();

const TABLES = ["storage.objects", "public.files_queue", "public.documents"];

test(
  "an upload to a bucket that the statistics do not know reads its own rows and not the whole bucket",
  onUnknownBucket(async (tx) => {
    expect(await rowsLookedAt(tx, TABLES, () => upload(tx, "f99999.png"))).toBeLessThan(50);
    expect(await rowsLookedAt(tx, TABLES, () => upload(tx, "texts/9999.txt"))).toBeLessThan(50);
    expect(await queue(tx)).toEqual(["test-a/texts/9999.txt pending 1"]);
  }),
);

test(
  "so does the same file again, a move and a deletion",
  onUnknownBucket(async (tx) => {
    const tag = await upload(tx, "texts/9998.txt");
    await new FileWorker(tx).emptyQueue();
    expect(await rowsLookedAt(tx, TABLES, () => upload(tx, "texts/9998.txt", { tag, version: "same-bytes" })))
      .toBeLessThan(50);
    const id = await valueOf<string>(tx, "select id from storage.objects where name = 'texts/9998.txt'");
    const move = () => tx.query("update storage.objects set name = 'texts/9999.txt' where id = $1", [id]);
    expect(await rowsLookedAt(tx, TABLES, move)).toBeLessThan(50);
    expect(await documents(tx)).toEqual(["test-a/texts/9999.txt A title: text of texts/9998.txt"]);
    const remove = () => tx.query("delete from storage.objects where id = $1", [id]);
    expect(await rowsLookedAt(tx, TABLES, remove)).toBeLessThan(50);
    expect(await documents(tx)).toEqual([]);
  }),
);

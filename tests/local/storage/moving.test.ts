import { expect, test } from "vitest";
import { allow, given, newBucket, person, refusal, service, sql } from "./support.ts";

async function read(bucket: string, key: string): Promise<string | undefined> {
  return await (await given(service().from(bucket).download(key)))?.text();
}

async function rows(bucket: string): Promise<Record<string, unknown>[]> {
  return await sql("select * from storage.objects where bucket_id = $1 order by name", [bucket]);
}

test("a moved file keeps its id, its bytes and what is said of it, under a new version", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a/b.txt", "bytes", { contentType: "text/x-b", metadata: { n: 1 } }));
  const [before] = await rows(bucket);
  expect(await given(service().from(bucket).move("a/b.txt", "c.txt"))).toMatchObject({ message: "Successfully moved" });
  const [after, ...others] = await rows(bucket);
  expect(others).toEqual([]);
  expect(after).toMatchObject({ id: before?.id, name: "c.txt", metadata: before?.metadata, user_metadata: { n: 1 } });
  expect(after?.version).not.toBe(before?.version);
  expect(await read(bucket, "c.txt")).toBe("bytes");
  expect(await refusal(service().from(bucket).download("a/b.txt"))).toMatchObject({ statusCode: "404" });
});

test("a file moves to another bucket, and stays where it is when it moves to itself", async () => {
  const [from, to] = [await newBucket(), await newBucket()];
  await given(service().from(from).upload("a", "bytes"));
  await given(service().from(from).move("a", "a"));
  expect(await read(from, "a")).toBe("bytes");
  await given(service().from(from).move("a", "b", { destinationBucket: to }));
  expect(await read(to, "b")).toBe("bytes");
  expect(await rows(from)).toEqual([]);
});

test("a move onto another file is refused, and both stay", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  await given(service().from(bucket).upload("b", "b"));
  expect(await refusal(service().from(bucket).move("a", "b"))).toMatchObject({
    statusCode: "409",
    message: "The resource already exists",
  });
  expect([await read(bucket, "a"), await read(bucket, "b")]).toEqual(["a", "b"]);
});

test("a move of nothing, to nowhere or to a key that is none is refused", async () => {
  const bucket = await newBucket();
  const files = service().from(bucket);
  expect(await refusal(files.move("a", "b"))).toMatchObject({ statusCode: "404", message: "Object not found" });
  await given(files.upload("a", "a"));
  expect(await refusal(files.move("a", "é"))).toMatchObject({ statusCode: "400", message: "Invalid key: é" });
  expect(await refusal(files.move("a", "b", { destinationBucket: "storage-test-nowhere" }))).toMatchObject({
    // storage server: the broken foreign key speaks.
    statusCode: "404",
    message: "The related resource does not exist",
  });
  expect(await read(bucket, "a")).toBe("a");
});

test("a copy is a file of its own", async () => {
  const bucket = await newBucket();
  const files = service().from(bucket);
  await given(files.upload("a", "first", { contentType: "text/x-a", metadata: { n: 1 } }));
  expect(await given(files.copy("a", "b"))).toEqual({ path: `${bucket}/b` });
  await given(files.update("a", "second"));
  expect([await read(bucket, "a"), await read(bucket, "b")]).toEqual(["second", "first"]);
  const [a, b] = await rows(bucket);
  expect(b).toMatchObject({ user_metadata: { n: 1 }, metadata: { mimetype: "text/x-a", size: 5 } });
  expect(b?.id).not.toBe(a?.id);
  expect(await refusal(files.copy("a", "b"))).toMatchObject({ statusCode: "409" });
  expect(await refusal(files.copy("nothing", "c"))).toMatchObject({ statusCode: "404" });
  expect(await refusal(files.copy("a", "c", { destinationBucket: "storage-test-nowhere" }))).toMatchObject({
    message: "Bucket not found",
  });
});

test("moving asks for the right to see and update, copying for the right to see and insert", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  const files = (await person()).from(bucket);
  await allow(bucket, "select");
  expect(await refusal(files.move("a", "b"))).toMatchObject({ statusCode: "404" });
  expect(await refusal(files.copy("a", "b"))).toMatchObject({ statusCode: "403" });
  await allow(bucket, "insert");
  await given(files.copy("a", "b"));
  await allow(bucket, "update", { when: "name like 'a%'" });
  expect(await refusal(files.move("a", "c"))).toMatchObject({ statusCode: "403" });
  await given(files.move("a", "a2"));
});

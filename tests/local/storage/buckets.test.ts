import { expect, onTestFinished, test } from "vitest";
import { anon, bucketName, dropBucket, given, newBucket, person, raw, refusal, service, sql } from "./support.ts";

test("a bucket is made with its settings, and shows them", async () => {
  const id = await newBucket({ public: true, fileSizeLimit: "2MB", allowedMimeTypes: ["image/*", "text/plain"] });
  expect(await given(service().getBucket(id))).toEqual({
    id,
    name: id,
    // storage server: an owner that is missing shows as empty.
    owner: "",
    public: true,
    file_size_limit: 2_000_000,
    allowed_mime_types: ["image/*", "text/plain"],
    created_at: expect.any(String),
    updated_at: expect.any(String),
  });
});

test("buckets are listed, searched, sorted and paged", async () => {
  const first = await newBucket();
  const second = await newBucket();
  const search = "storage-test-";
  const all = await given(service().listBuckets({ search, sortColumn: "created_at", sortOrder: "desc" }));
  const names = all.map(({ name }) => name);
  expect(names.indexOf(second)).toBeLessThan(names.indexOf(first));
  expect(all[0]?.type).toBe("STANDARD");
  expect(await given(service().listBuckets({ search: first.toUpperCase() }))).toMatchObject([{ id: first }]);
  expect(await given(service().listBuckets({ search, limit: 1, offset: 0 }))).toHaveLength(1);
  expect(await given(service().listBuckets({ search: "%" }))).toEqual([]);
});

test("a bucket's settings can change", async () => {
  const id = await newBucket({ public: false, fileSizeLimit: 10 });
  expect(await given(service().updateBucket(id, { public: true, fileSizeLimit: null }))).toEqual({
    message: "Successfully updated",
  });
  expect(await given(service().getBucket(id))).toMatchObject({ public: true, file_size_limit: null });
  expect(await refusal(service().updateBucket("storage-test-nowhere", { public: true }))).toMatchObject({
    statusCode: "404",
    message: "Bucket not found",
  });
});

test("a name that is taken, too long or has a slash is refused", async () => {
  const id = await newBucket();
  expect(await refusal(service().createBucket(id))).toEqual({
    status: 400,
    statusCode: "409",
    message: "The resource already exists",
  });
  for (const name of ["a/b", "é", "x".repeat(101), ""]) {
    expect(await refusal(service().createBucket(name)), name).toMatchObject({ message: "Bucket name invalid" });
  }
});

test("a limit or a type that makes no sense is refused", async () => {
  expect(await refusal(service().createBucket(bucketName(), { public: false, fileSizeLimit: "2 bananas" })))
    .toMatchObject({
      message: "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B",
    });
  // storage server: no bucket may take more than the whole project does, 50 MiB with `supabase start`.
  expect(await refusal(service().createBucket(bucketName(), { public: false, fileSizeLimit: "51GB" }))).toMatchObject({
    statusCode: "413",
  });
  expect(await refusal(service().createBucket(bucketName(), { public: false, allowedMimeTypes: ["picture"] })))
    .toMatchObject({ statusCode: "415", message: "mime type picture is not supported" });
});

test("a bucket that holds files is not deleted until it is emptied", async () => {
  const id = bucketName();
  await given(service().createBucket(id));
  await given(service().from(id).upload("a", "a"));
  expect(await refusal(service().deleteBucket(id))).toEqual({
    status: 400,
    statusCode: "409",
    message: "The bucket you tried to delete is not empty",
  });
  // storage server: emptying is queued there, and says so.
  expect(await given(service().emptyBucket(id))).toEqual({
    message: "Empty bucket has been queued. Completion may take up to an hour.",
  });
  expect(await given(service().deleteBucket(id))).toEqual({ message: "Successfully deleted" });
  expect(await refusal(service().getBucket(id))).toMatchObject({ statusCode: "404" });
});

test("buckets are for the service alone until policies say otherwise", async () => {
  const id = await newBucket();
  const somebody = await person();
  for (const storage of [anon(), somebody]) {
    expect(await refusal(storage.createBucket(bucketName()))).toEqual({
      status: 400,
      statusCode: "403",
      message: "new row violates row-level security policy",
    });
    expect(await given(storage.listBuckets())).toEqual([]);
    expect(await refusal(storage.getBucket(id))).toMatchObject({ statusCode: "404" });
    expect(await refusal(storage.updateBucket(id, { public: true }))).toMatchObject({ statusCode: "404" });
    expect(await refusal(storage.emptyBucket(id))).toMatchObject({ statusCode: "403" });
    expect(await refusal(storage.deleteBucket(id))).toMatchObject({ statusCode: "404" });
  }
  expect(await given(service().getBucket(id))).toMatchObject({ public: false });
});

test("a policy on buckets lets somebody make one, which is then theirs", async () => {
  const id = bucketName();
  const owner = "7a1a0b8e-6c1e-4a53-9b1c-0f3d2f0f3a11";
  await sql(`create policy "${id}" on storage.buckets for insert to authenticated with check (id = '${id}')`);
  onTestFinished(async () => {
    await sql(`drop policy "${id}" on storage.buckets`);
    await dropBucket(id);
  });
  await given((await person(owner)).createBucket(id));
  expect(await sql("select owner, owner_id from storage.buckets where id = $1", [id])).toEqual([{
    owner,
    owner_id: owner,
  }]);
});

test("a bucket without a name is refused before the database hears of it", async () => {
  const answer = await raw("POST", "/bucket", { body: "{}", headers: { "content-type": "application/json" } });
  expect([answer.status, await answer.json()]).toEqual([400, {
    statusCode: "400",
    error: "Error",
    code: "InvalidRequest",
    message: "body must have required property 'name'",
  }]);
});

import { expect, test } from "vitest";
import { anon, given, newBucket, raw, refusal, service, sql } from "./storage/support.ts";

const HELLO = "Bonjour à tous";

async function text(answer: PromiseLike<{ data: Blob | null; error: Error | null }>): Promise<string> {
  const { data, error } = await answer;
  if (data === null) throw error;
  return await data.text();
}

test("a file comes back as it was sent, whether sent as text, bytes, a blob, a form or a stream", async () => {
  const files = service().from(await newBucket());
  const form = new FormData();
  form.append("", new File([HELLO], "form.txt", { type: "text/plain" }));
  const bodies = {
    text: HELLO,
    bytes: new TextEncoder().encode(HELLO),
    blob: new Blob([HELLO]),
    form,
    stream: new Blob([HELLO]).stream(),
  };
  for (const [name, body] of Object.entries(bodies)) {
    await given(files.upload(name, body));
    expect(await text(files.download(name)), name).toBe(HELLO);
  }
});

test("bytes that look like the end of a form stay part of the file", async () => {
  const files = service().from(await newBucket());
  const tricky = "\r\n--".repeat(75_000);
  await given(files.upload("tricky", new Blob([tricky])));
  expect(await text(files.download("tricky")) === tricky).toBe(true);
});

test("an upload answers with its id, path and full path", async () => {
  const bucket = await newBucket();
  const data = await given(service().from(bucket).upload("a/b.txt", HELLO));
  const [row] = await sql<{ id: string }>("select id from storage.objects where bucket_id = $1", [bucket]);
  expect(data).toEqual({ id: row?.id, path: "a/b.txt", fullPath: `${bucket}/a/b.txt` });
});

test("the row tells size, type, hash and cache of the file, and what its owner says of it", async () => {
  const bucket = await newBucket();
  await given(
    service().from(bucket).upload("note.txt", "hello", {
      contentType: "text/plain",
      cacheControl: "60",
      metadata: { title: "Été" },
    }),
  );
  const [row] = await sql<Record<string, unknown>>("select * from storage.objects where bucket_id = $1", [bucket]);
  expect(row).toMatchObject({
    name: "note.txt",
    path_tokens: ["note.txt"],
    user_metadata: { title: "Été" },
    archived_at: null,
    is_delete_marker: false,
    is_versioned: false,
    // storage server, file backend: the MD5 in quotes.
    metadata: {
      eTag: '"5d41402abc4b2a76b9719d911017c592"',
      size: 5,
      mimetype: "text/plain",
      cacheControl: "max-age=60",
      lastModified: expect.stringMatching(/^\d{4}-.*Z$/),
      contentLength: 5,
      httpStatusCode: 200,
    },
  });
  expect(row?.version).toMatch(/^[0-9a-f-]{36}$/);
});

test("info tells the same in the words of its own", async () => {
  const bucket = await newBucket();
  await given(
    service().from(bucket).upload("a/note.txt", new Blob(["hello"], { type: "text/x-note" }), { metadata: { n: 1 } }),
  );
  expect(await given(service().from(bucket).info("a/note.txt"))).toMatchObject({
    name: "a/note.txt",
    bucketId: bucket,
    size: 5,
    contentType: "text/x-note",
    cacheControl: "max-age=3600",
    etag: '"5d41402abc4b2a76b9719d911017c592"',
    metadata: { n: 1 },
    lastModified: expect.any(String),
    createdAt: expect.any(String),
  });
});

test("exists tells a file that is there from one that is not", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("there", HELLO));
  expect((await files.exists("there")).data).toBe(true);
  expect((await files.exists("elsewhere")).data).toBe(false);
});

test("a second upload to the same key is refused, and leaves the first alone", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("one", "first"));
  // storage server: 409 in the body, 400 on the wire.
  expect(await refusal(files.upload("one", "second"))).toEqual({
    status: 400,
    statusCode: "409",
    message: "The resource already exists",
  });
  expect(await text(files.download("one"))).toBe("first");
});

test("an upsert and an update replace the bytes and keep the id", async () => {
  const bucket = await newBucket();
  const files = service().from(bucket);
  const { id } = await given(files.upload("one", "first"));
  expect((await given(files.upload("one", "second", { upsert: true }))).id).toBe(id);
  expect(await text(files.download("one"))).toBe("second");
  expect((await given(files.update("one", "third"))).id).toBe(id);
  expect(await text(files.download("one"))).toBe("third");
});

test("a key may be the folder of another key", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("a", "file"));
  await given(files.upload("a/b", "below"));
  expect(await text(files.download("a"))).toBe("file");
  expect(await text(files.download("a/b"))).toBe("below");
});

test("keys that differ in case alone are two files", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("Note", "upper"));
  await given(files.upload("note", "lower"));
  expect(await text(files.download("Note"))).toBe("upper");
});

test("a key may be 1,024 bytes long, with every sign that is allowed, and not a byte longer", async () => {
  const files = service().from(await newBucket());
  const key = "Az_/!.*'() &$@;:+,=".padEnd(1024, "x");
  await given(files.upload(key, HELLO));
  expect(await text(files.download(key))).toBe(HELLO);
  expect(await refusal(files.upload(`${key}x`, HELLO))).toMatchObject({ statusCode: "400" });
});

test.each(["déclaration d'impôts.pdf", "photo 😀.png", "日本.txt", "a#b"])(
  "the key %s is refused in the storage server's words",
  async (key) => {
    const bucket = await newBucket();
    const answer = await raw("POST", `/object/${bucket}/${encodeURIComponent(key)}`, { body: HELLO });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      statusCode: "400",
      error: "InvalidKey",
      code: "InvalidKey",
      message: `Invalid key: ${key}`,
    });
  },
);

test.each(["..%2F..%2Fetc%2Fpasswd", "a%2F..%2F..%2Fb", ".%2Fa", "a%2F.."])(
  "a path that climbs (%s) is a name as any other, as on the platform, and leads nowhere",
  async (path) => {
    const bucket = await newBucket();
    expect((await raw("POST", `/object/${bucket}/${path}`, { body: HELLO })).status).toBe(200);
    const answer = await raw("GET", `/object/${bucket}/${path}`);
    expect(await answer.text()).toBe(HELLO);
    expect(await sql("select name from storage.objects where bucket_id = $1", [bucket])).toEqual([
      { name: decodeURIComponent(path) },
    ]);
  },
);

test("a file that is not there says so", async () => {
  const bucket = await newBucket();
  const answer = await raw("GET", `/object/${bucket}/nowhere`);
  // storage server: 404 in the body, 400 on the wire.
  expect(answer.status).toBe(400);
  expect(await answer.json()).toEqual({
    statusCode: "404",
    error: "not_found",
    code: "NoSuchKey",
    message: "Object not found",
  });
});

test("a bucket that is not there says so", async () => {
  const expected = { status: 400, statusCode: "404", message: "Bucket not found" };
  expect(await refusal(service().from("storage-test-nowhere").upload("a", HELLO))).toEqual(expected);
  expect(await refusal(service().from("storage-test-nowhere").createSignedUploadUrl("a"))).toEqual(expected);
});

test("part of a file can be asked for", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("digits", "0123456789"));
  const part = async (range: string) => {
    const answer = await raw("GET", `/object/${bucket}/digits`, { headers: { range } });
    return [answer.status, answer.headers.get("content-range"), await answer.text()];
  };
  expect(await part("bytes=2-5")).toEqual([206, "bytes 2-5/10", "2345"]);
  expect(await part("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await part("bytes=-3")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await part("bytes=5-100")).toEqual([206, "bytes 5-9/10", "56789"]);
  expect((await part("bytes=10-"))[0]).toBe(400);
});

test("a file that the client knows is not sent again", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("one", HELLO));
  const first = await raw("GET", `/object/${bucket}/one`);
  await first.text();
  const known = { "if-none-match": first.headers.get("etag") ?? "" };
  expect((await raw("GET", `/object/${bucket}/one`, { headers: known })).status).toBe(304);
  const dated = { "if-modified-since": first.headers.get("last-modified") ?? "" };
  expect((await raw("GET", `/object/${bucket}/one`, { headers: dated })).status).toBe(304);
  const other = await raw("GET", `/object/${bucket}/one`, { headers: { "if-none-match": '"other"' } });
  expect([other.status, await other.text()]).toEqual([200, HELLO]);
});

test("a download can be given a file name, accents included", async () => {
  const bucket = await newBucket({ public: true });
  const files = service().from(bucket);
  await given(files.upload("ete.txt", HELLO));
  const disposition = async (download: string | true) => {
    const answer = await fetch(files.getPublicUrl("ete.txt", { download }).data.publicUrl);
    await answer.text();
    return answer.headers.get("content-disposition");
  };
  expect(await disposition("été (1).txt")).toBe(
    `attachment; filename="_t_ (1).txt"; filename*=UTF-8''%C3%A9t%C3%A9%20%281%29.txt`,
  );
  // storage-js leaves out the parameter for `true`, which is an empty name.
  expect((await raw("GET", `/object/public/${bucket}/ete.txt?download=`)).headers.get("content-disposition"))
    .toBe("attachment;");
});

test("HTML is served as text", async () => {
  const bucket = await newBucket({ public: true });
  const files = service().from(bucket);
  await given(files.upload("page.html", "<script>alert(1)</script>", { contentType: "text/html" }));
  const answer = await fetch(files.getPublicUrl("page.html").data.publicUrl);
  await answer.text();
  // storage server: HTML would run with the API's own origin.
  expect(answer.headers.get("content-type")).toBe("text/plain");
});

test("an empty file is a file", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("empty", ""));
  await given(files.upload("empty-blob", new Blob([])));
  expect(await text(files.download("empty"))).toBe("");
  expect(await text(files.download("empty-blob"))).toBe("");
});

test("a thousand files are removed in one call, and no more are taken", async () => {
  const bucket = await newBucket();
  await sql(
    `insert into storage.objects (bucket_id, name, version)
      select $1, 'many/' || n, gen_random_uuid() from generate_series(1, 1001) as n`,
    [bucket],
  );
  const names = Array.from({ length: 1001 }, (_, i) => `many/${i + 1}`);
  expect(await refusal(service().from(bucket).remove(names))).toEqual({
    status: 400,
    statusCode: "400",
    message: "Bulk object requests are limited to 1000 objects per request.",
  });
  expect(await given(service().from(bucket).remove(names.slice(1)))).toHaveLength(1000);
  expect(await sql("select name from storage.objects where bucket_id = $1", [bucket])).toEqual([{ name: "many/1" }]);
});

test("removing names what went, and is silent about what was not there", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("a", HELLO));
  expect(await given(files.remove(["a", "b"]))).toMatchObject([{ name: "a" }]);
  expect(await given(files.remove(["a"]))).toEqual([]);
  expect(await refusal(files.download("a"))).toMatchObject({ statusCode: "404" });
});

test("images are not transformed, and the refusal names the way out", async () => {
  const bucket = await newBucket({ public: true });
  const { publicUrl } = anon().from(bucket).getPublicUrl("a.png", { transform: { width: 10 } }).data;
  const answer = await fetch(publicUrl);
  expect(answer.status).toBe(501);
  expect(await answer.json()).toMatchObject({
    message: expect.stringContaining(`/storage/v1/object/public/${bucket}/a.png`),
  });
});

test("resumable uploads are refused clearly", async () => {
  const answer = await raw("POST", "/upload/resumable");
  expect(answer.status).toBe(501);
  expect(await answer.json()).toMatchObject({ message: expect.stringContaining("Resumable (TUS) uploads") });
});

test("a route that does not exist, malformed JSON and malformed escapes are told apart", async () => {
  expect((await raw("PATCH", "/object/x/y")).status).toBe(404);
  const json = await raw("POST", "/object/move", { body: "{", headers: { "content-type": "application/json" } });
  expect([json.status, (await json.json()).message]).toEqual([
    400,
    "Body is not valid JSON but content-type is set to 'application/json'",
  ]);
  const missing = await raw("POST", "/object/move", { body: "{}" });
  expect((await missing.json()).message).toBe("body must have required property 'bucketId'");
  expect((await raw("GET", "/object/x/%E0%A4%A")).status).toBe(400);
});

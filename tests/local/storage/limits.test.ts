import { expect, test } from "vitest";
import { given, newBucket, raw, refusal, service, sql } from "./support.ts";

const MB = 1024 * 1024;
// storage server: 413 in the body, 400 on the wire.
const TOO_LARGE = { status: 400, statusCode: "413", message: "The object exceeded the maximum allowed size" };

/** So many megabytes that exist one at a time, and how many of them were asked for. */
function megabytes(count: number): { stream: ReadableStream<Uint8Array>; taken: () => number } {
  let taken = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (taken++ < count) controller.enqueue(new Uint8Array(MB).fill(taken));
      else controller.close();
    },
  });
  return { stream, taken: () => taken };
}

test("a bucket's own limit counts to the byte, for a form and for a raw body", async () => {
  const files = service().from(await newBucket({ public: false, fileSizeLimit: 5 }));
  await given(files.upload("raw", "12345"));
  await given(files.upload("form", new Blob(["12345"])));
  expect(await refusal(files.upload("raw6", "123456"))).toEqual(TOO_LARGE);
  expect(await refusal(files.upload("form6", new Blob(["123456"])))).toEqual(TOO_LARGE);
  expect(await refusal(files.upload("stream6", new Blob(["123456"]).stream()))).toEqual(TOO_LARGE);
  expect((await given(files.list())).map(({ name }) => name)).toEqual(["form", "raw"]);
});

test("50 MiB is taken and 60 MiB is refused, streamed without a declared length", async () => {
  const bucket = await newBucket();
  const files = service().from(bucket);
  await given(files.upload("fits", megabytes(50).stream));
  expect(await refusal(files.upload("too-large", megabytes(60).stream))).toEqual(TOO_LARGE);
  expect(await given(files.list())).toMatchObject([{ name: "fits", metadata: { size: 50 * MB } }]);
});

test("a declared length of 2 GB is refused before its bytes are sent", async () => {
  const bucket = await newBucket();
  const { stream, taken } = megabytes(2048);
  const headers = { "content-length": String(2048 * MB), "content-type": "video/mp4" };
  const answer = await raw("POST", `/object/${bucket}/film.mp4`, { headers, body: stream, duplex: "half" });
  expect(await answer.json()).toMatchObject({ statusCode: "413", error: "Payload too large" });
  expect(taken()).toBeLessThan(200);
});

test("a refused overwrite leaves the file as it was", async () => {
  const files = service().from(await newBucket({ public: false, fileSizeLimit: 5 }));
  await given(files.upload("a", "first"));
  expect(await refusal(files.upload("a", "second", { upsert: true }))).toEqual(TOO_LARGE);
  expect(await (await given(files.download("a")))?.text()).toBe("first");
});

test("a bucket takes the types that it names, with or without a character set", async () => {
  const files = service().from(await newBucket({ public: false, allowedMimeTypes: ["image/*", "text/plain"] }));
  await given(files.upload("a.txt", "a"));
  await given(files.upload("a.png", new Blob(["a"], { type: "image/png" })));
  expect(await refusal(files.upload("a.pdf", new Blob(["a"], { type: "application/pdf" })))).toEqual({
    // storage server: 415 in the body, 400 on the wire.
    status: 400,
    statusCode: "415",
    message: "mime type application/pdf is not supported",
  });
  expect(await refusal(files.upload("a.html", "a", { contentType: "text/html" }))).toMatchObject({ statusCode: "415" });
});

test("the placeholder of an empty folder has any type and no bytes", async () => {
  const files = service().from(await newBucket({ public: false, allowedMimeTypes: ["image/png"] }));
  await given(files.upload("folder/.emptyFolderPlaceholder", new Blob([])));
  expect(await refusal(files.upload("other/.emptyFolderPlaceholder", "bytes"))).toEqual(TOO_LARGE);
});

test("a form without a file, cut short, or without a boundary is refused and stores nothing", async () => {
  const bucket = await newBucket();
  const post = async (body: string, type = "multipart/form-data; boundary=x") => {
    const answer = await raw("POST", `/object/${bucket}/a`, { body, headers: { "content-type": type } });
    return [answer.status, (await answer.json()).message];
  };
  const field = '--x\r\ncontent-disposition: form-data; name="cacheControl"\r\n\r\n60\r\n';
  const file = '--x\r\ncontent-disposition: form-data; name=""; filename="a"\r\n\r\nbytes';
  expect(await post(`${field}--x--\r\n`)).toEqual([400, "No content provided"]);
  expect(await post(field + file)).toEqual([400, "Unexpected end of form"]);
  expect(await post(file, "multipart/form-data")).toEqual([400, "Multipart: Boundary not found"]);
  expect(await sql("select from storage.objects where bucket_id = $1", [bucket])).toEqual([]);
  expect((await post(`${field}${file}\r\n--x--\r\n`))[0]).toBe(200);
});

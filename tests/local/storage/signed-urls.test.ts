import { randomUUID } from "node:crypto";
import { decodeJwt } from "jose";
import { expect, test } from "vitest";
import { signLegacy } from "../../../local/auth/tokens.ts";
import { stack } from "../../support/stack.ts";
import { allow, anon, given, newBucket, person, refusal, service, sql } from "./support.ts";

async function answerOf(url: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(url);
  return { status: answer.status, body: await answer.json() };
}

test("whoever has a signed link reads the file, until it ends", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a folder/b.txt", "secret"));
  const signed = await given(service().from(bucket).createSignedUrl("a folder/b.txt", 60));
  const answer = await fetch(signed?.signedUrl ?? "");
  expect(await answer.text()).toBe("secret");
  // storage server: the answer may be kept for as long as the link holds.
  expect(Date.parse(answer.headers.get("expires") ?? "")).toBeGreaterThan(Date.now() + 50_000);
  expect(decodeJwt(new URL(signed?.signedUrl ?? "").searchParams.get("token") ?? "")).toEqual({
    url: `${bucket}/a folder/b.txt`,
    scope: "download",
    iat: expect.any(Number),
    exp: expect.any(Number),
  });
});

test("a signed link can name the download", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("b.txt", "secret"));
  const signed = await given(service().from(bucket).createSignedUrl("b.txt", 60, { download: "c.txt" }));
  const answer = await fetch(signed?.signedUrl ?? "");
  await answer.text();
  expect(answer.headers.get("content-disposition")).toBe("attachment; filename=c.txt; filename*=UTF-8''c.txt");
});

test("a link is signed for those alone who may read the file", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  const somebody = (await person()).from(bucket);
  expect(await refusal(somebody.createSignedUrl("a", 60))).toMatchObject({ statusCode: "404" });
  await allow(bucket, "select");
  await given(somebody.createSignedUrl("a", 60));
});

test("many links are signed at once, each with its own answer", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "found"));
  const [found, missing] = await given(service().from(bucket).createSignedUrls(["a", "b"], 60)) ?? [];
  expect(await (await fetch(found?.signedUrl ?? "")).text()).toBe("found");
  expect(missing).toMatchObject({
    path: "b",
    signedUrl: null,
    error: "Either the object does not exist or you do not have access to it",
  });
});

test("a link that has ended, was changed, or is for something else is refused", async () => {
  const bucket = await newBucket();
  const files = service().from(bucket);
  await given(files.upload("a", "a"));
  await given(files.upload("b", "b"));
  const { signedUrl = "" } = await given(files.createSignedUrl("a", 60)) ?? {};
  const address = (key: string, token: string) =>
    `${stack().url}/storage/v1/object/sign/${bucket}/${key}?token=${token}`;
  const token = new URL(signedUrl).searchParams.get("token") ?? "";

  const refused = (code: string, message: string) => ({
    status: 400,
    body: { statusCode: "400", error: code, code, message },
  });
  const past = await signLegacy({ url: `${bucket}/a`, iat: 1, exp: 2 });
  expect(await answerOf(address("a", past))).toEqual(refused("InvalidJWT", '"exp" claim timestamp check failed'));
  expect(await answerOf(address("a", `${token.slice(0, -4)}AAAA`))).toEqual(
    refused("InvalidJWT", "signature verification failed"),
  );
  expect(await answerOf(address("b", token))).toEqual(refused("InvalidSignature", "Invalid signature"));
  const upload = await given(files.createSignedUploadUrl("c"));
  expect(await answerOf(address("a", upload?.token ?? ""))).toEqual(
    refused("InvalidSignature", "Token is not scoped for download"),
  );
  const session = await signLegacy({ role: "authenticated", sub: randomUUID(), exp: 4_000_000_000 });
  expect(await answerOf(address("a", session))).toEqual(refused("InvalidSignature", "Invalid signature"));
});

test("an expiry of nothing is refused", async () => {
  const files = service().from(await newBucket());
  expect(await refusal(files.createSignedUrl("a", 0))).toMatchObject({ message: "body/expiresIn must be >= 1" });
});

test("whoever has a signed upload link stores one file, in the name of who asked for it", async () => {
  const bucket = await newBucket();
  await allow(bucket, "insert");
  const owner = randomUUID();
  const { path, token } = await given((await person(owner)).from(bucket).createSignedUploadUrl("in/a.txt")) ??
    { path: "", token: "" };
  expect(await given(anon().from(bucket).uploadToSignedUrl(path, token, "hello"))).toEqual({
    path: "in/a.txt",
    fullPath: `${bucket}/in/a.txt`,
  });
  expect(await sql("select owner_id from storage.objects where bucket_id = $1", [bucket])).toEqual([{
    owner_id: owner,
  }]);
  // storage server: the link says whether it overwrites, not who uses it.
  expect(await refusal(anon().from(bucket).uploadToSignedUrl(path, token, "again", { upsert: true }))).toMatchObject({
    statusCode: "409",
  });
  expect(await refusal(anon().from(bucket).uploadToSignedUrl("in/b.txt", token, "elsewhere"))).toMatchObject({
    message: "Invalid signature",
  });
});

test("a link to read never writes", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  const { signedUrl = "" } = await given(service().from(bucket).createSignedUrl("a", 60)) ?? {};
  const token = new URL(signedUrl).searchParams.get("token") ?? "";
  expect(await refusal(anon().from(bucket).uploadToSignedUrl("a", token, "mine"))).toMatchObject({
    message: "Token is not scoped for upload",
  });
});

test("a signed upload may be made to overwrite", async () => {
  const files = service().from(await newBucket());
  await given(files.upload("a", "first"));
  const { token } = await given(files.createSignedUploadUrl("a", { upsert: true })) ?? { token: "" };
  await given(files.uploadToSignedUrl("a", token, new Blob(["second"])));
  expect(await (await given(files.download("a")))?.text()).toBe("second");
});

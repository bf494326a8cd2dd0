import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { signLegacy } from "../../../local/auth/tokens.ts";
import { stack } from "../../support/stack.ts";
import { allow, anon, given, newBucket, person, raw, refusal, service, sql } from "./support.ts";

const REFUSED = { status: 400, statusCode: "403", message: "new row violates row-level security policy" };
const NOT_FOUND = { status: 400, statusCode: "404", message: "Object not found" };

test("without a policy nobody but the service reads or writes", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  for (const storage of [anon(), await person()]) {
    const files = storage.from(bucket);
    expect(await refusal(files.upload("b", "b"))).toEqual(REFUSED);
    expect(await refusal(files.download("a"))).toEqual(NOT_FOUND);
    expect(await refusal(files.createSignedUrl("a", 60))).toEqual(NOT_FOUND);
    expect(await refusal(files.createSignedUploadUrl("b"))).toEqual(REFUSED);
    expect(await refusal(files.move("a", "b"))).toEqual(NOT_FOUND);
    expect(await refusal(files.copy("a", "b"))).toEqual(NOT_FOUND);
    expect(await given(files.list())).toEqual([]);
    expect(await given(files.remove(["a"]))).toEqual([]);
  }
  expect(await given(service().from(bucket).list())).toMatchObject([{ name: "a" }]);
});

test("whoever may insert may upload, even without the right to read", async () => {
  const bucket = await newBucket();
  await allow(bucket, "insert");
  const files = (await person()).from(bucket);
  await given(files.upload("a", "a"));
  expect(await refusal(files.download("a"))).toEqual(NOT_FOUND);
});

test("what somebody uploads is theirs by the subject of their token", async () => {
  const bucket = await newBucket();
  await allow(bucket, "insert", { to: "authenticated, anon" });
  const id = randomUUID();
  await given((await person(id)).from(bucket).upload("mine", "a"));
  await given((await person("not-a-uuid")).from(bucket).upload("theirs", "a"));
  await given(anon().from(bucket).upload("nobody's", "a"));
  const owners = await sql("select name, owner, owner_id from storage.objects where bucket_id = $1 order by name", [
    bucket,
  ]);
  expect(owners).toEqual([
    { name: "mine", owner: id, owner_id: id },
    { name: "nobody's", owner: null, owner_id: null },
    // storage server: `owner` holds UUIDs alone, `owner_id` anything.
    { name: "theirs", owner: null, owner_id: "not-a-uuid" },
  ]);
});

test("each sees and removes their own files where policies go by owner", async () => {
  const bucket = await newBucket();
  await allow(bucket, "all", { when: "owner_id = (select auth.uid()::text)" });
  const [ada, bob] = [(await person()).from(bucket), (await person()).from(bucket)];
  await given(ada.upload("ada", "a"));
  await given(bob.upload("bob", "b"));
  expect(await given(ada.list())).toMatchObject([{ name: "ada" }]);
  expect(await given(ada.remove(["ada", "bob"]))).toMatchObject([{ name: "ada" }]);
  expect(await refusal(ada.upload("bob", "mine now", { upsert: true }))).toEqual(REFUSED);
  expect(await given(bob.download("bob").then(async ({ data, error }) => ({ data: await data?.text(), error })))).toBe(
    "b",
  );
});

test("an upsert asks for the rights to read, insert and update", async () => {
  const bucket = await newBucket();
  await allow(bucket, "insert");
  const files = (await person()).from(bucket);
  await given(files.upload("a", "first"));
  expect(await refusal(files.upload("a", "second", { upsert: true }))).toEqual(REFUSED);
  await allow(bucket, "select");
  expect(await refusal(files.upload("a", "second", { upsert: true }))).toEqual(REFUSED);
  await allow(bucket, "update");
  await given(files.upload("a", "second", { upsert: true }));
});

test("policies can read the operation, the folder and the type of what comes", async () => {
  const bucket = await newBucket();
  await allow(bucket, "insert", {
    when: `storage.allow_only_operation('object.upload')
      and (storage.foldername(name))[1] = 'in' and storage.extension(name) = 'txt' and storage.filename(name) <> 'no.txt'
      and metadata->>'mimetype' like 'text/plain%'`,
  });
  const files = (await person()).from(bucket);
  await given(files.upload("in/yes.txt", "a"));
  expect(await refusal(files.upload("in/no.txt", "a"))).toEqual(REFUSED);
  expect(await refusal(files.upload("out/yes.txt", "a"))).toEqual(REFUSED);
  expect(await refusal(files.upload("in/yes.pdf", "a"))).toEqual(REFUSED);
  expect(await refusal(files.upload("in/two.txt", "a", { contentType: "application/json" }))).toEqual(REFUSED);
  expect(await refusal(files.createSignedUploadUrl("in/two.txt"))).toEqual(REFUSED);
});

test("a public bucket is read by anybody and written by nobody", async () => {
  const bucket = await newBucket({ public: true });
  await given(service().from(bucket).upload("a", "open"));
  const { publicUrl } = anon().from(bucket).getPublicUrl("a").data;
  expect(await (await fetch(publicUrl)).text()).toBe("open");
  expect((await fetch(publicUrl, { method: "HEAD" })).headers.get("content-length")).toBe("4");
  expect(await given(anon().from(bucket).info("a"))).toMatchObject({ size: 4 });
  expect(await given(anon().from(bucket).list())).toEqual([]);
  expect(await refusal(anon().from(bucket).upload("b", "b"))).toEqual(REFUSED);
});

test("a private bucket has no public address", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  const answer = await fetch(anon().from(bucket).getPublicUrl("a").data.publicUrl);
  expect([answer.status, await answer.json()]).toEqual([400, {
    statusCode: "404",
    error: "Bucket not found",
    code: "NoSuchBucket",
    message: "Bucket not found",
  }]);
});

test("a token that is forged, expired or no token at all is refused in jose's words", async () => {
  const bucket = await newBucket();
  const good = await signLegacy({ role: "service_role" });
  const past = await signLegacy({ role: "service_role", exp: 1 });
  const tokens = {
    [`${good.slice(0, -4)}AAAA`]: "signature verification failed",
    [past]: '"exp" claim timestamp check failed',
    nonsense: "Invalid Compact JWS",
  };
  for (const [token, message] of Object.entries(tokens)) {
    const headers = { apikey: stack().publishableKey, authorization: `Bearer ${token}` };
    const answer = await raw("POST", `/object/list/${bucket}`, { headers, body: '{"prefix":""}' });
    // storage server: 403 in the body, 400 on the wire.
    expect([answer.status, await answer.json()]).toEqual([400, {
      statusCode: "403",
      error: "Unauthorized",
      code: "AccessDenied",
      message,
    }]);
    // storage server: where a public bucket could be meant, a token that does not hold counts as none.
    const read = await raw("GET", `/object/${bucket}/a`, { headers });
    expect(await read.json()).toMatchObject({ code: "NoSuchBucket" });
  }
});

test("a trigger sees the probe as version 1 and the real row after it", async () => {
  const bucket = await newBucket();
  const schema = `storage_test_${randomUUID().replaceAll("-", "")}`;
  await sql(`
    create schema ${schema};
    create table ${schema}.seen (n int generated always as identity, version text, role text);
    create function ${schema}.see() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
      -- A row would be rolled back with the probe, so the probe raises what it saw.
      if new.version = '1' and new.user_metadata->>'stop' = 'yes' then
        raise exception 'probe of version %', new.version using errcode = '42501';
      end if;
      insert into ${schema}.seen (version, role) values (new.version, current_setting('request.jwt.claim.role'));
      return new;
    end $$;
    create trigger ${schema} before insert on storage.objects for each row when (new.bucket_id = '${bucket}')
      execute function ${schema}.see();
  `);
  onTestFinished(async () => {
    await sql(`drop schema ${schema} cascade`);
  });
  await allow(bucket, "insert");
  const files = (await person()).from(bucket);
  expect(await refusal(files.upload("a", "a", { metadata: { stop: "yes" } }))).toEqual({
    status: 400,
    statusCode: "403",
    message: "probe of version 1",
  });
  await given(files.upload("a", "a"));
  const [row] = await sql<{ version: string }>("select version from storage.objects where bucket_id = $1", [bucket]);
  // What the probe did is undone. The row itself is written by the service, as on the platform.
  expect(await sql(`select version, role from ${schema}.seen`)).toEqual([{
    version: row?.version,
    role: "service_role",
  }]);
});

test("a trigger that raises makes the upload fail, and leaves neither row nor old bytes changed", async () => {
  const bucket = await newBucket();
  const name = `storage_test_${randomUUID().replaceAll("-", "")}`;
  await given(service().from(bucket).upload("a", "first"));
  await sql(`
    create function public.${name}() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger ${name} after insert or update on storage.objects for each row when (new.bucket_id = '${bucket}')
      execute function public.${name}();
  `);
  onTestFinished(async () => {
    await sql(`drop function public.${name}() cascade`);
  });
  const files = service().from(bucket);
  // storage server: an error of the database's own is its failure, not the client's.
  const expected = { status: 500, statusCode: "500", message: "database error, code: P0001" };
  expect(await refusal(files.upload("b", "b"))).toEqual(expected);
  expect(await refusal(files.upload("a", "second", { upsert: true }))).toEqual(expected);
  expect(await (await given(files.download("a")))?.text()).toBe("first");
  expect(await given(files.list())).toMatchObject([{ name: "a" }]);
});

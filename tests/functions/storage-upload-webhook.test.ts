import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";
import { BUCKET, expectFilesToAgree, type FilesHouse, openFilesHouse, signIn } from "./files-support.ts";

let house: FilesHouse;

beforeAll(async () => {
  house = await openFilesHouse();
});

afterAll(() => house.close());

const TABLE = { schema: "storage", table: "objects" };
const row = (name: string, bucket_id = BUCKET) => ({
  id: "7f9c",
  bucket_id,
  name,
  version: "any",
  metadata: { size: 5 },
});
const uploaded = (name: string, bucket?: string) => ({
  type: "INSERT",
  ...TABLE,
  record: row(name, bucket),
  old_record: null,
});
const deleted = (name: string) => ({ type: "DELETE", ...TABLE, record: null, old_record: row(name) });
const moved = (from: string, to: string) => ({ type: "UPDATE", ...TABLE, record: row(to), old_record: row(from) });

async function deliver(body: unknown, headers: Record<string, string> = { apikey: SECRET_KEY }) {
  const response = await fetch(`${house.stack.url}/functions/v1/storage-upload-webhook`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() as Record<string, unknown> };
}

/** The trigger is what keeps the queue exact. Without it a webhook does what it can. */
async function withoutTrigger(work: () => Promise<void>): Promise<void> {
  const [{ definition } = { definition: "" }] = await house.sql<{ definition: string }>(
    "select pg_get_functiondef('private.follow_object'::regproc) as definition",
  );
  await house.sql(
    "create or replace function private.follow_object() returns trigger language plpgsql as 'begin return null; end'",
  );
  try {
    await work();
  } finally {
    await house.sql(definition);
  }
}

describe("a delivery", () => {
  it("of an upload has it read at once", async () => {
    await house.upload("at-once.txt", "Lu aussitôt.");
    expect(await deliver(uploaded("at-once.txt"))).toMatchObject({ status: 200, body: { processed: 1 } });
    expect(await house.document("at-once.txt")).toMatchObject({ content: "Lu aussitôt." });
  });

  it("again, and again, changes nothing", async () => {
    await house.upload("again.txt", "Une seule fois.");
    await deliver(uploaded("again.txt"));
    const before = [await house.document("again.txt"), await house.queued("again.txt")];
    for (let i = 0; i < 3; i++) {
      expect(await deliver(uploaded("again.txt"))).toEqual({ status: 200, body: { queued: 0, processed: 0 } });
    }
    expect([await house.document("again.txt"), await house.queued("again.txt")]).toEqual(before);
  });

  it("says of an upload that no trigger has seen that it is queued, and reads it", async () => {
    await withoutTrigger(async () => {
      await house.upload("unseen.txt", "Personne ne l'a vu.");
      expect(await house.queued("unseen.txt")).toBeNull();
      expect(await deliver(uploaded("unseen.txt"))).toEqual({ status: 200, body: { queued: 1, processed: 1 } });
      expect(await house.document("unseen.txt")).toMatchObject({ content: "Personne ne l'a vu." });
    });
  });

  it("of what happened long ago does what is right now, in any order", async () => {
    await withoutTrigger(async () => {
      const { storage } = house.client;
      await house.upload("first.txt", "Un.");
      await deliver(uploaded("first.txt"));
      await storage.from(BUCKET).move("first.txt", "second.txt");
      await house.upload("second.txt", "Deux.", { upsert: true });
      await storage.from(BUCKET).copy("second.txt", "third.txt");
      await storage.from(BUCKET).remove(["third.txt"]);
      for (
        const event of [
          deleted("third.txt"),
          uploaded("third.txt"),
          moved("first.txt", "second.txt"),
          uploaded("first.txt"),
          deleted("second.txt"),
          moved("second.txt", "first.txt"),
        ]
      ) expect((await deliver(event)).status).toBe(200);
      expect(await house.document("first.txt")).toBeNull();
      expect(await house.document("third.txt")).toBeNull();
      expect(await house.document("second.txt")).toMatchObject({ content: "Deux." });
      await expectFilesToAgree(house);
    });
  });

  it("that somebody made up is harmless: of a file that is not there, of one that is, of a bucket that is not watched", async () => {
    await house.upload("there.txt", "Bien là.");
    await house.readAll();
    const before = await house.document("there.txt");
    await house.client.storage.createBucket("unwatched");
    await house.upload("private.txt", "Pas pour vous.", { bucket: "unwatched" });
    for (
      const event of [
        uploaded("never.txt"),
        deleted("there.txt"),
        moved("there.txt", "elsewhere.txt"),
        uploaded("private.txt", "unwatched"),
        uploaded("a.txt", "no-such-bucket"),
        { ...uploaded("there.txt"), record: { ...row("there.txt"), version: "forged", metadata: { size: 1e15 } } },
      ]
    ) expect(await deliver(event)).toEqual({ status: 200, body: { queued: 0, processed: 0 } });
    expect(await house.document("there.txt")).toEqual(before);
    expect(await house.document("private.txt", "unwatched")).toBeNull();
    expect(await house.queued("never.txt")).toBeNull();
    await expectFilesToAgree(house);
  });
});

describe("is refused, and changes nothing", () => {
  it.each([
    ["{}", "type: must be one of INSERT, UPDATE, DELETE, not nothing"],
    ["INSERT", "The body is not JSON: INSERT"],
    [JSON.stringify({ ...uploaded("a"), table: "buckets" }), "table: must be one of objects, not buckets"],
    [JSON.stringify({ ...uploaded("a"), record: { name: "a" } }), "record.bucket_id: must be a text, not nothing"],
    [JSON.stringify({ ...uploaded("a"), record: null }), "record: must be a row, not null"],
    [
      JSON.stringify({ ...deleted("a"), old_record: { bucket_id: BUCKET, name: 12 } }),
      "old_record.name: must be a text, not 12",
    ],
    [JSON.stringify(uploaded("a\u0000")), 'record.name: is no name of anything: "a\\u0000"'],
  ])("what is half-formed: %s", async (body, message) => {
    const answer = await deliver(body);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request", message } } });
  });

  it("whoever is not staff", async () => {
    expect((await deliver(uploaded("a"), {})).status).toBe(401);
    expect((await deliver(uploaded("a"), { apikey: PUBLISHABLE_KEY })).status).toBe(401);
    expect((await deliver(uploaded("a"), { apikey: "sb_secret_forged" })).status).toBe(401);
    const { data } = await (await signIn(house, "claire@accord.test")).auth.getSession();
    expect((await deliver(uploaded("a"), { authorization: `Bearer ${data.session?.access_token}` })).status).toBe(403);
  });
});

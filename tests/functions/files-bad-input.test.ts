import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SECRET_KEY } from "../../local/keys.ts";
import { settings } from "./embedding-support.ts";
import { BUCKET, expectFilesToAgree, type FilesHouse, openFilesHouse } from "./files-support.ts";

let house: FilesHouse;

beforeAll(async () => {
  house = await openFilesHouse();
});

afterAll(() => house.close());

/** What is left of a file that cannot be read: no document, and why. */
async function failureOf(path: string): Promise<string | null | undefined> {
  await house.readAll();
  expect(await house.document(path)).toBeNull();
  const row = await house.queued(path);
  expect(row).toMatchObject({ status: "failed", retry_count: 1 });
  return row?.last_error;
}

describe("paths", () => {
  it.each([
    ["with spaces", "two words/my file.txt"],
    ["with all that the platform allows", "a!b.c*'()&$=@;:+,?-_/d.txt"],
    ["that look like queries and escapes", "50?x=1&y=+.txt"],
    ["of 1,024 bytes", `${"long/".repeat(200)}${"n".repeat(20)}.txt`],
  ])("%s are kept and read as they are", async (_, path) => {
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(1_024);
    const url = `${house.stack.url}/storage/v1/object/${BUCKET}/${path.split("/").map(encodeURIComponent).join("/")}`;
    const response = await fetch(url, {
      method: "POST",
      headers: { apikey: SECRET_KEY, authorization: `Bearer ${SECRET_KEY}`, "content-type": "text/plain" },
      body: "Lu.",
    });
    expect(response.status).toBe(200);
    await house.readAll();
    expect(await house.document(path)).toMatchObject({ content: "Lu." });
    expect(await house.queued(path)).toMatchObject({ status: "completed" });
  });

  it("that begin with a slash are those that supabase-js makes of them, or those that they are", async () => {
    await house.upload("/leading.txt", "Sans barre.");
    const raw = await fetch(`${house.stack.url}/storage/v1/object/${BUCKET}//leading.txt`, {
      method: "POST",
      headers: { apikey: SECRET_KEY, authorization: `Bearer ${SECRET_KEY}`, "content-type": "text/plain" },
      body: "Avec barre.",
    });
    expect(raw.status).toBe(200);
    await house.readAll();
    expect(await house.document("leading.txt")).toMatchObject({ content: "Sans barre." });
    expect(await house.document("/leading.txt")).toMatchObject({ content: "Avec barre.", title: "leading" });
  });

  it.each([
    ["accents", "résumé.txt"],
    ["emoji", "🎹.txt"],
    ["1,025 bytes", "n".repeat(1_025)],
  ])("with %s get the platform's own answer, and leave nothing", async (_, path) => {
    const encoded = encodeURIComponent(path);
    const response = await fetch(`${house.stack.url}/storage/v1/object/${BUCKET}/${encoded}`, {
      method: "POST",
      headers: { apikey: SECRET_KEY, authorization: `Bearer ${SECRET_KEY}`, "content-type": "text/plain" },
      body: "Rien.",
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: "InvalidKey" });
    expect(await house.queued(path)).toBeNull();
  });

  // The platform takes them, from whoever may upload to a folder of their own.
  it.each([
    ["to another bucket", "u1/../../private/secret.txt"],
    ["to the accounts", "u1/../../../../../auth/v1/admin/users"],
    ["to the tables", "../../../../rest/v1/faq_items"],
    ["to its neighbour", "a/../b.txt"],
  ])("that would lead %s are followed nowhere, and say so", async (_, path) => {
    await house.client.storage.createBucket("private");
    await house.upload("secret.txt", "Le secret de la direction.", { bucket: "private", upsert: true });
    await house.upload("b.txt", "Le voisin.", { upsert: true });
    const response = await fetch(`${house.stack.url}/storage/v1/object/${BUCKET}/${encodeURIComponent(path)}`, {
      method: "POST",
      headers: { apikey: SECRET_KEY, authorization: `Bearer ${SECRET_KEY}`, "content-type": "text/plain" },
      body: "Rien.",
    });
    expect(response.status).toBe(200);
    expect(await failureOf(path)).toContain("no URL can name");
    await house.client.storage.from(BUCKET).remove([path, "b.txt"]);
    expect(await house.queued(path)).toBeNull();
  });

  it("that two buckets share are two documents, and go one by one", async () => {
    await house.client.storage.createBucket("shelf");
    expect((await house.client.rpc("watch_bucket", { bucket_id: "shelf" })).error).toBeNull();
    await house.upload("shared.txt", "Dans documents.");
    await house.upload("shared.txt", "Sur l'étagère.", { bucket: "shelf" });
    await house.readAll();
    expect(await house.document("shared.txt")).toMatchObject({ content: "Dans documents." });
    expect(await house.document("shared.txt", "shelf")).toMatchObject({ content: "Sur l'étagère." });
    await house.client.storage.from("shelf").remove(["shared.txt"]);
    expect(await house.document("shared.txt", "shelf")).toBeNull();
    expect(await house.document("shared.txt")).toMatchObject({ content: "Dans documents." });
    await expectFilesToAgree(house, "shelf");
  });
});

describe("a bucket that is gone", () => {
  it("leaves no row and no document; one of its name starts anew", async () => {
    const { storage } = house.client;
    await storage.createBucket("passing");
    await house.client.rpc("watch_bucket", { bucket_id: "passing" });
    await house.upload("a.txt", "Avant.", { bucket: "passing" });
    await house.readAll();
    await house.upload("b.txt", "Jamais lu.", { bucket: "passing" });
    expect((await storage.emptyBucket("passing")).error).toBeNull();
    expect((await storage.deleteBucket("passing")).error).toBeNull();
    expect(await house.readFiles()).toMatchObject({ claimed: 0, failed: 0, stopped: null });
    expect(await house.document("a.txt", "passing")).toBeNull();
    expect(await house.queued("b.txt", "passing")).toBeNull();
    await storage.createBucket("passing");
    await house.upload("a.txt", "Après.", { bucket: "passing" });
    await house.readAll();
    expect(await house.document("a.txt", "passing")).toMatchObject({ content: "Après." });
  });
});

describe("content", () => {
  it("of zero bytes fails with a reason that says what to do, and is not tried again", async () => {
    await house.upload("empty.txt", "");
    expect(await failureOf("empty.txt")).toMatch(/has no bytes.*Upload it again/);
  });

  it("above the limit fails without being downloaded, and is read once the limit allows it", async () => {
    await house.upload("large.txt", "Assez long. ".repeat(200_000));
    await settings(house, { files_size_limit: 1_000_000 });
    expect(await failureOf("large.txt")).toContain("limit");
    await settings(house, { files_size_limit: 52_428_800 });
    await house.client.rpc("retry_failed_files");
    await house.readAll();
    expect((await house.document("large.txt"))?.content.length).toBeGreaterThan(2_000_000);
    await house.client.storage.from(BUCKET).remove(["large.txt"]);
  });

  it.each([
    ["calls itself a PDF and is none", "lie.pdf", "application/pdf", "Just a text."],
    ["calls itself a Word file and is none", "lie.docx", "application/msword", "Just a text."],
    ["is a picture by the name of a text", "lie.txt", "text/plain", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10])],
  ])("that %s fails with a reason", async (_, path, type, content) => {
    const blob = new Blob([content], { type });
    await house.upload(path, blob);
    expect(await failureOf(path)).toMatch(/\w+ .*: .*\.$/);
  });

  it("that is a web page is one, whatever type was said", async () => {
    const page = "<!doctype html><html><head><title>La page</title></head><body><main><h1>Un titre</h1>" +
      "<p>Un paragraphe entier.</p></main></body></html>";
    await house.upload("page.txt", page);
    await house.readAll();
    expect(await house.document("page.txt")).toMatchObject({ mime_type: "text/html", title: "La page" });
    expect((await house.document("page.txt"))?.content).toContain("Un paragraphe entier.");
  });

  it.each([
    ["UTF-16 with its mark", "utf16.txt", Buffer.from("\ufeffDéjà vu à Noël", "utf16le")],
    ["UTF-16 without", "utf16-bare.txt", Buffer.from("Déjà vu à Noël", "utf16le")],
    ["Windows-1252", "windows.txt", Buffer.from("D\xe9j\xe0 vu \xe0 No\xebl", "latin1")],
    ["UTF-8 with its mark", "marked.txt", Buffer.from("\ufeffDéjà vu à Noël")],
  ])("in %s is the same text", async (_, path, bytes) => {
    await house.upload(path, new Blob([bytes], { type: "text/plain" }));
    await house.readAll();
    expect((await house.document(path))?.content).toBe("Déjà vu à Noël");
  });

  it("whose bytes are lost fails three times, with a reason, and is read when it is uploaded again", async () => {
    await house.upload("lost.txt", "Bientôt perdu.");
    await house.upload("kept.txt", "Toujours là.");
    // The row names another blob than the one that is there.
    await house.sql("update storage.objects set version = 'nowhere' where bucket_id = $1 and name = 'lost.txt'", [
      BUCKET,
    ]);
    for (let attempt = 1; attempt <= 3; attempt++) await house.readFiles();
    expect(await house.document("kept.txt")).toMatchObject({ content: "Toujours là." });
    const row = await house.queued("lost.txt");
    expect(row).toMatchObject({ status: "failed", retry_count: 3 });
    expect(row?.last_error).toMatch(/^Its bytes (are lost|cannot be downloaded)/);
    await house.upload("lost.txt", "Retrouvé.", { upsert: true });
    await house.readAll();
    expect(await house.document("lost.txt")).toMatchObject({ content: "Retrouvé." });
    expect(await house.queued("lost.txt")).toMatchObject({ status: "completed", last_error: null });
  });

  it("that fails where it was read before leaves the document that was there", async () => {
    await house.upload("report.txt", "La première version.");
    await house.readAll();
    const before = await house.document("report.txt");
    await house.upload("report.txt", "", { upsert: true });
    await house.readAll();
    expect(await house.queued("report.txt")).toMatchObject({ status: "failed" });
    expect(await house.document("report.txt")).toMatchObject({ id: before?.id });
  });
});

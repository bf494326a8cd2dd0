import { describe, expect, it } from "vitest";
import { documentOf } from "../../../shared/files/document.ts";
import type { Slice } from "../../../shared/files/extract/slice.ts";
import type { FileJob } from "../../../shared/files/queue.ts";

const slice: Slice = {
  parts: [],
  next: null,
  title: null,
  locale: null,
  mimeType: "text/plain",
  metadata: {},
};

function document(filePath: string, userMetadata: unknown = null, known: Partial<Slice> = {}) {
  const job: FileJob = {
    token: "token",
    bucketId: "shelf",
    filePath,
    objectVersion: "first",
    fileSize: 1,
    sizeLimit: 1,
    mimeType: null,
    userMetadata,
    progress: null,
    isGone: false,
  };
  return documentOf(job, { ...slice, ...known });
}

describe("a document's title", () => {
  it("is what the uploader says, else what the file says, else its name", () => {
    const known = { title: "Of the file" };
    expect(document("a.pdf", { title: "  Of the\tuploader " }, known).title).toBe("Of the uploader");
    expect(document("a.pdf", { title: " " }, known).title).toBe("Of the file");
    expect(document("a.pdf", null, { title: "\u0000 " }).title).toBe("a");
  });

  it("is kept with where it is from: one that is from the path changes with it", () => {
    expect(document("a.pdf", { title: "A" }, { metadata: { pages: 3 } }).metadata).toEqual({
      file: { pages: 3 },
      titleFrom: "uploader",
    });
    expect(document("a.pdf", null, { title: "A" }).metadata).toEqual({ file: {}, titleFrom: "file" });
    expect(document("a.pdf").metadata).toEqual({ file: {}, titleFrom: "path" });
  });

  it.each([
    ["rapports/2025/bilan_annuel-2025.pdf", "bilan annuel 2025"],
    ["notes.v2.md", "notes.v2"],
    ["folder/.hidden", ".hidden"],
    ["LICENSE", "LICENSE"],
    ["folder/---.txt", "folder/---.txt"],
    ["folder/", "folder/"],
    ["two  words .txt", "two words"],
  ])("of the path %s is %s", (path, title) => {
    expect(document(path).title).toBe(title);
  });

  it.each([[{ title: 7 }], [{ title: null }], ["a text"], [["title"]], [7]])(
    "is not taken from metadata that say nothing: %j",
    (userMetadata) => {
      expect(document("a.pdf", userMetadata).title).toBe("a");
    },
  );
});

describe("a document's locale", () => {
  it.each([
    ["en", "fr", "en"],
    ["fr-CA", null, "fr-CA"],
    ["français", "fr", "fr"],
    ["EN", null, null],
    [12, "de", "de"],
    [null, "not one", null],
  ])("said %j, found %j: %j", (said, found, locale) => {
    expect(document("a.pdf", { locale: said }, { locale: found }).locale).toBe(locale);
  });
});

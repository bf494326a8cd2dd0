import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { PUBLISHABLE_KEY } from "../../local/keys.ts";
import { wordsOf } from "../../shared/embeddings/chunking/words.ts";
import type { SearchAnswer } from "../../shared/search/search.ts";
import { connectClient } from "../support/client.ts";
import { pdfOf } from "../support/pdf.ts";
import { expectAgreement } from "./embedding-support.ts";
import { BUCKET, expectFilesToAgree, type FilesHouse, invoke, openFilesHouse, signIn } from "./files-support.ts";

let house: FilesHouse;

beforeAll(async () => {
  house = await openFilesHouse();
});

afterAll(() => house.close());

const bucket = () => house.client.storage.from(BUCKET);

/** As it is embedded: a document's title and its text. */
const embedded = (title: string, content: string) => `${title}\n\n${content}`;

/** Reads and embeds all that waits. */
async function follow(): Promise<void> {
  await house.readAll();
  await house.settle();
}

describe("a file, from its upload to the answer", () => {
  it("becomes a document, and is found by what stands in it", async () => {
    await house.upload("notes/reglage_fin.txt", "Le réglage fin de la mécanique demande une journée.");
    expect(await house.queued("notes/reglage_fin.txt")).toMatchObject({ status: "pending", retry_count: 0 });
    await follow();
    expect(await house.queued("notes/reglage_fin.txt")).toMatchObject({ status: "completed", last_error: null });
    const document = await house.document("notes/reglage_fin.txt");
    expect(document).toMatchObject({
      title: "reglage fin",
      content: "Le réglage fin de la mécanique demande une journée.",
      locale: "fr",
      mime_type: "text/plain",
    });
    const text = embedded("reglage fin", "Le réglage fin de la mécanique demande une journée.");
    expect(await house.find(text)).toEqual([text]);
    await expectFilesToAgree(house);
  });

  it("is called, and spoken of, as its uploader says", async () => {
    await house.upload("price-list.md", "# Prices\n\nA tuning costs 110 euros.", {
      metadata: { title: "Tarifs 2026", locale: "en" },
    });
    await house.readAll();
    expect(await house.document("price-list.md")).toMatchObject({ title: "Tarifs 2026", locale: "en" });
  });

  it("that is overwritten is found by its new text alone, in the same document", async () => {
    await house.upload("horaires.txt", "Ouvert le lundi.");
    await follow();
    const before = await house.document("horaires.txt");
    await house.upload("horaires.txt", "Ouvert le mardi.", { upsert: true });
    await follow();
    const after = await house.document("horaires.txt");
    expect(after).toMatchObject({ id: before?.id, content: "Ouvert le mardi." });
    expect(await house.find(embedded("horaires", "Ouvert le lundi."))).toEqual([]);
    expect(await house.find(embedded("horaires", "Ouvert le mardi."))).toHaveLength(1);
    await expectFilesToAgree(house);
  });

  it("that is overwritten with the same bytes is neither read nor embedded again", async () => {
    await house.upload("same.txt", "Toujours le même texte.");
    await follow();
    const before = house.provider.totals();
    const document = await house.document("same.txt");
    const queued = await house.queued("same.txt");
    await house.upload("same.txt", "Toujours le même texte.", { upsert: true });
    expect(await house.readFiles()).toMatchObject({ claimed: 0, remaining: 0 });
    await house.settle();
    expect(house.provider.totals()).toEqual(before);
    expect(await house.document("same.txt")).toEqual(document);
    expect((await house.queued("same.txt"))?.object_version).not.toBe(queued?.object_version);
    await expectFilesToAgree(house);
  });

  it("that is uploaded again under another title alone has that title", async () => {
    await house.upload("retitled.txt", "Un texte qui reste.", { metadata: { title: "Premier titre" } });
    await house.readAll();
    const before = await house.document("retitled.txt");
    await house.upload("retitled.txt", "Un texte qui reste.", { upsert: true, metadata: { title: "Second titre" } });
    await house.readAll();
    expect(before).toMatchObject({ title: "Premier titre" });
    expect(await house.document("retitled.txt")).toMatchObject({ id: before?.id, title: "Second titre" });
    await expectFilesToAgree(house);
  });

  it("that is moved takes its document along, and is neither read nor embedded again", async () => {
    await house.upload("before.txt", "Un fichier qui déménage.", { metadata: { title: "Déménageur" } });
    await follow();
    const document = await house.document("before.txt");
    const paid = house.provider.totals();
    expect((await bucket().move("before.txt", "archive/after.txt")).error).toBeNull();
    expect(await house.document("before.txt")).toBeNull();
    expect(await house.queued("before.txt")).toBeNull();
    expect(await house.document("archive/after.txt")).toMatchObject({
      id: document?.id,
      content: "Un fichier qui déménage.",
    });
    expect(await house.readFiles()).toMatchObject({ claimed: 0, remaining: 0 });
    await house.settle();
    expect(house.provider.totals()).toEqual(paid);
    expect(await house.find(embedded("Déménageur", "Un fichier qui déménage."))).toHaveLength(1);
    await expectFilesToAgree(house);
  });

  it("that is called after its path is called after its new one where it is moved, and is the same document", async () => {
    await house.upload("ancien-nom.txt", "Qui change de nom.");
    await house.readAll();
    const document = await house.document("ancien-nom.txt");
    expect((await bucket().move("ancien-nom.txt", "nouveau-nom.txt")).error).toBeNull();
    await house.readAll();
    expect(document).toMatchObject({ title: "ancien nom" });
    expect(await house.document("nouveau-nom.txt")).toMatchObject({ id: document?.id, title: "nouveau nom" });
    await expectFilesToAgree(house);
  });

  it("that is moved before anybody has read it is read where it is", async () => {
    await house.upload("unread.txt", "Déplacé avant lecture.");
    expect((await bucket().move("unread.txt", "moved-unread.txt")).error).toBeNull();
    await house.readAll();
    expect(await house.document("moved-unread.txt")).toMatchObject({ content: "Déplacé avant lecture." });
    expect(await house.document("unread.txt")).toBeNull();
    await expectFilesToAgree(house);
  });

  it("that is moved over another one takes its place", async () => {
    await house.upload("old.txt", "Ancien.");
    await house.upload("new.txt", "Nouveau.");
    await house.readAll();
    await bucket().remove(["old.txt"]);
    expect((await bucket().move("new.txt", "old.txt")).error).toBeNull();
    await house.readAll();
    expect(await house.document("new.txt")).toBeNull();
    expect(await house.document("old.txt")).toMatchObject({ content: "Nouveau." });
    await expectFilesToAgree(house);
  });

  it("that is copied is two documents", async () => {
    await house.upload("original.txt", "Une fois pour toutes.");
    await house.readAll();
    expect((await bucket().copy("original.txt", "copy.txt")).error).toBeNull();
    await house.readAll();
    const [original, copy] = [await house.document("original.txt"), await house.document("copy.txt")];
    expect(copy).toMatchObject({ content: "Une fois pour toutes." });
    expect(copy?.id).not.toBe(original?.id);
    await expectFilesToAgree(house);
  });

  it("that is deleted is gone at once: its row, its document, and from search", async () => {
    await house.upload("secret.txt", "Le code du coffre.");
    await follow();
    const text = embedded("secret", "Le code du coffre.");
    expect(await house.find(text)).toEqual([text]);
    expect((await bucket().remove(["secret.txt"])).error).toBeNull();
    expect(await house.queued("secret.txt")).toBeNull();
    expect(await house.document("secret.txt")).toBeNull();
    expect(await house.find(text)).toEqual([]);
    await house.settle();
    await expectAgreement(house);
  });

  it("that is deleted before anybody has read it leaves nothing behind", async () => {
    await house.upload("brief.txt", "Bientôt supprimé.");
    await bucket().remove(["brief.txt"]);
    expect(await house.readFiles()).toMatchObject({ claimed: 0, remaining: 0 });
    expect(await house.document("brief.txt")).toBeNull();
  });
});

describe("files that other programs have made", () => {
  const fixture = (name: string) => readFileSync(new URL(`../shared/files/fixtures/${name}`, import.meta.url));

  it.each([
    ["guide-fr.libreoffice.pdf", "application/pdf"],
    ["guide-fr.libreoffice.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ["guide-fr.pandoc.html", "text/html"],
    ["source/guide-fr.md", "text/markdown"],
  ])("%s is read, called by its own title, and known for French", async (name, type) => {
    await house.upload(`guides/${name}`, new Blob([fixture(name)], { type }));
    await house.readAll();
    expect(await house.queued(`guides/${name}`)).toMatchObject({ status: "completed", last_error: null });
    const document = await house.document(`guides/${name}`);
    expect(document).toMatchObject({ locale: expect.stringMatching(/^fr/) as string, mime_type: type });
    expect(document?.title).toBe("Guide de conservation des pianos");
    expect(document?.content.replace(/\s+/g, " ")).toContain("Un piano compte environ huit mille pièces");
  });

  it(
    "a PDF of a thousand pages passes through several runs, each page is where its document says, and it is found",
    async () => {
      const pages = Array.from(
        { length: 1_000 },
        (_, n) =>
          Array.from({ length: 40 }, (_, line) => `Page ${n + 1}, line ${line + 1}: of the great register of pianos.`)
            .join("\n"),
      );
      await house.upload("register.pdf", pdfOf(pages), { contentType: "application/pdf" });
      let [slices, runs] = [0, 0];
      for (let remaining = 1; remaining > 0; runs++) {
        const report = await house.readFiles();
        expect(report).toMatchObject({ failed: 0, requeued: 0, stopped: null });
        slices += report.slices;
        remaining = report.remaining;
      }
      expect(slices).toBeGreaterThan(1);
      expect(runs).toBeGreaterThan(1);
      const document = await house.document("register.pdf");
      const places = document?.metadata["pages"] as { page: number; start: number }[];
      expect(places.map(({ page }) => page)).toEqual(pages.map((_, n) => n + 1));
      for (const { page, start } of places) {
        expect(document?.content.slice(start)).toMatch(new RegExp(`^Page ${page}, line 1:`));
      }
      expect(document?.content.match(/line 40: of the great register/g)).toHaveLength(1_000);
      expect(await house.sql("select from private.file_parts")).toEqual([]);

      if (inject("lane") === "embedded") {
        console.log(
          "The thousand pages are not embedded here: PGlite takes minutes to put so many vectors into their index.",
        );
      } else {
        await house.settle(150_000);
        const [piece] = await house.sql<{ content: string }>(
          "select content from public.documentation_embeddings where source_id = $1 and content like '%Page 777, line 20:%'",
          [document?.id],
        );
        expect(await house.find(wordsOf(piece?.content ?? ""))).toEqual([piece?.content]);
      }
      await bucket().remove(["register.pdf"]);
      await house.settle();
    },
    240_000,
  );
});

describe("many at once", () => {
  const upload = async (names: string[], text: (name: string) => string) => {
    const waiting = names.values();
    await Promise.all(Array.from({ length: 20 }, async () => {
      for (const name of waiting) await house.upload(name, text(name), { upsert: true });
    }));
  };
  const documentsUnder = async (folder: string) => {
    const rows = await house.sql<{ file_path: string; content: string }>(
      "select file_path, content from public.documents where bucket_id = $1 and file_path like $2",
      [BUCKET, `${folder}/%`],
    );
    return Object.fromEntries(rows.map(({ file_path, content }) => [file_path, content]));
  };
  const expected = (names: string[], text: (name: string) => string) =>
    Object.fromEntries(names.map((name) => [name, text(name)]));

  it("a thousand uploads are a thousand documents, each read once", async () => {
    const names = Array.from({ length: 1_000 }, (_, n) => `thousand/${n}.txt`);
    const text = (name: string) => `La pièce ${name} est en stock.`;
    await upload(names, text);
    let [claimed, completed] = [0, 0];
    for (let remaining = 1; remaining > 0;) {
      const report = await house.readFiles();
      expect(report).toMatchObject({ failed: 0, requeued: 0, stopped: null });
      expect(report.claimed).toBeGreaterThan(0);
      claimed += report.claimed;
      completed += report.completed;
      remaining = report.remaining;
    }
    expect(completed).toBe(1_000);
    // What a run has no budget left for is given back.
    expect(claimed).toBeLessThan(1_150);
    expect(await documentsUnder("thousand")).toEqual(expected(names, text));
    await bucket().remove(names);
    expect(await documentsUnder("thousand")).toEqual({});
  }, 180_000);

  it("uploads, overwrites and deletions while the queue is being emptied all end as they were last", async () => {
    const names = Array.from({ length: 100 }, (_, n) => `storm/${n}.txt`);
    const uploads = (async () => {
      await upload(names, () => "Premier jet.");
      await upload(names.slice(0, 60), (name) => `Version finale de ${name}.`);
      await bucket().remove(names.slice(80));
    })();
    let isUploading = true;
    const reading = Promise.all(Array.from({ length: 2 }, async () => {
      while (isUploading) expect(await house.readFiles()).toMatchObject({ failed: 0, stopped: null });
    }));
    await uploads;
    isUploading = false;
    await reading;
    await house.readAll();
    expect(await documentsUnder("storm")).toEqual({
      ...expected(names.slice(0, 60), (name) => `Version finale de ${name}.`),
      ...expected(names.slice(60, 80), () => "Premier jet."),
    });
    await bucket().remove(names);
  }, 180_000);
});

describe("who may read what becomes of a file", () => {
  /** Which of the documents of a bucket somebody sees. */
  async function seen(bucket: string, email?: string): Promise<string[]> {
    const client = email === undefined ? connectClient(house.stack.url, PUBLISHABLE_KEY) : await signIn(house, email);
    const { data, error } = await client.from("documents").select("file_path").eq("bucket_id", bucket);
    expect(error).toBeNull();
    return (data ?? []).map(({ file_path }) => file_path as string).sort();
  }

  async function everybodySees(bucket: string): Promise<Record<string, string[]>> {
    return {
      visitor: await seen(bucket),
      claire: await seen(bucket, "claire@accord.test"),
      marc: await seen(bucket, "marc@accord.test"),
      admin: await seen(bucket, "admin@accord.test"),
    };
  }

  async function watch(bucket: string, readers: string | null, isPublic = false): Promise<void> {
    await house.client.storage.createBucket(bucket, { public: isPublic });
    const { error } = await house.client.rpc("watch_bucket", {
      bucket_id: bucket,
      ...readers === null ? {} : { readers },
    });
    expect(error).toBeNull();
  }

  it("of a private bucket: whoever uploaded it, and administrators", async () => {
    await watch("letters", null);
    await house.sql(
      "create policy test_letters on storage.objects for insert to authenticated with check (bucket_id = 'letters')",
    );
    for (const who of ["claire", "marc"]) {
      const client = await signIn(house, `${who}@accord.test`);
      const { error } = await client.storage.from("letters").upload(`${who}.txt`, new Blob([`Lettre de ${who}.`]), {
        contentType: "text/plain",
      });
      expect(error).toBeNull();
    }
    await house.upload("office.txt", "Du bureau.", { bucket: "letters" });
    await house.readAll();
    const all = ["claire.txt", "marc.txt", "office.txt"];
    expect(await everybodySees("letters")).toEqual({
      visitor: [],
      claire: ["claire.txt"],
      marc: ["marc.txt"],
      admin: all,
    });
    await house.sql("drop policy test_letters on storage.objects");
  });

  it("of a bucket with a folder for each client: that client, and administrators", async () => {
    await watch("contracts", "folder");
    for (const path of ["conservatoire-lyon/2026/a.txt", "hotel-bellevue/b.txt", "nobody.txt"]) {
      await house.upload(path, `Contrat ${path}.`, { bucket: "contracts" });
    }
    await house.readAll();
    expect(await everybodySees("contracts")).toEqual({
      visitor: [],
      claire: ["conservatoire-lyon/2026/a.txt"],
      marc: ["hotel-bellevue/b.txt"],
      admin: ["conservatoire-lyon/2026/a.txt", "hotel-bellevue/b.txt", "nobody.txt"],
    });
    // What is moved into another client's folder is that client's.
    await house.client.storage.from("contracts").move("hotel-bellevue/b.txt", "conservatoire-lyon/b.txt");
    expect(await seen("contracts", "marc@accord.test")).toEqual([]);
    await house.readAll();
    expect(await seen("contracts", "marc@accord.test")).toEqual([]);
    expect(await seen("contracts", "claire@accord.test")).toHaveLength(2);
  });

  it("of a public bucket, or of one that says so: everyone, and a visitor's search finds it", async () => {
    await watch("brochures", null, true);
    await watch("leaflets", "everyone");
    for (const bucket of ["brochures", "leaflets"]) {
      await house.upload("open.txt", `Pour tous, dans ${bucket}.`, { bucket });
      await house.readAll();
      expect(await everybodySees(bucket)).toEqual({
        visitor: ["open.txt"],
        claire: ["open.txt"],
        marc: ["open.txt"],
        admin: ["open.txt"],
      });
    }
    await house.settle();
    const visitor = connectClient(house.stack.url, PUBLISHABLE_KEY);
    const found = async (query: string) => {
      const { results } = await invoke<SearchAnswer>(visitor, "search", { query, limit: 100, sources: ["documents"] });
      return results.map(({ row }) => `${row["bucket_id"]}/${row["file_path"]}`);
    };
    expect(await found(embedded("open", "Pour tous, dans brochures."))).toEqual(
      expect.arrayContaining(["brochures/open.txt", "leaflets/open.txt"]),
    );
    const everything = await found("Lettre de claire.");
    expect(everything.filter((path) => /^(letters|contracts|documents)\//.test(path))).toEqual([]);
  });
});

it("in immediate mode an upload is found without anybody asking", async () => {
  await house.sql("select public.set_setting('files_wake', '\"immediate\"')");
  await house.sql("select public.set_setting('embedding_wake', '\"immediate\"')");
  try {
    await house.upload("immediate.txt", "Sans que personne ne demande.");
    const text = embedded("immediate", "Sans que personne ne demande.");
    await expect.poll(() => house.find(text), { timeout: 30_000 }).toEqual([text]);
  } finally {
    await house.sql("select public.set_setting('files_wake', '\"manual\"')");
    await house.sql("select public.set_setting('embedding_wake', '\"manual\"')");
  }
});

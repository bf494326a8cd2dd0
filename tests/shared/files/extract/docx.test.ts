import { describe, expect, test } from "vitest";
import { stretchesOf } from "../../../../shared/files/extract/docx-body.ts";
import { archiveOf, type Packed, wordFileOf, wordParagraph } from "./support/archive.ts";
import { fixture, read, slicesOf, SPENT } from "./support/files.ts";

const word = (bytes: Uint8Array) => ({ name: "a.docx", mimeType: null, bytes });
const zeros = (megabytes: number) => new Uint8Array(megabytes * 1024 * 1024).fill(0x20);

describe("Word files", () => {
  test("title, author and language are those of its properties", async () => {
    const others: Packed[] = [
      {
        name: "docProps/core.xml",
        content:
          "<cp:coreProperties><dc:title>Bail &amp; annexes</dc:title><dc:creator>H. Lefèvre</dc:creator></cp:coreProperties>",
      },
      {
        name: "word/styles.xml",
        content: '<w:styles xmlns:w="x"><w:lang w:eastAsia="ja-JP" w:val="fr-CA"/></w:styles>',
      },
    ];
    const slice = await read(word(wordFileOf(wordParagraph("Le bail est signé."), others)));
    expect(slice).toMatchObject({
      content: "Le bail est signé.",
      title: "Bail & annexes",
      locale: "fr-CA",
      metadata: { author: "H. Lefèvre" },
    });
  });

  test("pictures stay packed, however large", async () => {
    const picture = { name: "word/media/image1.png", content: zeros(100) };
    expect((await read(word(wordFileOf(wordParagraph("Avec image"), [picture])))).content).toBe("Avec image");
  });

  test("a bomb that says what it is, is refused unopened", async () => {
    const bomb = wordFileOf(wordParagraph("x"), [{ name: "word/styles.xml", content: "<a/>", said: 2_000_000_000 }]);
    await expect(read(word(bomb))).rejects.toMatchObject({ name: "FileError", code: "zip_bomb" });
  });

  test("a bomb whose directory lies is refused while it unpacks", async () => {
    const bomb = wordFileOf(wordParagraph("x"), [{ name: "word/styles.xml", content: zeros(200), said: 100 }]);
    expect(bomb.length).toBeLessThan(300_000);
    await expect(read(word(bomb))).rejects.toMatchObject({ code: "zip_bomb" });
    const two = wordFileOf(
      wordParagraph("x"),
      ["word/styles.xml", "word/numbering.xml"]
        .map((name) => ({ name, content: `<a>${" ".repeat(20 * 1024 * 1024)}</a>`, said: 100 })),
    );
    await expect(read(word(two))).rejects.toMatchObject({ code: "zip_bomb" });
  });

  test("an archive of more entries than any document has is refused", async () => {
    const many = Array.from({ length: 20_001 }, (_, index) => ({ name: `${index}`, content: "" }));
    await expect(read(word(archiveOf(many)))).rejects.toMatchObject({ code: "zip_bomb" });
  });

  test("entities that would multiply do not", async () => {
    const lol =
      '<!DOCTYPE lol [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>';
    const bomb = wordFileOf(wordParagraph("x"), [{ name: "word/styles.xml", content: `${lol}<a>&c;</a>` }]);
    const result = await read(word(bomb)).catch((error: unknown) => error);
    expect(result).toSatisfy((outcome: { content?: string; code?: string }) =>
      outcome.content === "x" || outcome.code === "damaged"
    );
  });

  test("elements one inside the other without end are refused", async () => {
    const deep = wordFileOf(`${"<w:tbl><w:tr><w:tc>".repeat(30_000)}${"</w:tc></w:tr></w:tbl>".repeat(30_000)}`);
    await expect(read(word(deep))).rejects.toMatchObject({ name: "FileError" });
  });

  test("parts with a password ask for one without", async () => {
    const locked = wordFileOf(wordParagraph("x"), [{ name: "word/styles.xml", content: "<a/>", isEncrypted: true }]);
    await expect(read(word(locked))).rejects.toMatchObject({ code: "encrypted" });
  });

  test("one that was cut off, or lacks a part, is damaged", async () => {
    const { bytes } = fixture("guide-en.pandoc.docx");
    await expect(read(word(bytes.slice(0, bytes.length - 500)))).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining("not uploaded as a whole"),
    });
    const broken = archiveOf([{ name: "[Content_Types].xml", content: "<a" }, {
      name: "word/document.xml",
      content: "<a",
    }]);
    await expect(read(word(broken))).rejects.toMatchObject({ code: "damaged" });
    const lacking = archiveOf([{ name: "[Content_Types].xml", content: "<a/>" }, {
      name: "word/document2.xml",
      content: "<a/>",
    }]);
    await expect(read(word(lacking))).rejects.toMatchObject({ code: "damaged" });
  });

  test("one without words is empty", async () => {
    await expect(read(word(wordFileOf("<w:p/>")))).rejects.toMatchObject({ code: "empty" });
  });

  test("a long one has the same text stretch by stretch as all at once", async () => {
    const paragraphs = Array.from(
      { length: 400 },
      (_, at) => wordParagraph(`${at} ${"un texte assez long ".repeat(400)}`),
    );
    const file = word(wordFileOf(wordParagraph("Le titre", "Heading1") + paragraphs.join("")));
    const whole = await read(file);
    const slices = await slicesOf(file, SPENT);
    expect(slices.length).toBeGreaterThan(2);
    expect(slices.flatMap(({ parts }) => parts)).toEqual(whole.parts);
    expect(whole.parts.map(({ page }) => page)).toEqual(whole.parts.map(() => null));
    const { content, title } = whole;
    expect(title).toBe("Le titre");
    expect(content.split("\n\n").map((paragraph) => /^(\d+ )?\S+ \S+/.exec(paragraph)?.[0])).toEqual([
      "# Le",
      ...paragraphs.map((_, at) => `${at} un texte`),
    ]);
  });

  test("a body that cannot be cut for sure is read as one", () => {
    const paragraphs = wordParagraph("x".repeat(1_000)).repeat(3_000);
    const whole = (xml: string) => {
      const stretches = stretchesOf(new TextEncoder().encode(xml));
      return { count: stretches.count, isWhole: stretches.at(1) === xml };
    };
    expect(whole(`<w:document><w:body>${paragraphs}<!-- <w:p> --></w:body></w:document>`)).toEqual({
      count: 1,
      isWhole: true,
    });
    expect(whole(`<w:document><w:body>${paragraphs}</w:document>`)).toEqual({ count: 1, isWhole: true });
    expect(whole(`<d:document><d:body>${paragraphs}</d:body></d:document>`)).toEqual({ count: 1, isWhole: true });
    const cut = stretchesOf(
      new TextEncoder().encode(`<w:document><w:body w:a="b">${paragraphs}<w:sectPr/></w:body></w:document>`),
    );
    expect(cut.count).toBe(4);
    expect(
      Array.from({ length: 4 }, (_, at) => cut.at(at + 1).replace(/^.*<w:body w:a="b">|<.w:body>.*$/gs, "")).join(""),
    ).toBe(
      `${paragraphs}<w:sectPr/>`,
    );
  });

  test("what stands in footnotes is read, without the arrows back", async () => {
    const { bytes } = fixture("footnotes.docx");
    const { content } = await read(word(bytes));
    expect(content).toContain("1. Voir l’annexe.");
    expect(content).not.toContain("↑");
  });
});

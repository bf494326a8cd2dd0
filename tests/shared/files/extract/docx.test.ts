import { describe, expect, test } from "vitest";
import { stretchesOf } from "../../../../shared/files/extract/docx-body.ts";
import { archiveOf, type Packed, wordFileOf, wordParagraph } from "./support/archive.ts";
import { fixture, read, slicesOf, SPENT } from "./support/files.ts";

const word = (bytes: Uint8Array) => ({ name: "a.docx", mimeType: null, bytes });
const WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
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
      const stretches = stretchesOf(new TextEncoder().encode(xml), () => false);
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
      () => false,
    );
    expect(cut.count).toBe(4);
    expect(
      Array.from({ length: 4 }, (_, at) => cut.at(at + 1).replace(/^.*<w:body w:a="b">|<.w:body>.*$/gs, "")).join(""),
    ).toBe(
      `${paragraphs}<w:sectPr/>`,
    );
  });

  test("what a field fills in, what was moved and what is wrapped is read", async () => {
    const run = (text: string) => `<w:r><w:t>${text}</w:t></w:r>`;
    const body = [
      `<w:p>${run("Nom : ")}<w:fldSimple w:instr=" MERGEFIELD Nom ">${run("Ana Dupont")}</w:fldSimple></w:p>`,
      `<w:moveFrom w:id="1"><w:p>${run("d'avant")}</w:p></w:moveFrom>`,
      `<w:moveTo w:id="2"><w:p>${run("déplacé")}</w:p></w:moveTo>`,
      `<w:p><w:moveTo w:id="3">${run("aussi déplacé")}</w:moveTo></w:p>`,
      `<w:customXml w:element="a"><w:customXmlPr/><w:p>${run("balisé")}</w:p></w:customXml>`,
      `<w:p><w:bdo w:val="ltr">${run("de gauche")}</w:bdo><w:dir w:val="ltr">${run(" à droite")}</w:dir></w:p>`,
      "<w:p><w:fldSimple w:instr='PAGE'/></w:p>",
    ];
    expect((await read(word(wordFileOf(body.join(""))))).content).toBe(
      ["Nom : Ana Dupont", "déplacé", "aussi déplacé", "balisé", "de gauche à droite"].join("\n\n"),
    );
  });

  test("a formula is read on one line", async () => {
    const math = (text: string) => `<m:r><m:rPr><m:sty m:val="p"/></m:rPr><m:t>${text}</m:t></m:r>`;
    const formula = `<m:oMathPara xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:oMath>${
      math("E=m")
    }<m:sSup><m:e>${math("c")}</m:e><m:sup>${math("2")}</m:sup></m:sSup><m:f><m:num>${math("a+b")}</m:num><m:den>${
      math("2")
    }</m:den></m:f></m:oMath></m:oMathPara>`;
    expect((await read(word(wordFileOf(`<w:p>${formula}</w:p>`)))).content).toBe("E=mc^(2)(a+b)/(2)");
  });

  test("a heading is one by the name of its style, by its outline, or by what the style is based on", async () => {
    const style = (id: string, properties: string) =>
      `<w:style w:type="paragraph" w:styleId="${id}">${properties}</w:style>`;
    const styles = `<w:styles ${WORD}>${
      [
        style("T", '<w:name w:val="Titre 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr>'),
        style("A", '<w:name w:val="Article &gt; loi"/><w:pPr><w:keepNext/><w:outlineLvl w:val="1"/></w:pPr>'),
        style("B", '<w:name w:val="Alinéa"/><w:basedOn w:val="A"/>'),
        style("C", '<w:name w:val="TOC Heading"/><w:basedOn w:val="A"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr>'),
        style("D", '<w:name w:val="en rond"/><w:basedOn w:val="D"/>'),
        style("N", '<w:name w:val="Titre"/>'),
      ].join("")
    }</w:styles>`;
    const body = [..."NTABCD"].map((id) => wordParagraph(`style ${id}`, id)).join("");
    const { content } = await read(word(wordFileOf(body, [{ name: "word/styles.xml", content: styles }])));
    expect(content.split("\n\n")).toEqual(
      ["# style N", "# style T", "## style A", "## style B", "style C", "style D"],
    );
  });

  test("styles beyond measure cost nothing, since only their names are asked for", async () => {
    const tail = '<w:style w:type="paragraph" w:styleId="Z"><w:name w:val="heading 2"/></w:style></w:styles>';
    const filler = '<w:style w:type="character"><w:rPr><w:b/><w:i/><w:u/><w:sz/></w:rPr></w:style>';
    const styles = `<w:styles ${WORD}>${"<w:rPr><w:b/><w:i/></w:rPr>".repeat(100_000)}${filler}${tail}`;
    const file = wordFileOf(wordParagraph("x", "Z"), [{ name: "word/styles.xml", content: styles }]);
    expect((await read(word(file))).content).toBe("## x");
  });

  test("what is beyond measure and must be read is refused with the way out", async () => {
    const relations = "word/_rels/document.xml.rels";
    const many = { name: relations, content: `<Relationships>${"<Relationship/>".repeat(50_000)}</Relationships>` };
    await expect(read(word(wordFileOf(wordParagraph("x"), [many])))).rejects.toMatchObject({
      code: "too_large",
      message: expect.stringContaining("What the Word file says besides its text (word/_rels/document.xml.rels)"),
    });
    const endless = `<w:p>${"<w:r><w:t>x</w:t></w:r>".repeat(50_000)}</w:p>`;
    await expect(read(word(wordFileOf(endless)))).rejects.toMatchObject({
      code: "too_large",
      message: expect.stringContaining("has a paragraph, a cell or a box that is as long as a book"),
    });
  });

  test("a long table is read by its rows, each part of it under its headings", async () => {
    const cell = (text: string) => `<w:tc><w:tcPr><w:tcW w:w="1"/></w:tcPr>${wordParagraph(text)}</w:tc>`;
    const rows = Array.from({ length: 4_000 }, (_, at) => `<w:tr>${cell(`clé ${at}`)}${cell(`valeur ${at}`)}</w:tr>`);
    const heading = `<w:tr><w:trPr><w:tblHeader/></w:trPr>${cell("Clé")}${cell("Valeur")}</w:tr>`;
    const table = `<w:tbl><w:tblPr/><w:tblGrid/>${heading}${rows.join("")}</w:tbl>`;
    const { parts } = await read(word(wordFileOf(wordParagraph("Avant") + table + wordParagraph("Après"))));
    expect(parts.length).toBeGreaterThan(1);
    const lines = parts.map(({ content }) => content.split("\n").filter((line) => line.startsWith("|")));
    for (const part of lines) expect(part.slice(0, 2)).toEqual(["| Clé | Valeur |", "| --- | --- |"]);
    expect(lines.flatMap((part) => part.slice(2))).toEqual(rows.map((_, at) => `| clé ${at} | valeur ${at} |`));
  });

  test("what stands in one box as a whole is read in steps as well", async () => {
    const body = Array.from({ length: 20_000 }, (_, at) => wordParagraph(`mot${at}`)).join("");
    const boxed = `<w:sdt><w:sdtPr><w:id w:val="1"/></w:sdtPr><w:sdtContent>${body}</w:sdtContent></w:sdt>`;
    const { parts, content } = await read(word(wordFileOf(boxed)));
    expect(parts.length).toBeGreaterThan(2);
    expect(content.split("\n\n")).toEqual(Array.from({ length: 20_000 }, (_, at) => `mot${at}`));
  });

  test("what stands in one cell as a whole is read in steps as well", async () => {
    const body = Array.from({ length: 40_000 }, (_, at) => wordParagraph(`mot${at}`)).join("");
    const table = `<w:tbl><w:tblPr/><w:tr><w:trPr/><w:tc><w:tcPr/>${body}</w:tc></w:tr></w:tbl>`;
    const { parts, content } = await read(word(wordFileOf(table)));
    expect(parts.length).toBeGreaterThan(1);
    expect(content.split("\n\n")).toEqual(Array.from({ length: 40_000 }, (_, at) => `mot${at}`));
  });

  test("notes have one number each, in however many steps a file is read", async () => {
    const note = (id: number) => `<w:footnote w:id="${id}">${wordParagraph(`la note ${id}`)}</w:footnote>`;
    const cited = (at: number) =>
      `<w:p><w:r><w:t>phrase ${at}</w:t></w:r><w:r><w:footnoteReference w:id="${at + 7}"/></w:r></w:p>` +
      wordParagraph(`${at}`).repeat(30);
    const deleted = '<w:p><w:del><w:r><w:footnoteReference w:id="1"/></w:r></w:del></w:p>';
    const ids = Array.from({ length: 600 }, (_, at) => at);
    const notes = {
      name: "word/footnotes.xml",
      content: `<w:footnotes ${WORD}>${ids.map((at) => note(at + 7)).join("")}</w:footnotes>`,
    };
    const { parts, content } = await read(word(wordFileOf(deleted + ids.map(cited).join(""), [notes])));
    expect(parts.length).toBeGreaterThan(1);
    for (const at of ids) {
      expect(content).toMatch(new RegExp(`^phrase ${at}\\[${at + 1}\\]$`, "m"));
      expect(content).toMatch(new RegExp(`^${at + 1}\\. la note ${at + 7}$`, "m"));
    }
  });

  test("a list is not cut where a paragraph stands before or after it", async () => {
    const numbering = {
      name: "word/numbering.xml",
      content: `<w:numbering ${WORD}><w:abstractNum w:abstractNumId="1"><w:nsid w:val="A"/>` +
        '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Item"/></w:lvl>' +
        '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num></w:numbering>',
    };
    const before = wordParagraph("avant").repeat(8_310);
    const byNumber = '<w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>';
    const byStyle = '<w:pPr><w:pStyle w:val="Item"/></w:pPr>';
    const items = Array.from(
      { length: 40 },
      (_, at) => `<w:p>${at % 2 === 0 ? byNumber : byStyle}<w:r><w:t>point ${at + 1}</w:t></w:r></w:p>`,
    );
    const { parts } = await read(word(wordFileOf(before + items.join("") + wordParagraph("après"), [numbering])));
    expect(parts).toHaveLength(2);
    expect(parts[0]?.content.split("\n").slice(-40)).toEqual(items.map((_, at) => `${at + 1}. point ${at + 1}`));
    expect(parts[1]?.content).toBe("après");
  });

  test("a field that goes on over many pages is no damage", async () => {
    const mark = (type: string) => `<w:r><w:fldChar w:fldCharType="${type}"/></w:r>`;
    const body = `<w:p>${mark("begin")}<w:r><w:instrText>TOC</w:instrText></w:r></w:p>${
      wordParagraph("ligne").repeat(9_000)
    }<w:p>${mark("separate")}</w:p>${wordParagraph("ligne").repeat(9_000)}<w:p>${mark("end")}</w:p>`;
    const { parts, content } = await read(word(wordFileOf(body)));
    expect(parts.length).toBeGreaterThan(1);
    expect(content.match(/ligne/g)).toHaveLength(18_000);
  });

  test("a paragraph whose end was deleted is not parted from the next", async () => {
    const open = "<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>moitié</w:t></w:r></w:p>";
    const body = `${open}${wordParagraph("fin")}`.repeat(6_000);
    const { parts, content } = await read(word(wordFileOf(body)));
    expect(parts.length).toBeGreaterThan(1);
    expect(content.split("\n\n")).toEqual(Array.from({ length: 6_000 }, () => "moitiéfin"));
  });

  test("what stands in footnotes is read, without the arrows back", async () => {
    const { bytes } = fixture("footnotes.docx");
    const { content } = await read(word(bytes));
    expect(content).toContain("1. Voir l’annexe.");
    expect(content).not.toContain("↑");
  });
});

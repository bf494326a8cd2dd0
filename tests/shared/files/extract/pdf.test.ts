import { describe, expect, test, vi } from "vitest";
import { extractSlice, type Progress } from "../../../../shared/files/extract/extract.ts";
import { pageText } from "../../../../shared/files/extract/pdf-layout.ts";
import type { Run } from "../../../../shared/files/extract/pdf-lines.ts";
import { pdfOf } from "../../../support/pdf.ts";
import { ENDLESS, fixture, read, slicesOf, SPENT } from "./support/files.ts";

const pdf = (bytes: Uint8Array) => ({ name: "a.pdf", mimeType: "application/pdf", bytes });
const changed = (bytes: Uint8Array, from: string, to: string) =>
  Uint8Array.from(new TextDecoder("latin1").decode(bytes).replace(from, to), (character) => character.charCodeAt(0));

describe("PDFs", () => {
  test("one that only its owner may change is read, and one with compressed objects too", async () => {
    const { parts } = await read(fixture("guide-en.weasyprint.pdf"));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.map(({ page }) => page)).toEqual(parts.map((_, index) => index + 1));
    for (const name of ["owner-only.pdf", "streams.pdf"]) expect((await read(fixture(name))).parts).toEqual(parts);
  });

  test("headings, items and tables are Markdown", async () => {
    const { content } = await read(fixture("guide-fr.libreoffice.pdf"));
    const lines = content.split("\n");
    expect(lines).toContainEqual(expect.stringMatching(/^#{1,3} Comprendre l['’]instrument$/));
    expect(lines).toContainEqual(expect.stringMatching(/^- Placez un hygromètre à proximité de l['’]instrument\.$/));
    expect(content).toContain("| Prestation | Durée | Prix |\n| --- | --- | --- |\n| Accord simple |");
  });

  test("paragraphs are whole, and words that lines divide as well", async () => {
    const { content } = await read(fixture("colonnes.weasyprint.pdf"));
    expect(content).not.toMatch(/\p{L}[-\u2010\u00AD]\s/u);
    expect(content).toMatch(/^Un piano compte environ huit mille pièces, dont .* le son s['’]éteindrait aussitôt\.$/m);
  });

  test("lines that are drawn in no order are read from top to bottom", async () => {
    const { content } = await read(fixture("melange.weasyprint.pdf"));
    const order = [
      "Premièrement",
      "Deuxièmement",
      "Troisièmement",
      "Quatrièmement",
      "Cinquièmement",
      "Sixièmement",
      "Septièmement",
    ];
    expect(order.map((word) => content.indexOf(word))).toEqual(
      order.map((word) => content.indexOf(word)).toSorted((a, b) => a - b),
    );
  });

  test("a slice has one page at least, and as many as the budget allows", async () => {
    const file = pdf(pdfOf(["Page one", "Page two", "Page three", "Page four", "Page five"]));
    let asked = 0;
    const first = await extractSlice(file, null, { isSpent: () => ++asked === 2 });
    expect(first.parts).toEqual([{ page: 1, content: "Page one" }, { page: 2, content: "Page two" }]);
    expect(first.next).toMatchObject({ page: 3, pages: 5, characters: 16 });
    const second = await extractSlice(file, first.next, SPENT);
    expect(second.parts).toEqual([{ page: 3, content: "Page three" }]);
    const last = await extractSlice(file, second.next, ENDLESS);
    expect(last).toMatchObject({ parts: [{ page: 4 }, { page: 5 }], next: null, metadata: { pageCount: 5 } });
  });

  test("pages without text are counted, and keep the numbers of the others", async () => {
    const file = pdf(pdfOf(["", "Two", " ", "Four"]));
    for (const budget of [SPENT, ENDLESS]) {
      const slices = await slicesOf(file, budget);
      expect(slices.flatMap(({ parts }) => parts)).toEqual([{ page: 2, content: "Two" }, { page: 4, content: "Four" }]);
      expect(slices.at(-1)?.metadata).toEqual({ pageCount: 4, pagesWithoutText: 2 });
    }
  });

  test("a damaged page does not take the others along", async () => {
    const broken = changed(
      pdfOf(["One", "Two", "Three"]),
      "7 0 obj\n<< /Length",
      "7 0 obj\n<< /Filter /FlateDecode /Length",
    );
    const { parts, metadata } = await read(pdf(broken));
    expect(parts.map(({ page }) => page)).toEqual([1, 3]);
    expect(Number(metadata["unreadablePages"] ?? 0) + Number(metadata["pagesWithoutText"] ?? 0)).toBe(1);
  });

  test("one that was cut off is read as far as it can be put together, or is damaged", async () => {
    const { bytes } = fixture("guide-en.weasyprint.pdf");
    await expect(read(pdf(bytes.slice(0, 400)))).rejects.toMatchObject({ code: "damaged" });
    await expect(read(pdf(new TextEncoder().encode("%PDF-1.7\nnothing more")))).rejects.toMatchObject({
      code: "damaged",
    });
  });

  test("one that claims more pages than a file can have is refused or read", async () => {
    const claims = changed(pdfOf(["One"]), "/Count 1", "/Count 2000000000");
    const outcome = await read(pdf(claims)).then(({ content }) => content, (error: { code?: string }) => error.code);
    expect(["One", "damaged", "too_large"]).toContain(outcome);
  });

  test("one that counts fewer pages than none is damaged, and no such number is told", async () => {
    const counts = changed(pdfOf(["One"]), "/Count 1", "/Count -5");
    await expect(read(pdf(counts))).rejects.toMatchObject({
      code: "damaged",
      message: expect.not.stringContaining("-5"),
    });
  });

  test("a page that is shown turned is read as it is shown", async () => {
    const lines = "A line that is as long as the column\nis and ends.\n\n\nAnother paragraph of the page";
    const upright = await read(pdf(pdfOf([lines])));
    expect(upright.content.split("\n\n")).toHaveLength(2);
    const turns = [[90, "0 1 -1 0"], [180, "-1 0 0 -1"], [270, "0 -1 1 0"], [-90, "0 -1 1 0"]] as const;
    for (const [degrees, matrix] of turns) {
      const drawn = changed(pdfOf([lines]), "14 TL 50 780 Td", `14 TL ${matrix} 300 400 Tm`);
      const turned = changed(drawn, "/Resources", `/Rotate ${degrees} /Resources`);
      expect((await read(pdf(turned))).content, `${degrees}`).toBe(upright.content);
    }
  });

  test("what is filled in and noted stands after the words beside it", async () => {
    const field = (properties: string) => `<< /Type /Annot ${properties} >>`;
    const text = (name: string, rect: string, value: string, flags = 0) =>
      field(`/Subtype /Widget /FT /Tx /Ff ${flags} /T (${name}) /V (${value}) /Rect [${rect}]`);
    const annotations = [
      text("city", "100 748 300 762", "Lyon"),
      text("name", "100 776 300 790", "Ana Dupont"),
      text("secret", "400 776 500 790", "s3cret", 8192),
      text("hidden", "400 776 500 790", "unseen) /F 2 /TU (", 0),
      field("/Subtype /Widget /FT /Ch /T (country) /V (France) /Opt [(France) (Spain)] /Rect [100 734 300 748]"),
      field("/Subtype /FreeText /Contents (Checked by hand.\\rTwice.) /Rect [100 300 300 400]"),
    ];
    const form = changed(
      pdfOf(["Name:\n\nCity:\nCountry:\nSigned in two copies."]),
      "/Resources",
      `/Annots [${annotations.join(" ")}] /Resources`,
    );
    const { content } = await read(pdf(form));
    expect(content.split(/\s+/).join(" ")).toBe(
      "Name: Ana Dupont City: Lyon Country: France Signed in two copies. Checked by hand. Twice.",
    );
  });

  test("a page of nothing but fields has a text", async () => {
    const widget = "<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (Only this) /Rect [100 748 300 762] >>";
    const form = changed(pdfOf([""]), "/Resources", `/Annots [${widget}] /Resources`);
    expect((await read(pdf(form))).content).toBe("Only this");
  });

  test("a page of more pieces than any that is read has is refused", async () => {
    // One over the other, since what is drawn beyond the page is none of its text.
    const crowded = changed(pdfOf(["x\n".repeat(50_001)]), "14 TL", "00 TL");
    await expect(read(pdf(crowded))).rejects.toMatchObject({
      code: "too_large",
      message: expect.stringContaining("Page 1 of the PDF has more than 50,000 pieces of text"),
    });
  });

  test("a title that a program made of the file's name is none", async () => {
    const titled = (title: string) =>
      pdf(changed(pdfOf(["Words"]), "trailer\n<<", `trailer\n<< /Info << /Title (${title}) /Author (Ana) >>`));
    expect(await read(titled("Annual report"))).toMatchObject({ title: "Annual report", metadata: { author: "Ana" } });
    for (const title of ["Microsoft Word - Report.doc", "untitled", "report_v2.docx", " "]) {
      expect((await read(titled(title))).title).toBeNull();
    }
  });

  test("where the program that reads them could not be loaded, it is loaded for the next", async () => {
    vi.resetModules();
    vi.doMock("pdfjs-serverless", () => {
      throw new Error("It is not there.");
    });
    const { openPdf } = await import("../../../../shared/files/extract/pdfjs.ts");
    await expect(openPdf(pdfOf(["One"]))).rejects.toThrow();
    vi.doUnmock("pdfjs-serverless");
    const task = await openPdf(pdfOf(["One"]));
    expect((await task.promise).numPages).toBe(1);
    await task.destroy();
  });

  test("progress that waited as JSON is progress", async () => {
    const { next } = await extractSlice(fixture("guide-en.weasyprint.pdf"), null, SPENT);
    expect(JSON.parse(JSON.stringify(next)) as Progress).toEqual(next);
    expect(next).toMatchObject({
      page: 2,
      title: "Handling requests for access",
      pagesWithoutText: 0,
      unreadablePages: 0,
    });
  });
});

describe("lines of a page", () => {
  const run = (str: string, x: number, y: number, size = 10, width = str.length * size * 0.5): Run => ({
    str,
    transform: [size, 0, 0, size, x, y],
    width,
    height: size,
    hasEOL: true,
  });

  test("a gap, an indented line and an early end begin a paragraph", () => {
    const long = "a line that fills the column from left to right,";
    expect(pageText([run(long, 50, 700), run("and ends.", 50, 688), run("Another one", 50, 660)])).toBe(
      `${long} and ends.\n\nAnother one`,
    );
    expect(pageText([run(long, 50, 700), run(long, 62, 688), run(long, 50, 676)])).toBe(`${long}\n\n${long} ${long}`);
    expect(pageText([run(long, 50, 700), run("ends early.", 50, 688), run(`Then ${long}`, 50, 676)])).toBe(
      `${long} ends early.\n\nThen ${long}`,
    );
  });

  test("a paragraph goes on at the top of the next column", () => {
    expect(pageText([run("the end of a col-", 50, 100), run("umn goes on", 300, 700), run("and on", 300, 688)])).toBe(
      "the end of a column goes on and on",
    );
  });

  test("large letters are a heading, by how large they are", () => {
    const body = Array.from({ length: 5 }, (_, line) => run("words of the body in their size", 50, 600 - 12 * line));
    expect(pageText([run("Title", 50, 700, 20), run("Part", 50, 650, 14), run("Section", 50, 620, 12), ...body]))
      .toMatch(
        /^# Title\n\n## Part\n\n### Section\n\nwords of/,
      );
  });

  test("columns that are drawn from the bottom up are read from the top down, one after the other", () => {
    const column = (name: string, x: number) =>
      Array.from({ length: 6 }, (_, line) => run(`${name} line ${line}`, x, 100 + 12 * line));
    expect(pageText([...column("left", 50), ...column("right", 300)])).toBe(
      ["left", "right"].map((name) => [5, 4, 3, 2, 1, 0].map((line) => `${name} line ${line}`).join(" ")).join("\n\n"),
    );
  });

  test("cells are apart, and the words of a line that is filled are not", () => {
    const row = (words: string[], gap: number) =>
      words.flatMap((word, at) => [
        { ...run(word, 50 + at * 60, 700), hasEOL: false },
        { ...run(" ", 80 + at * 60, 700, 10, gap), hasEOL: at === words.length - 1 },
      ]);
    expect(pageText(row(["Remise au diapason", "4 h", "310 €"], 20))).toBe("Remise au diapason | 4 h | 310 €");
    expect(pageText(row(["familles.", "Il", "explique"], 20))).toBe("familles. Il explique");
    expect(pageText(row(["1.2", "Conservation des pianos"], 20))).toBe("1.2 Conservation des pianos");
  });

  test("a page of tens of thousands of marks, or of words on one line, takes no longer than others", () => {
    const many = Array.from({ length: 40_000 }, (_, at) => at);
    const startedAt = performance.now();
    const onOneHeight = many.map((at) => [run("1.", 50, 700), run(`word${at}`, 90 + 40 * at, 700)]).flat();
    expect(pageText(onOneHeight).split("word")).toHaveLength(40_001);
    const words = many.map((at) => ({ ...run("Word.", 50, 700 - at), hasEOL: true }));
    expect(pageText(words).split("Word.")).toHaveLength(40_001);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test("a line may have any number of words", () => {
    const words = Array.from({ length: 140_000 }, (_, at) => [
      { ...run("a", 50 + 30 * at, 700), hasEOL: false },
      { ...run(" ", 60 + 30 * at, 700, 10, 20), hasEOL: false },
    ]).flat();
    expect(pageText(words)).toHaveLength(2 * 140_000 - 1);
  });

  test("signs of items that are drawn apart stand before their items", () => {
    const items = [run("one item that goes", 70, 700), run("on", 70, 688), run("another", 70, 676)];
    expect(pageText([...items, run("•", 58, 700), run("2.", 55, 676), run("•", 300, 500)])).toBe(
      "- one item that goes on\n2. another\n- ",
    );
  });
});

import { describe, expect, test } from "vitest";
import { ENDLESS, expectedText, fixture, likeness, read, slicesOf, SPENT, wordsOf } from "./support/files.ts";

// What pdftotext and pandoc read in files of pandoc, LibreOffice, WeasyPrint and groff; scripts/make-file-fixtures.sh
// made both.
const READ_BY_OTHERS = [
  "guide-fr.libreoffice.pdf",
  "guide-en.weasyprint.pdf",
  "colonnes.weasyprint.pdf",
  "colonnes.groff.pdf",
  "melange.weasyprint.pdf",
  "guide-fr.pandoc.docx",
  "guide-en.pandoc.docx",
  "guide-fr.libreoffice.docx",
  "guide-fr.pandoc.html",
];

describe("files that other programs made", () => {
  for (const name of READ_BY_OTHERS) {
    test(`${name} has the words that other programs read in it, in their order`, async () => {
      const { content } = await read(fixture(name));
      const [own, others] = [wordsOf(content), wordsOf(expectedText(name))];
      expect(others.length).toBeGreaterThan(80);
      expect(likeness(own, others)).toBeGreaterThanOrEqual(0.99);
    });
  }

  for (const name of READ_BY_OTHERS.filter((name) => name.endsWith(".pdf"))) {
    test(`${name} has the same pages one at a time as all at once`, async () => {
      const [whole] = await slicesOf(fixture(name), ENDLESS);
      const slices = await slicesOf(fixture(name), SPENT);
      expect(slices).toHaveLength(Number(whole?.metadata["pageCount"]));
      expect(slices.flatMap(({ parts }) => parts)).toEqual(whole?.parts);
      const { title, locale, metadata } = slices.at(-1) ?? {};
      expect({ title, locale, metadata }).toEqual({
        title: whole?.title,
        locale: whole?.locale,
        metadata: whole?.metadata,
      });
    });
  }

  test.each([
    ["guide-fr.libreoffice.pdf", "Guide de conservation des pianos", "fr"],
    ["guide-en.weasyprint.pdf", "Handling requests for access", "en"],
    ["colonnes.weasyprint.pdf", "Guide de conservation des pianos", "fr"],
    ["guide-fr.pandoc.docx", "Guide de conservation des pianos", "fr"],
    ["guide-en.pandoc.docx", "Handling requests for access", "en"],
    ["guide-fr.libreoffice.docx", "Guide de conservation des pianos", "fr"],
    ["guide-fr.pandoc.html", "Guide de conservation des pianos", "fr"],
    ["source/guide-fr.md", "Guide de conservation des pianos", "fr-FR"],
    ["page.html", "Tarifs et délais – Accord", "fr-CA"],
    ["code.json", "Code des instruments", "fr"],
    ["tarifs.csv", null, null],
    ["windows-1252.txt", null, "fr"],
  ])("%s is called %s and is in %s", async (name, title, locale) => {
    const slice = await read(fixture(name));
    expect(slice.title).toBe(title);
    if (locale === null) expect(slice.locale === null || slice.locale === "fr").toBe(true);
    else expect(slice.locale?.slice(0, locale.length)).toBe(locale);
  });

  test.each(["guide-fr.pandoc.docx", "guide-fr.libreoffice.docx", "guide-fr.pandoc.html"])(
    "%s keeps its headings, lists and tables",
    async (name) => {
      const { content } = await read(fixture(name));
      const lines = content.split("\n");
      expect(lines.filter((line) => /^#+ /.test(line)).map((line) => line.replace(/^#+ /, ""))).toEqual(
        expect.arrayContaining(["Comprendre l'instrument", "L'humidité", "Faire accorder", "Que vaut un piano ancien ?"]
          .map((heading) =>
            expect.stringMatching(new RegExp(`^${heading.replace("'", "['’]").replace(" ?", "\\s?\\?")}$`))
          )),
      );
      expect(lines).toContainEqual(expect.stringMatching(/^- Placez un hygromètre/));
      expect(lines).toContainEqual(expect.stringMatching(/^ {2,4}- jamais devant une fenêtre/));
      expect(lines).toContainEqual(expect.stringMatching(/^2\. Fermez le couvercle/));
      expect(lines).toContainEqual("| Accord et réglage | 3 h | 240 € |");
      expect(content).toMatch(/\| Prestation \| Durée \| Prix \|\n\|(?: --- \|){3}\n/);
    },
  );
});

import { describe, expect, test } from "vitest";
import { readCsv } from "../../../../shared/files/extract/csv.ts";
import { fixture, read } from "./support/files.ts";

const csv = (text: string) => readCsv(text).content;

describe("tables as CSV", () => {
  test("each row says what its values are", async () => {
    const { content, metadata, mimeType } = await read(fixture("tarifs.csv"));
    expect(mimeType).toBe("text/csv");
    expect(metadata).toEqual({ rows: 3, columns: ["Prestation", "Durée", "Prix", "Remarque"] });
    expect(content).toBe(`Prestation: Accord simple
Durée: 1 h 30
Prix: 120,00 €

Prestation: Accord et réglage
Durée: 3 h
Prix: 240,00 €
Remarque: Étouffoirs; pédales
et marteaux

Prestation: Remise au diapason
Durée: 4 h
Prix: 310,00 €
Remarque: En deux « passages »`);
  });

  test("commas, semicolons, tabs and what the first line names are delimiters", () => {
    const expected = "nom: Ana\nville: Lyon\n\nnom: Bo\nville: Nice";
    for (const delimiter of [",", ";", "\t", "|"]) {
      expect(csv("nom,ville\nAna,Lyon\nBo,Nice\n".replaceAll(",", delimiter))).toBe(expected);
    }
    expect(csv("sep=#\nnom#ville\nAna#Lyon\nBo#Nice")).toBe(expected);
  });

  test("values in the first line are values", () => {
    expect(csv("1,Lyon\n2,Nice")).toBe("1 | Lyon\n\n2 | Nice");
    expect(csv("Lyon,Lyon\nNice,Nice")).toBe("Lyon | Lyon\n\nNice | Nice");
  });

  test("years and a few numbers in the first line are names", () => {
    expect(csv("Poste;2023;2024;2025\nLoyer;100;110;120\nGaz;9;;8")).toBe(
      "Poste: Loyer\n2023: 100\n2024: 110\n2025: 120\n\nPoste: Gaz\n2023: 9\n2025: 8",
    );
    expect(csv(";2023-2024;2024-2025\nLoyer;100;110")).toBe("Loyer\n2023-2024: 100\n2024-2025: 110");
    expect(csv("Ville;Zone;Plus de 50;100\nLyon;1;20;30\nNice;2;40;50")).toContain("Plus de 50: 20\n100: 30");
    expect(csv("Lyon;2023\nNice;2024")).toBe("Lyon | 2023\n\nNice | 2024");
    expect(csv("Lyon;12;2023\nNice;14;2023")).toBe("Lyon | 12 | 2023\n\nNice | 14 | 2023");
  });

  test("columns that are called the same are told apart", () => {
    expect(csv("nom;tél;Tél;tél\nAna;01 02;03 04;05\nBo;06;;")).toBe(
      "nom: Ana\ntél: 01 02\nTél (2): 03 04\ntél (3): 05\n\nnom: Bo\ntél: 06",
    );
  });

  test("lines above the names of the columns are a title", () => {
    const table = "Poste;2023;2024\nLoyer;100;110\nGaz;9;8";
    for (const above of ["Budget de l'atelier;;\n;;\n", "Budget de l'atelier\n\n"]) {
      const { title, content, metadata } = readCsv(`${above}${table}`);
      expect(title).toBe("Budget de l'atelier");
      expect(metadata).toEqual({ rows: 2, columns: ["Poste", "2023", "2024"] });
      expect(content).toBe("Budget de l'atelier\n\nPoste: Loyer\n2023: 100\n2024: 110\n\nPoste: Gaz\n2023: 9\n2024: 8");
    }
    expect(readCsv(`Budget;;\nAu 3 mars;;\n${table}`)).toMatchObject({
      title: "Budget",
      content: expect.stringMatching(/^Budget\nAu 3 mars\n\nPoste: Loyer/),
    });
    for (const delimiter of [";", "\t", "|"]) {
      expect(readCsv("Catalogue 2024\nréf;nom\n1;a\n2;b".replaceAll(";", delimiter))).toMatchObject({
        title: "Catalogue 2024",
        content: "Catalogue 2024\n\nréf: 1\nnom: a\n\nréf: 2\nnom: b",
      });
    }
    expect(csv("Nom\nDupont, Ana\nMartin, Bo")).toBe("Nom: Dupont\nAna\n\nNom: Martin\nBo");
    expect(readCsv("nom\nAna\nBo")).toMatchObject({ title: null, content: "nom: Ana\n\nnom: Bo" });
    expect(readCsv("Budget;;\n1;2;3\n4;5;6")).toMatchObject({
      title: null,
      content: "Budget\n\n1 | 2 | 3\n\n4 | 5 | 6",
    });
  });

  test("a table that becomes too long a text says that its names make it so", () => {
    const names = Array.from({ length: 20 }, (_, column) => `colonne ${column}`).join(";");
    const rows = `${"1;".repeat(19)}1\n`.repeat(60_000);
    expect(() => csv(`${names}\n${rows}`)).toThrow(/10,000,000 characters as text, in which each row repeats/);
  });

  test("rows of other lengths, empty rows and unnamed columns lose nothing", () => {
    expect(csv("a,b,\n1\n\n,,\n2,3,4,5\n")).toBe("a: 1\n\na: 2\nb: 3\n4\n5");
  });

  test("a header without rows, and a quotation that nobody closes", () => {
    expect(csv("nom,ville")).toBe("nom\nville");
    expect(csv('nom,ville\nAna,"Lyon\nBo,Nice')).toBe("nom: Ana\nville: Lyon\nBo,Nice");
  });

  test("a table wider than anybody reads is refused", () => {
    expect(() => csv("a,".repeat(600))).toThrow(/601 columns/);
  });
});

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

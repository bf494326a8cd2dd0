import { describe, expect, test } from "vitest";
import { cleanLine, cleanText } from "../../../../shared/files/extract/clean.ts";
import { FileError } from "../../../../shared/files/extract/file-error.ts";
import { decodeText } from "../../../../shared/files/extract/text.ts";
import { fixture, read, textFile } from "./support/files.ts";

/** Each character as one byte: the one that is given for it, or its number. */
function bytesOf(text: string, bytes: Record<string, number>): Uint8Array {
  return Uint8Array.from(text, (character) => bytes[character] ?? character.charCodeAt(0));
}

describe("texts in their own encoding", () => {
  test("the same text is the same in Windows-1252, UTF-16 with a mark and UTF-16 without", async () => {
    const texts = await Promise.all(
      ["windows-1252.txt", "utf-16le.txt", "utf-16be-bom.txt"].map(async (name) => (await read(fixture(name))).content),
    );
    expect(texts[0]).toContain("L'hygrométrie idéale se situe entre quarante-cinq et soixante pour cent.");
    expect(texts[0]).toContain("| Accord simple         | 1 h 30     | 120 €    |");
    expect(new Set(texts)).toHaveLength(1);
  });

  test("a text of Excel for Mac, of DOS or of older Unix keeps its accents", () => {
    const text = "Les marteaux frappés, la règle, le contrôle : où ça ? Le père l'a déçu, l'été. ÉTÉ À LA FORÊT.";
    const written: Record<string, number>[] = [
      { é: 0x8e, è: 0x8f, ô: 0x99, ù: 0x9d, ç: 0x8d, É: 0x83, À: 0xcb, Ê: 0xe6 },
      { é: 0x82, è: 0x8a, ô: 0x93, ù: 0x97, ç: 0x87, É: 0x90, À: 0xb7, Ê: 0xd2 },
      { é: 0xe9, è: 0xe8, ô: 0xf4, ù: 0xf9, ç: 0xe7, É: 0xc9, À: 0xc0, Ê: 0xca },
    ];
    for (const accents of written) {
      expect(decodeText(bytesOf(text, accents))).toBe(text);
      // A table has fewer accents, and a long text may have them late.
      expect(decodeText(bytesOf("Pièce;Prix\nPédale;12\n", accents))).toBe("Pièce;Prix\nPédale;12\n");
      const late = `${"Un piano sans accent. ".repeat(5_000)}${text}`;
      expect(decodeText(bytesOf(late, accents))).toBe(late);
    }
    const latin9 = { œ: 0xbd, "€": 0xa4, é: 0xe9 };
    expect(decodeText(bytesOf("Le cœur du marché : 5 €", latin9))).toBe("Le cœur du marché : 5 €");
    expect(decodeText(bytesOf("Total : 5 €", latin9))).toBe("Total : 5 €");
  });

  test("quotation marks, dashes and fractions are those of Windows", () => {
    const windows = {
      "’": 0x92,
      "“": 0x93,
      "”": 0x94,
      "–": 0x96,
      "—": 0x97,
      "…": 0x85,
      "½": 0xbd,
      "«": 0xab,
      "»": 0xbb,
    };
    for (
      const text of ["“Don’t” — it’s Bob’s—don’t… 10–12, 2½", "« Un mot »", "It’s fine", "1 ½ hour", "… and so on"]
    ) {
      expect(decodeText(bytesOf(text, windows))).toBe(text);
    }
  });

  test("a text whose accents stand nowhere in a word in any of these is refused", () => {
    // Polish as Windows writes it.
    const polish = bytesOf("książka, wąż, mąka i łąka; są tą ścieżką", { ą: 0xb9, ż: 0xbf, ł: 0xb3, ś: 0x9c });
    expect(() => decodeText(polish)).toThrow(/saved as UTF-8/);
  });

  test("a page may say late which encoding it is in", async () => {
    const page = `<html><head><script>${"x();".repeat(2_000)}</script><meta charset=windows-1251><body>\u00cf\u00f0`;
    expect((await read({ name: "a.html", mimeType: null, bytes: bytesOf(page, {}) })).content).toBe("Пр");
  });

  test("UTF-8 with and without a mark, and with a few broken bytes", () => {
    const bytes = new TextEncoder().encode("Été à l'œuvre, dès août : façade, Noël, où çà et là.");
    expect(decodeText(bytes)).toBe("Été à l'œuvre, dès août : façade, Noël, où çà et là.");
    expect(decodeText(new Uint8Array([0xef, 0xbb, 0xbf, ...bytes]))).toBe(decodeText(bytes));
    expect(decodeText(new Uint8Array([...bytes, 0xc3]))).toBe(`${decodeText(bytes)}\uFFFD`);
  });

  test("what a page declares counts, unless its bytes are UTF-8", () => {
    const cyrillic = Uint8Array.of(0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2, 0x20, 0xec, 0xe8, 0xf0);
    expect(decodeText(cyrillic, "windows-1251")).toBe("Привет мир");
    expect(decodeText(new TextEncoder().encode("Привет мир"), "windows-1251")).toBe("Привет мир");
    expect(decodeText(Uint8Array.from("caf\u00e9 noir", (c) => c.charCodeAt(0)), "no-such-charset")).toBe("café noir");
    expect(decodeText(Uint8Array.from("caf\u00e9 noir", (c) => c.charCodeAt(0)), "utf-16")).toBe("café noir");
  });

  test("bytes that are no text in any of these are refused", () => {
    const refused = [
      Uint8Array.from({ length: 100 }, (_, index) => index % 8),
      Uint8Array.from({ length: 100 }, (_, index) => 0x80 + index),
      Uint8Array.from("\u00ff\u00fea\u0000\u0000\u0000b\u0000\u0000\u0000", (c) => c.charCodeAt(0)),
    ];
    for (const bytes of refused) expect(() => decodeText(bytes)).toThrow(FileError);
  });

  test("what Postgres refuses and nobody sees is taken out", () => {
    expect(cleanText("a\u0000b\u0007\u00adc\uFEFF\u200bd\r\ne\rf\u2028g\uD800h\uDC00i😀")).toBe(
      "abcd\ne\nf\ng\uFFFDh\uFFFDi😀",
    );
    expect(cleanText("e\u0301")).toBe("é");
    expect(cleanLine(" a\u0000 \n b ")).toBe("a b");
    expect(cleanLine("\u0000")).toBeNull();
    expect(cleanLine(7)).toBeNull();
    expect(cleanLine("😀".repeat(400))).toMatch(/^(😀){149}…$/u);
  });

  test("a NUL here and there is no reason to refuse a text", async () => {
    const { content } = await read(textFile("a.txt", `${"Un texte ordinaire. ".repeat(5)}\u0000fin`));
    expect(content).toMatch(/ordinaire\. fin$/);
  });

  test("a million blanks are tidied at once", async () => {
    const blanks = " ".repeat(1_000_000);
    expect((await read(textFile("a.txt", `a${blanks}\n\n${blanks}b${blanks}c`))).content).toBe(
      `a\n\n${blanks}b${blanks}c`,
    );
    expect((await read(textFile("a.html", `<p>a${blanks}b${blanks}<p>${blanks}c`))).content).toBe("a b\n\nc");
  });
});

import { describe, expect, test } from "vitest";
import {
  extractSlice,
  FileError,
  type FileErrorCode,
  type SourceFile,
} from "../../../../shared/files/extract/extract.ts";
import { ENDLESS, fixture, read, textFile } from "./support/files.ts";

async function refusal(file: SourceFile): Promise<{ code: FileErrorCode; message: string }> {
  const error = await extractSlice(file, null, ENDLESS).catch((error: unknown) => error);
  if (!(error instanceof FileError)) throw new Error(`${file.name} was not refused.`, { cause: error });
  return { code: error.code, message: error.message };
}

const renamed = (name: string, file: SourceFile, mimeType: string | null = null) => ({ ...file, name, mimeType });

describe("what a file is", () => {
  test.each([
    ["a.txt", "guide-en.weasyprint.pdf", "application/pdf"],
    ["a.docx", "guide-en.weasyprint.pdf", "application/pdf"],
    ["a.pdf", "guide-fr.pandoc.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ["a.zip", "guide-fr.pandoc.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ["a.pdf", "page.html", "text/html"],
    ["a.json", "page.html", "text/html"],
    ["a", "page.html", "text/html"],
    ["a.txt", "code.json", "application/json"],
    ["a", "code.json", "application/json"],
  ])("%s with the content of %s is %s", async (name, content, mimeType) => {
    expect((await read(renamed(name, fixture(content)))).mimeType).toBe(mimeType);
    const said = name.endsWith(".pdf") ? "application/pdf" : "application/octet-stream";
    expect((await read(renamed(name, fixture(content), said))).mimeType).toBe(mimeType);
  });

  test("the declared type says what a text is, and the name where that says nothing", async () => {
    const mimeTypeOf = async (name: string, mimeType: string | null) =>
      (await read(textFile(name, "a,b\n1,2\n", mimeType))).mimeType;
    expect(await mimeTypeOf("a.txt", "text/csv")).toBe("text/csv");
    expect(await mimeTypeOf("a.csv", "text/plain")).toBe("text/csv");
    expect(await mimeTypeOf("a.csv", "application/vnd.ms-excel")).toBe("text/csv");
    expect(await mimeTypeOf("a.csv", null)).toBe("text/csv");
    expect(await mimeTypeOf("a.md", "application/octet-stream")).toBe("text/markdown");
    expect(await mimeTypeOf("notes", "text/plain; charset=utf-8")).toBe("text/plain");
    expect(await mimeTypeOf("notes.unknown", null)).toBe("text/plain");
    expect(await mimeTypeOf("notes.xml", "application/xml")).toBe("text/plain");
  });

  test("a PDF that something stands before is one, where it says so", async () => {
    const { bytes } = fixture("guide-en.weasyprint.pdf");
    const shifted = new Uint8Array([...new TextEncoder().encode("X-Mailer: scanner\r\n\r\n"), ...bytes]);
    expect((await read({ name: "a.pdf", mimeType: null, bytes: shifted })).mimeType).toBe("application/pdf");
    const text = textFile("a.md", "Each file begins with\n\n%PDF-1.7\n\nand so on.");
    expect((await read(text)).mimeType).toBe("text/markdown");
  });

  test.each([
    ["a.pdf", "application/pdf", "Not found", "damaged", "a PDF"],
    ["a.docx", null, "Not found", "damaged", "a Word file"],
    ["a.png", "image/png", "just words", "unsupported_type", "(image/png)"],
    ["a.bin", "application/zip", "just words", "unsupported_type", "(application/zip)"],
    ["a.bin", "constructor", "just words", "unsupported_type", "(constructor)"],
    ["a.bin", "__proto__", "just words", "unsupported_type", "(__proto__)"],
  ])("%s (%s) that is no such thing is refused", async (name, mimeType, text, code, said) => {
    const { message, ...refused } = await refusal(textFile(name, text, mimeType));
    expect(refused.code).toBe(code);
    expect(message).toContain(said);
  });

  test.each<[string, FileErrorCode, string]>([
    ["encrypted.pdf", "encrypted", "password"],
    ["encrypted.docx", "encrypted", "password"],
    ["scan.pdf", "image_only", "OCR"],
    ["blank.pdf", "empty", "without any text"],
    ["old.doc", "unsupported_type", "before 2007"],
    ["slides.pptx", "unsupported_type", "PowerPoint"],
    ["text.odt", "unsupported_type", "OpenDocument"],
    ["book.epub", "unsupported_type", "EPUB"],
    ["text.rtf", "unsupported_type", "RTF"],
    ["picture.png", "unsupported_type", "PNG"],
  ])("%s is refused as %s", async (name, code, said) => {
    const refused = await refusal(fixture(name));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(said);
    // Also where it calls itself what we read.
    expect((await refusal(renamed("a.pdf", fixture(name), "application/pdf"))).code).toBe(code);
  });

  test.each([
    ["MZ\u0000\u0090\u0003\u0000\u0000", "a program"],
    ["\u007fELF\u0002\u0001\u0001\u0000", "a program"],
    ["GIF89a\u0001\u0000", "a picture (GIF)"],
    ["\u001f\u008b\u0008\u0000", "an archive (gzip)"],
    ["SQLite format 3\u0000", "a database"],
    ["\u0000\u0000\u0000\u0018ftypmp42", "a film"],
    [`BM${"\u00ff".repeat(4)}\u0000\u0000\u0000\u00006\u0000\u0000\u0000(\u0000\u0000\u0000`, "a picture (BMP)"],
    ["BZh91AY&SY\u00d2\u00ea\u0035", "an archive (bzip2)"],
  ])("%j is %s", async (start, what) => {
    const bytes = Uint8Array.from(`${start}${"\u0000".repeat(50)}`, (character) => character.charCodeAt(0));
    expect((await refusal({ name: "a.txt", mimeType: "text/plain", bytes })).message).toContain(what);
  });

  test("words that begin like a program or a picture are words", async () => {
    for (
      const text of [
        "MZ is a country code.",
        "BMW est une marque.",
        "RIFF: a melody",
        "ID3 tells a title",
        "BZh is one",
      ]
    ) {
      expect((await read(textFile("a.txt", text))).content).toBe(text);
      expect((await read(textFile("a.txt", `${text}\u0000 ${text}`))).content).toBe(`${text} ${text}`);
    }
  });

  test("a file of nothing is empty, and one of white space too", async () => {
    for (const name of ["a.pdf", "a.docx", "a.html", "a.csv", "a.json", "a.txt"]) {
      expect((await refusal(textFile(name, ""))).code).toBe("empty");
      expect((await refusal(textFile(name, " \r\n\t\u00a0 \n"))).code).toBe("empty");
    }
    for (
      const [name, text] of [["a.html", "<html><body><p></p></body></html>"], ["a.json", "{}"], ["a.json", "[[],null]"]]
    ) {
      expect((await refusal(textFile(name ?? "", text ?? ""))).code).toBe("empty");
    }
  });

  test("more text than anybody reads is refused before it is taken apart", async () => {
    const line = "word ".repeat(20);
    const long = `${line}\n`.repeat(110_000);
    for (const name of ["a.txt", "a.md", "a.csv", "a.html"]) {
      expect((await refusal(textFile(name, long))).code).toBe("too_large");
    }
    expect((await refusal(textFile("a.json", JSON.stringify({ text: long })))).code).toBe("too_large");
    const larger = { name: "a.txt", mimeType: null, bytes: new Uint8Array(33 * 1024 * 1024).fill(0x61) };
    expect(await refusal(larger)).toMatchObject({ code: "too_large", message: expect.stringContaining("33 MB") });
  });
});

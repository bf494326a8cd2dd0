import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { locateDeno } from "../../../../local/functions/deno-binary.ts";
import { extractSlice, FileError } from "../../../../shared/files/extract/extract.ts";
import { pdfOf } from "../../../support/pdf.ts";
import { ENDLESS } from "./support/files.ts";

const PROJECT = fileURLToPath(new URL("../../../../", import.meta.url));
const SCRIPT = fileURLToPath(new URL("support/read-files.ts", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "accord-files-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function readByDeno(name: "deno" | "deno-edge", paths: string[]): Promise<unknown[]> {
  const args = ["run", "--node-modules-dir=manual", "--no-lock", "--allow-all", SCRIPT, ...paths];
  const { stdout } = await promisify(execFile)(locateDeno(name), args, { cwd: PROJECT, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown);
}

describe.each(["deno-edge", "deno"] as const)("in %s", (deno) => {
  test("every file has the same text, or the same reason, as in Node", async () => {
    const paths = readdirSync(FIXTURES).map((name) => join(FIXTURES, name)).filter((path) => statSync(path).isFile());
    const inNode: unknown[] = [];
    for (const path of paths) {
      const file = { name: path, mimeType: null, bytes: new Uint8Array(readFileSync(path)) };
      inNode.push(
        await extractSlice(file, null, ENDLESS).catch((error: unknown) => {
          if (error instanceof FileError) return { code: error.code };
          throw error;
        }),
      );
    }
    expect(await readByDeno(deno, paths)).toEqual(JSON.parse(JSON.stringify(inNode)));
  });

  test("a PDF whose table is wrong about a page ends nothing but itself", async () => {
    const text = new TextDecoder("latin1").decode(pdfOf(["One", "Two", "Three"]));
    const entry = /^(\d{10}) 00000 n $/gm;
    const offset = `${text.indexOf("8 0 obj")}`.padStart(10, "0");
    expect(text.match(entry)).toContain(`${offset} 00000 n `);
    const wrong = join(folder, "wrong.pdf");
    writeFileSync(wrong, text.replace(`${offset} 00000 n`, "0000000011 00000 n"), "latin1");
    const outcomes = await readByDeno(deno, [wrong, join(FIXTURES, "guide-en.weasyprint.pdf")]);
    expect(outcomes).toMatchObject([{ parts: [{ content: "One" }, { content: "Two" }, { content: "Three" }] }, {
      metadata: { pageCount: expect.any(Number) },
    }]);
  });
});

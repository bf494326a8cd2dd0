import { accessSync, constants, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { locateDeno } from "../../local/functions/deno-binary.ts";

describe("the Deno that npm installed", () => {
  let root: string;
  const platformPackage = `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  const locate = (environment: NodeJS.ProcessEnv = {}) =>
    locateDeno("deno", { environment, from: pathToFileURL(join(root, "main.ts")).href });

  function install(name: string, files: Record<string, number>): void {
    const folder = join(root, "node_modules", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    for (const [file, mode] of Object.entries(files)) writeFileSync(join(folder, file), "", { mode });
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "accord-deno-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test("is the copy that its postinstall script made", () => {
    install("deno", { deno: 0o755 });
    expect(locate()).toBe(join(root, "node_modules/deno/deno"));
  });

  test("is found without any script having run, and is made executable", () => {
    install("deno", {});
    install(platformPackage, { deno: 0o644 });
    const path = locate();
    expect(path).toBe(join(root, "node_modules", platformPackage, "deno"));
    accessSync(path, constants.X_OK);
  });

  test("gives way to the one that ACCORD_DENO names", () => {
    install("deno", { deno: 0o755 });
    const own = join(root, "own-deno");
    copyFileSync(join(root, "node_modules/deno/deno"), own);
    expect(locate({ ACCORD_DENO: own })).toBe(own);
    expect(() => locate({ ACCORD_DENO: "/nowhere/deno" })).toThrow("No Deno at /nowhere/deno (ACCORD_DENO names it).");
  });

  test("is asked for in plain words where it is missing", () => {
    install("deno", {});
    expect(locate).toThrow(`npm did not install ${platformPackage}`);
  });
});

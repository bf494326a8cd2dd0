import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import type { Extensions } from "@electric-sql/pglite";
import { Buffer } from "node:buffer";

/** Extensions that hosted Supabase has and PGlite lacks; each script runs as an extension or, on a plain Postgres, as is. */
export const STAND_INS = {
  pg_cron: { schema: "cron", version: "1.6", home: "pg_catalog" },
  pg_net: { schema: "net", version: "0.20", home: undefined },
  supabase_vault: { schema: "vault", version: "0.3", home: "extensions" },
} as const;

export type StandInName = keyof typeof STAND_INS;

export function standInScript(name: StandInName): string {
  return readFileSync(new URL(`./stand-ins/${name}.sql`, import.meta.url), "utf8");
}

/**
 * The stand-ins as real extensions, so that `create extension pg_net` works as written. PGlite reads them while it
 * opens, from a folder that is gone afterwards.
 */
export async function withStandInExtensions<T>(open: (extensions: Extensions) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "accord-extensions-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  try {
    return await open(standInExtensions(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function standInExtensions(directory: string): Extensions {
  const names = Object.keys(STAND_INS) as StandInName[];
  return Object.fromEntries(names.map((name) => {
    const { version, home } = STAND_INS[name];
    const control = [
      `comment = 'A stand-in for ${name}, for development'`,
      `default_version = '${version}'`,
      "relocatable = false",
      "trusted = true",
      // As with the real ones: whoever creates them without naming a schema does not get them in `public`.
      ...(home === undefined ? [] : [`schema = ${home}`]),
    ].join("\n");
    const bundle = join(directory, `${name}.tar.gz`);
    const root = "share/postgresql/extension";
    writeFileSync(
      bundle,
      gzipSync(tar({
        [`${root}/${name}.control`]: `${control}\n`,
        [`${root}/${name}--${version}.sql`]: standInScript(name),
      })),
    );
    return [name, { name, setup: () => Promise.resolve({ bundlePath: pathToFileURL(bundle) }) }];
  }));
}

const BLOCK = 512;

/** A tar archive of a few text files, in the old format that every reader knows. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([path, text]) => {
    const content = Buffer.from(text);
    const header = Buffer.alloc(BLOCK);
    header.write(path, 0, 100);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write(`${"0".repeat(11)}\0`, 136);
    header.write(" ".repeat(8), 148);
    header.write("0", 156);
    header.write("ustar\u000000", 257);
    const checksum = header.reduce((sum, byte) => sum + byte, 0);
    header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

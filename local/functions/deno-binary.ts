import { accessSync, chmodSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

/**
 * The Deno that npm installed: `deno` is the current one, `deno-edge` the platform's.
 * Its postinstall script copies the binary beside its package.json; where npm ran no scripts, the binary is still in
 * the package for this machine's platform.
 */
export function locateDeno(
  packageName: "deno" | "deno-edge" = "deno",
  { environment = process.env, from = import.meta.url } = {},
): string {
  if (environment.ACCORD_DENO) return executable(environment.ACCORD_DENO, "ACCORD_DENO names it");

  const file = process.platform === "win32" ? "deno.exe" : "deno";
  const packageFile = createRequire(from).resolve(`${packageName}/package.json`);
  const copied = join(dirname(packageFile), file);
  if (existsSync(copied)) return executable(copied, "npm installed it");

  const platformPackage = `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  try {
    const shipped = createRequire(packageFile).resolve(`${platformPackage}/package.json`);
    return executable(join(dirname(shipped), file), "npm installed it");
  } catch (cause) {
    throw new Error(
      `No Deno for this machine: npm did not install ${platformPackage}. ` +
        "Run `npm install` again without --omit=optional, or point ACCORD_DENO at a Deno 2 binary.",
      { cause },
    );
  }
}

function executable(path: string, origin: string): string {
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    if (!existsSync(path)) throw new Error(`No Deno at ${path} (${origin}).`, { cause });
    chmodSync(path, 0o755);
  }
  return path;
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Run, run } from "./run.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const SUPABASE = join(PROJECT, "node_modules", ".bin", "supabase");

export interface CliOptions {
  /** The folder that holds `supabase/`. Default: this project. */
  project?: string;
  /** What it sees besides the bare necessities. */
  environment?: Record<string, string>;
}

/**
 * Runs the official CLI as on a machine that has nothing else: an empty home, no settings of the developer's, no
 * Docker, and for whatever is not on this machine a proxy that leads nowhere.
 */
export async function supabase(args: string[], options: CliOptions = {}): Promise<Run> {
  const home = mkdtempSync(join(tmpdir(), "accord-home-"));
  const nowhere = "http://127.0.0.1:9";
  try {
    return await run(SUPABASE, [...args, "--agent", "no", "--workdir", options.project ?? PROJECT], {
      cwd: home,
      env: {
        PATH: dirname(process.execPath),
        HOME: home,
        NO_COLOR: "1",
        DO_NOT_TRACK: "1",
        SUPABASE_TELEMETRY_DISABLED: "1",
        SUPABASE_NO_UPDATE_NOTIFIER: "1",
        HTTP_PROXY: nowhere,
        HTTPS_PROXY: nowhere,
        NO_PROXY: "127.0.0.1",
        ...options.environment,
      },
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The CLI tries TLS first and complains on stdout when there is none. */
export function withoutTls(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set("sslmode", "disable");
  return url.href;
}

/** What the advisors say of a database, at or above a level; empty when they find nothing. */
export async function adviceOn(databaseUrl: string): Promise<{ exitCode: number | null; output: string }> {
  return await supabase([
    "db",
    "advisors",
    "--level",
    "warn",
    "--fail-on",
    "warn",
    `--remote=${withoutTls(databaseUrl)}`,
  ]);
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { launch } from "./launch.ts";

declare module "vitest" {
  interface ProvidedContext {
    stack: { url: string; databaseUrl: string };
    lane: "embedded" | "postgres";
  }
}

/** One stack for all suites of a lane: the embedded database, or the real Postgres that DATABASE_URL names. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "accord-lane-"));
  const database = project.name === "postgres" ? ["--database-url", realPostgres(), "--data", folder] : ["--memory"];
  const stack = await launch(database);
  await untilQuiet(stack.databaseUrl);
  project.provide("lane", project.name === "postgres" ? "postgres" : "embedded");
  project.provide("stack", { url: stack.url, databaseUrl: stack.databaseUrl });
  return async () => {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

/** The seed has workers woken, which hold what suites want to have for themselves. */
async function untilQuiet(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (let isQuiet = false; !isQuiet; await setTimeout(50)) {
      const { rows: [row] } = await client.query<{ is_quiet: boolean }>(`
        select not exists (select from private.workers) and not exists (select from private.worker_wishes)
          and not private.has_due_embeddings() and not private.has_due_files() as is_quiet`);
      isQuiet = row?.is_quiet ?? false;
    }
  } finally {
    await client.end();
  }
}

function realPostgres(): string {
  const url = process.env.DATABASE_URL;
  if (url === undefined || url === "") {
    throw new Error("npm run test:postgres needs DATABASE_URL, such as postgresql://postgres@127.0.0.1:5432/postgres.");
  }
  return url;
}

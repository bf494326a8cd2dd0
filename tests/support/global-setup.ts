import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { launch } from "./launch.ts";
import process from "node:process";

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
  project.provide("lane", project.name === "postgres" ? "postgres" : "embedded");
  project.provide("stack", { url: stack.url, databaseUrl: stack.databaseUrl });
  return async () => {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

function realPostgres(): string {
  const url = process.env.DATABASE_URL;
  if (url === undefined || url === "") {
    throw new Error("npm run test:postgres needs DATABASE_URL, such as postgresql://postgres@127.0.0.1:5432/postgres.");
  }
  return url;
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { createOwnDatabase } from "../postgres/support/own-database.ts";
import { launch, type Launched } from "./launch.ts";

/** A stack of a suite's own, on the database of its lane, with an environment of its own. */
export async function launchOwnStack(environment: NodeJS.ProcessEnv): Promise<Launched> {
  if (inject("lane") === "embedded") return await launch(["--memory"], environment);
  const database = await createOwnDatabase();
  const folder = mkdtempSync(join(tmpdir(), "accord-own-"));
  const stack = await launch(["--database-url", database.url, "--data", folder], environment);
  return {
    ...stack,
    stop: async () => {
      const code = await stack.stop();
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

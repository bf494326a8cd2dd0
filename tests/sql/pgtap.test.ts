import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { runTap } from "./support/tap.ts";

/** The files of `supabase test db`, which needs Docker; here they run on the lane's own database. */
const FOLDER = new URL("../../supabase/tests/", import.meta.url);

for (const file of readdirSync(fileURLToPath(FOLDER)).filter((name) => name.endsWith(".sql"))) {
  test(`supabase/tests/${file} holds`, async () => {
    const { planned, passed, failed } = await runTap(stack().databaseUrl, readFileSync(new URL(file, FOLDER), "utf8"));
    expect(failed.join("\n"), "what pgTAP found").toBe("");
    expect(passed).toHaveLength(planned);
  });
}

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bootstrap } from "../local/database/bootstrap.ts";
import { migrate } from "../local/database/migrations.ts";
import { type OpenDatabase, openEmbedded } from "../local/database/open.ts";

export const SUPABASE_FOLDER = join(fileURLToPath(new URL("../", import.meta.url)), "supabase");

/** An embedded database of one's own, in memory, as a hosted project is before or after its first `db push`. */
export async function openFreshDatabase({ migrated }: { migrated: boolean }): Promise<OpenDatabase> {
  const database = await openEmbedded({ directory: undefined, port: 0 }, (message) => {
    throw new Error(`The embedded database has failed: ${message}`);
  });
  await bootstrap(database.stackUrl);
  if (migrated) await migrate(database.url, SUPABASE_FOLDER, { seed: false });
  return database;
}

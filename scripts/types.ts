import { writeFileSync } from "node:fs";
import { openFreshDatabase } from "./fresh-database.ts";
import { generatedTypes, TYPES_FILE } from "./generated-types.ts";

/** `npm run types`: brings shared/platform/database.types.ts into agreement with the migrations. */
const database = await openFreshDatabase({ migrated: true });
try {
  writeFileSync(TYPES_FILE, await generatedTypes(database.url));
} finally {
  await database.close();
}

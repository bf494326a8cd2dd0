import process from "node:process";
import { createOwnDatabase, type OwnDatabase } from "../../tests/postgres/support/own-database.ts";

/** Runs a benchmark on a migrated database of its own on the server that DATABASE_URL names, and drops it afterwards. */
export async function onOwnDatabase<Result>(work: (database: OwnDatabase) => Promise<Result>): Promise<Result> {
  if (process.env.DATABASE_URL === undefined) {
    console.error(
      "This benchmark measures a real Postgres: set DATABASE_URL to a server where it may make a database.",
    );
    process.exit(1);
  }
  const database = await createOwnDatabase();
  try {
    return await work(database);
  } finally {
    await database.drop();
  }
}

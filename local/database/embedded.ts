import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { pgtap } from "@electric-sql/pglite-pgtap";
import { pgcrypto } from "@electric-sql/pglite/contrib/pgcrypto";
import { uuid_ossp } from "@electric-sql/pglite/contrib/uuid_ossp";
import { withStandInExtensions } from "./stand-ins.ts";
import { WireServer } from "./wire/server.ts";

/**
 * The embedded database, in a thread of its own: PGlite answers synchronously, and a long statement must not hold up
 * the HTTP services. Everyone, the services included, reaches it through its port.
 */
export interface EmbeddedRequest {
  /** Undefined keeps everything in memory. */
  directory: string | undefined;
  port: number;
}

export type EmbeddedReport =
  | { kind: "listening"; port: number }
  | { kind: "failed"; code?: string; message: string }
  | { kind: "closed" };

const MAJOR_VERSION = "18";
const SUPERUSER = "supabase_admin";

function create(options: PGliteOptions): Promise<PGlite> {
  return withStandInExtensions((standIns) =>
    PGlite.create({ ...options, extensions: { vector, pgcrypto, pgtap, uuid_ossp, ...standIns } })
  );
}

/**
 * On hosted Supabase `postgres` is no superuser, and a migration that needs one fails there. PGlite's own `postgres`
 * is, so it gives its name away: from then on whoever connects as `postgres` has the rights of a hosted project.
 */
async function renameSuperuser(db: PGlite): Promise<void> {
  await db.exec(`
    create role renaming superuser;
    set session authorization renaming;
    alter role postgres rename to ${SUPERUSER};
    set session authorization ${SUPERUSER};
    drop role renaming;
  `);
}

/** Hosted Supabase lets `postgres` create pgvector though the extension does not mark itself as trusted. */
function trustVector(db: PGlite): void {
  const control = "/pglite/share/postgresql/extension/vector.control";
  const { FS } = db.Module;
  FS.writeFile(control, `${FS.readFile(control, { encoding: "utf8" })}\ntrusted = true\n`);
}

/** A folder is made whole under another name first: a crash while it is made leaves nothing half-made behind. */
async function makeCluster(directory: string): Promise<void> {
  const unfinished = `${directory}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  const db = await create({ dataDir: unfinished });
  await renameSuperuser(db);
  await db.close();
  renameSync(unfinished, directory);
}

function refuseForeignFolder(directory: string): void {
  const way = "Move the folder away, or name another one with --data.";
  const versionFile = `${directory}/PG_VERSION`;
  if (!existsSync(versionFile)) {
    if (readdirSync(directory).length === 0) return rmSync(directory, { recursive: true });
    throw new Error(`The data folder ${directory} holds no database (PG_VERSION is missing). ${way}`);
  }
  const version = readFileSync(versionFile, "utf8").trim();
  if (version !== MAJOR_VERSION) {
    throw new Error(
      `The data folder ${directory} was made by Postgres ${version}, and this is ${MAJOR_VERSION}. ${way}`,
    );
  }
}

async function open(directory: string | undefined): Promise<PGlite> {
  if (directory === undefined) {
    const db = await create({});
    await renameSuperuser(db);
    return db;
  }
  if (existsSync(directory)) refuseForeignFolder(directory);
  if (!existsSync(directory)) await makeCluster(directory);
  try {
    return await create({ dataDir: directory, username: SUPERUSER });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `The data folder ${directory} cannot be opened: ${reason}. Move it away, or name another one with --data.`,
      { cause },
    );
  }
}

function report(message: EmbeddedReport): void {
  parentPort?.postMessage(message);
}

function fail(error: unknown): void {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  const message = error instanceof Error ? error.message : String(error);
  report({ kind: "failed", message, ...(code === undefined ? {} : { code }) });
}

const { directory, port } = workerData as EmbeddedRequest;
try {
  const db = await open(directory);
  trustVector(db);
  const server = new WireServer(db, { onBroken: fail });
  parentPort?.once("message", async () => {
    await server.close();
    await db.close();
    report({ kind: "closed" });
    parentPort?.close();
  });
  report({ kind: "listening", port: await server.listen(port) });
} catch (error) {
  fail(error);
}

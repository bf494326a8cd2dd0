import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bootstrap } from "../../../local/database/bootstrap.ts";
import { migrate } from "../../../local/database/migrations.ts";
import { SUPABASE_FOLDER } from "../../../scripts/fresh-database.ts";

const SCRIPT = fileURLToPath(new URL("../../../scripts/postgres17", import.meta.url));
const run = promisify(execFile);

/** Only root can make a cluster here, and only on Linux are its processes this machine's. */
export const canHaveOwnCluster = process.platform === "linux" && process.getuid?.() === 0;

export interface OwnCluster {
  url: string;
  /** As when the machine runs out of memory: a server process is killed, and Postgres starts again from its log. */
  crash(backend: number): void;
  stop(): Promise<void>;
}

/** A migrated Postgres of a suite's own, so that it may be brought down while others use theirs. */
export async function startOwnCluster(): Promise<OwnCluster> {
  const { stdout } = await run(SCRIPT, ["start"]);
  const url = /^DATABASE_URL=(\S+)$/m.exec(stdout)?.[1];
  if (url === undefined) throw new Error(`The script did not tell where Postgres is: ${stdout}`);
  const stop = async () => void await run(SCRIPT, ["stop", new URL(url).port]);
  try {
    await bootstrap(url);
    await migrate(url, SUPABASE_FOLDER, { seed: false });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, crash: (backend) => void process.kill(backend, "SIGKILL"), stop };
}

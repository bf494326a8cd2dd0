import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type pg from "pg";
import { processorSeconds } from "./processor-time.ts";

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/**
 * Seconds that the processor has spent on a whole database server so far: on its sessions, those that have ended
 * among them, and on all that writes and cleans up behind them. Null where the server is not on this machine.
 */
export async function serverSeconds(client: pg.Client): Promise<number | null> {
  const { rows: [session] } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  try {
    const server = Number(fieldsOf(session?.pid ?? 0)[1]);
    const children = readFileSync(`/proc/${server}/task/${server}/children`, "utf8").trim().split(" ").map(Number);
    const [ofEnded = 0, inKernelOfEnded = 0] = fieldsOf(server).slice(13, 15).map(Number);
    const ofRunning = [server, ...children].reduce((sum, pid) => sum + processorSeconds(pid), 0);
    return ofRunning + (ofEnded + inKernelOfEnded) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

/** See proc_pid_stat(5); the first one here is the state. */
function fieldsOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

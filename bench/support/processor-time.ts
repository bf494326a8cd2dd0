import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** The process in which a stack runs a function: its child that was started with the function's folder. */
export function processOfFunction(stackPid: number, name: string): number {
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).map(Number)) {
    const stat = statOf(pid);
    if (stat?.parent !== stackPid) continue;
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`/functions/${name}/`)) return pid;
  }
  throw new Error(`The stack with process id ${stackPid} has no process for the function ${name}.`);
}

/** Seconds that the processor has spent on a process so far, in all its threads. */
export function processorSeconds(pid: number): number {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`Process ${pid} has ended: its processor time is lost.`);
  return stat.ticks / TICKS_PER_SECOND;
}

/** See proc_pid_stat(5). The name in brackets may hold spaces; what follows it does not. */
function statOf(pid: number): { parent: number; ticks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    return { parent: fields[1] ?? 0, ticks: (fields[11] ?? 0) + (fields[12] ?? 0) };
  } catch {
    // It has ended since the folder was listed.
    return undefined;
  }
}

import { Cron } from "croner";
import pg from "pg";
import { connect } from "../database/connect.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

interface Job {
  jobid: string;
  schedule: string;
  command: string;
  database: string;
  username: string;
  active: boolean;
}

export interface Schedules {
  close(): Promise<void>;
}

const INTERVAL = /^(\d{1,2})\s+seconds?$/i;

/** When this job is due next: at whole minutes in UTC, or so many seconds after it last began. */
export function nextRun(schedule: string, after: Date): Date | null {
  const [, seconds] = INTERVAL.exec(schedule.trim()) ?? [];
  if (seconds !== undefined) return new Date(after.getTime() + Number(seconds) * 1000);
  // pg_cron says "$" for the last day of the month, croner says "L".
  return new Cron(schedule.replaceAll("$", "L"), { paused: true, timezone: "UTC" }).nextRun(after);
}

/**
 * pg_cron's background worker, for a database that has none: runs each job as the role that scheduled it, never twice
 * at once, and keeps account in `cron.job_run_details`.
 */
export async function startCron(url: string, log: Log): Promise<Schedules> {
  const jobs = new Map<string, Job & { due: Date | null; running: boolean }>();
  const runs = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const listener = await connect(url, "accord-cron");
  listener.on("error", (error) => {
    if (!closed) log.warn(`schedules stopped: ${error.message}`);
  });

  async function readJobs(): Promise<void> {
    const { rows } = await listener.query<Job>(
      "select jobid, schedule, command, database, username, active from cron.job",
    );
    const now = new Date();
    const known = new Map(jobs);
    jobs.clear();
    for (const job of rows) {
      const before = known.get(job.jobid);
      const unchanged = before?.schedule === job.schedule && before.active === job.active;
      jobs.set(job.jobid, {
        ...job,
        running: before?.running ?? false,
        due: unchanged ? before.due : job.active ? nextRun(job.schedule, now) : null,
      });
    }
    arm();
  }

  function arm(): void {
    clearTimeout(timer);
    if (closed) return;
    const dues = [...jobs.values()].filter(({ running }) => !running).flatMap(({ due }) => due ?? []);
    if (dues.length === 0) return;
    const next = Math.min(...dues.map((due) => due.getTime()));
    // A timer cannot count further than about 24 days.
    timer = setTimeout(tick, Math.min(Math.max(0, next - Date.now()), 2 ** 31 - 1));
  }

  function tick(): void {
    const now = new Date();
    for (const job of jobs.values()) {
      if (job.running || job.due === null || job.due > now) continue;
      job.running = true;
      job.due = nextRun(job.schedule, now);
      const run = runJob(url, job)
        .catch((error: unknown) => log.warn(`job ${job.jobid} could not be run: ${messageOf(error)}`))
        .finally(() => {
          runs.delete(run);
          const current = jobs.get(job.jobid);
          if (current !== undefined) current.running = false;
          arm();
        });
      runs.add(run);
    }
    arm();
  }

  // Notifications of one burst are answered by one reading after another, never by two at once.
  let reading = Promise.resolve();
  const refresh = () => {
    reading = reading.then(readJobs).catch((error: unknown) => {
      if (!closed) log.warn(`schedules could not be read: ${messageOf(error)}`);
    });
    return reading;
  };
  listener.on("notification", refresh);
  await listener.query("listen cron_jobs");
  await refresh();

  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await reading;
      await Promise.all(runs);
      await listener.end();
    },
  };
}

async function runJob(url: string, job: Job): Promise<void> {
  const client = await connect(url, "pg_cron");
  try {
    const { rows: [run] } = await client.query<{ runid: string }>(
      `insert into cron.job_run_details (jobid, job_pid, database, username, command, status, start_time)
       values ($1, pg_backend_pid(), $2, $3, $4, 'running', clock_timestamp()) returning runid`,
      [job.jobid, job.database, job.username, job.command],
    );
    const outcome = await runCommand(client, job);
    await client.query(
      "update cron.job_run_details set status = $2, return_message = $3, end_time = clock_timestamp() where runid = $1",
      [run?.runid, outcome.status, outcome.message],
    );
  } finally {
    await client.end();
  }
}

async function runCommand(client: pg.Client, job: Job): Promise<{ status: "succeeded" | "failed"; message: string }> {
  try {
    await client.query(`set session authorization ${pg.escapeIdentifier(job.username)}`);
    const answer: pg.QueryResult | pg.QueryResult[] = await client.query(job.command);
    const last = Array.isArray(answer) ? answer.at(-1) : answer;
    const rows = last?.command === "SELECT"
      ? `${last.rowCount ?? 0} row${last.rowCount === 1 ? "" : "s"}`
      : last?.command;
    return { status: "succeeded", message: rows ?? "" };
  } catch (error) {
    return { status: "failed", message: `ERROR: ${messageOf(error)}` };
  } finally {
    await client.query("rollback; reset session authorization");
  }
}

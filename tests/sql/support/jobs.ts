import { randomUUID } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { type Session, valueOf, withSession } from "./session.ts";

export interface JobRun {
  status: string;
  return_message: string | null;
  username: string;
  database: string;
  command: string;
  in_order: boolean;
}

/** A scheduled job that is gone when the test is. */
export async function scheduleJob(session: Session, schedule: string, command: string): Promise<string> {
  const name = `test-${randomUUID()}`;
  onTestFinished(() =>
    withSession(async (own) => {
      await own.query("select cron.unschedule(jobname) from cron.job where jobname = $1", [name]);
    })
  );
  return await valueOf<string>(session, "select cron.schedule($1, $2, $3)", [name, schedule, command]);
}

/** The first account of a run of this job that has come to its end. */
export async function endedRun(session: Session, jobId: string): Promise<JobRun> {
  let run: JobRun | undefined;
  await expect.poll(async () => {
    const { rows } = await session.query<JobRun>(
      `select status, return_message, username, database, command, start_time <= end_time as in_order
       from cron.job_run_details where jobid = $1 and status in ('succeeded', 'failed') order by runid limit 1`,
      [jobId],
    );
    run = rows[0];
    return run;
  }, { timeout: 20_000, interval: 50, message: `a run of job ${jobId} has ended` }).toBeDefined();
  if (run === undefined) throw new Error(`Job ${jobId} has not run`);
  return run;
}

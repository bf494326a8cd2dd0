import { expect, test } from "vitest";
import { becomeAdmin, inVain, type Session, valueOf } from "./support/session.ts";

async function recordRuns(tx: Session, ...ages: string[]): Promise<void> {
  await tx.query(
    `insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)
     select -1, 9000000 + place, current_database(), current_user, 'select 1', 'succeeded', now() - age, now() - age
     from unnest($1::interval[]) with ordinality as runs (age, place)`,
    [ages],
  );
}

const runsLeft = (tx: Session) =>
  valueOf<number>(tx, "select count(*)::int from cron.job_run_details where jobid = -1");

test("accounts of runs are kept for as many days as the setting says", () =>
  inVain(async (tx) => {
    await recordRuns(tx, "8 days", "7 days 1 second", "6 days 23 hours", "0");
    await tx.query("select private.housekeeping()");
    expect(await runsLeft(tx)).toBe(2);
    await tx.query("select set_setting('keep_run_details_days', '1')");
    await tx.query("select private.housekeeping()");
    expect(await runsLeft(tx)).toBe(1);
  }));

test("a run that has not ended is never purged", () =>
  inVain(async (tx) => {
    await recordRuns(tx, "30 days");
    await tx.query("update cron.job_run_details set end_time = null, status = 'running' where jobid = -1");
    await tx.query("select private.housekeeping()");
    expect(await runsLeft(tx)).toBe(1);
  }));

test("alerts resolved long ago go; open ones stay, however old", () =>
  inVain(async (tx) => {
    await tx.query(`
      insert into public.alerts (kind, message, first_seen_at, last_seen_at, resolved_at)
      values
        ('test_old_resolved', 'x', '2020-01-01', '2020-01-01', now() - interval '91 days'),
        ('test_resolved', 'x', '2020-01-01', '2020-01-01', now() - interval '89 days'),
        ('test_old_open', 'x', '2020-01-01', '2020-01-01', null)`);
    await tx.query("select private.housekeeping()");
    const { rows } = await tx.query("select kind from public.alerts where kind like 'test_%' order by kind");
    expect(rows.map(({ kind }) => kind)).toEqual(["test_old_open", "test_resolved"]);
  }));

test("it is scheduled once a day", () =>
  inVain(async (tx) => {
    const { rows } = await tx.query(
      "select schedule, command, active from cron.job where jobname = 'accord-housekeeping'",
    );
    expect(rows).toEqual([{ schedule: "17 3 * * *", command: "select private.housekeeping()", active: true }]);
  }));

test("the status counts content past its policies, names the schedules with their last run, and lists open alerts", () =>
  inVain(async (tx) => {
    await tx.query("delete from documents");
    await tx.query("insert into documents (client_id, is_published) values ('hotel-bellevue', true), (null, false)");
    await tx.query("select private.raise_alert('test_problem', 'disk', 'full')");
    await tx.query(
      `insert into cron.job_run_details (jobid, runid, database, username, status, start_time)
       select jobid, 9000000, database, username, 'failed', now() from cron.job where jobname = 'accord-housekeeping'`,
    );
    await becomeAdmin(tx);
    const status = await valueOf<Record<"content" | "schedules" | "alerts", unknown[]>>(tx, "select system_status()");
    expect(status.content).toContainEqual({ table: "documents", rows: 2, published: 1 });
    expect(status.schedules).toContainEqual(
      expect.objectContaining({ name: "accord-housekeeping", active: true, last_status: "failed" }),
    );
    expect(status.alerts).toContainEqual(
      expect.objectContaining({ kind: "test_problem", subject: "disk", message: "full", count: 1 }),
    );
  }));

import { expect, test } from "vitest";
import { endedRun, scheduleJob } from "./support/jobs.ts";
import { listenOn } from "./support/notifications.ts";
import { inVain, refusalOf, type Session, valueOf, withSession } from "./support/session.ts";

/** All of this holds for pg_cron 1.6 itself, on the lane that has it, and for its stand-in on the other. */
const schedule = (tx: Session, name: string, when: string, command = "select 1") =>
  valueOf<string>(tx, "select cron.schedule($1, $2, $3)", [name, when, command]);

const jobNamed = async (tx: Session, name: string) =>
  (await tx.query("select jobid, schedule, command, active, database from cron.job where jobname = $1", [name])).rows;

test("its functions take what pg_cron's take, by the same names", () =>
  inVain(async (tx) => {
    const { rows } = await tx.query<{ signature: string }>(
      `select proname || '(' || pg_get_function_arguments(oid) || ') ' || prorettype::regtype as signature
       from pg_catalog.pg_proc
       where pronamespace = 'cron'::regnamespace and proname !~ '^_' and prorettype <> 'trigger'::regtype
       order by signature`,
    );
    expect(rows.map(({ signature }) => signature)).toEqual([
      "alter_job(job_id bigint, schedule text DEFAULT NULL::text, command text DEFAULT NULL::text, " +
      "database text DEFAULT NULL::text, username text DEFAULT NULL::text, active boolean DEFAULT NULL::boolean) void",
      "schedule(job_name text, schedule text, command text) bigint",
      "schedule(schedule text, command text) bigint",
      "schedule_in_database(job_name text, schedule text, command text, database text, " +
      "username text DEFAULT NULL::text, active boolean DEFAULT true) bigint",
      "unschedule(job_id bigint) boolean",
      "unschedule(job_name text) boolean",
    ]);
  }));

test.each([
  "* * * * *",
  "*/5 * * * *",
  "1,2,5-9 0 * * *",
  "1-10/3 * * * *",
  "*/5,1 * * * *",
  "0 22 * * 1-5",
  "0 0 * jan MON",
  "0 0 * * mon-fri",
  "* * * * 7",
  "30 4 $ * *",
  " 5  4 * * * ",
  "@hourly",
  "@daily",
  "@midnight",
  "@weekly",
  "@monthly",
  "@yearly",
  "1 second",
  "30 seconds",
  "59 seconds",
  "5 SECONDS",
])("%j is a schedule", (when) =>
  inVain(async (tx) => {
    await schedule(tx, "test-schedule", when);
    expect(await jobNamed(tx, "test-schedule")).toMatchObject([{ schedule: when }]);
  }));

test.each([
  "",
  "nonsense",
  "* * * *",
  "60 * * * *",
  "* 24 * * *",
  "* * 0 * *",
  "* * 32 * *",
  "* * * 13 *",
  "* * * 0 *",
  "* * * * 8",
  "-1 * * * *",
  "5/15 * * * *",
  "*/0 * * * *",
  "*/61 * * * *",
  "1,, * * * *",
  "0 0 * foo *",
  "0 0 1,$ * *",
  "0 seconds",
  "60 seconds",
  "5 minutes",
  "@every 1m",
])("%j is no schedule", (when) =>
  inVain(async (tx) => {
    expect(await refusalOf(tx, "select cron.schedule('test-schedule', $1, 'select 1')", [when])).toEqual({
      code: "22023",
      message: `invalid schedule: ${when}`,
      hint: "Use cron format (e.g. 5 4 * * *), or interval format '[1-59] seconds'",
    });
  }));

test("the same name replaces: the job stays the same and does the other thing", () =>
  inVain(async (tx) => {
    const first = await schedule(tx, "test-job", "* * * * *");
    expect(await schedule(tx, "test-job", "30 seconds", "select 2")).toBe(first);
    expect(await jobNamed(tx, "test-job")).toMatchObject([{ schedule: "30 seconds", command: "select 2" }]);
  }));

test("jobs without a name are each one more", () =>
  inVain(async (tx) => {
    const add = () => valueOf<string>(tx, "select cron.schedule('* * * * *', 'select 1')");
    expect(await add()).not.toBe(await add());
  }));

test("a job can be altered in one respect, switched off and on", () =>
  inVain(async (tx) => {
    const id = await schedule(tx, "test-job", "* * * * *");
    await tx.query("select cron.alter_job($1, schedule := '5 seconds')", [id]);
    await tx.query("select cron.alter_job($1, active := false)", [id]);
    expect(await jobNamed(tx, "test-job")).toMatchObject([{
      schedule: "5 seconds",
      command: "select 1",
      active: false,
    }]);
    await tx.query("select cron.alter_job(job_id := $1, active := true)", [id]);
    expect(await jobNamed(tx, "test-job")).toMatchObject([{ active: true }]);
  }));

test("a job is unscheduled by its name or by its number", () =>
  inVain(async (tx) => {
    await schedule(tx, "test-job", "* * * * *");
    expect(await valueOf(tx, "select cron.unschedule('test-job')")).toBe(true);
    const id = await schedule(tx, "test-job", "* * * * *");
    expect(await valueOf(tx, "select cron.unschedule($1::bigint)", [id])).toBe(true);
    expect(await jobNamed(tx, "test-job")).toEqual([]);
  }));

test.each([
  ["select cron.unschedule('nobody')", "XX000", "could not find valid entry for job 'nobody'"],
  ["select cron.unschedule(987654321)", "XX000", "could not find valid entry for job 987654321"],
  ["select cron.alter_job(987654321, active := true)", "XX000", "Job 987654321 does not exist or you don't own it"],
  ["select cron.alter_job(987654321)", "XX000", "no updates specified"],
  ["select cron.alter_job(987654321, schedule := 'bad')", "22023", "invalid schedule: bad"],
  ["select cron.schedule(null, '* * * * *', 'select 1')", "XX000", "job_name can not be NULL"],
  ["select cron.schedule('x', null, 'select 1')", "XX000", "schedule can not be NULL"],
  ["select cron.schedule('x', '* * * * *', null)", "XX000", "command can not be NULL"],
  [
    "select cron.schedule_in_database('x', '* * * * *', 'select 1', 'nowhere')",
    "3D000",
    `database "nowhere" does not exist`,
  ],
])(
  "%s is refused in pg_cron's words",
  (sql, code, message) => inVain(async (tx) => expect(await refusalOf(tx, sql)).toMatchObject({ code, message })),
);

test("a job of so many seconds runs again and again, and leaves an account", () =>
  withSession(async (session) => {
    const ticks = await listenOn(session);
    const id = await scheduleJob(session, "1 second", `select pg_notify('${ticks.name}', 'tick')`);
    expect([await ticks.next(), await ticks.next()]).toEqual(["tick", "tick"]);
    const { rows: [job] } = await session.query("select username, database, command from cron.job where jobid = $1", [
      id,
    ]);
    expect(await endedRun(session, id)).toMatchObject({ ...job, status: "succeeded", in_order: true });
  }));

test("a job that fails is recorded with its error, and runs again all the same", () =>
  withSession(async (session) => {
    const id = await scheduleJob(session, "1 second", "select 1 / 0");
    expect(await endedRun(session, id)).toMatchObject({
      status: "failed",
      return_message: expect.stringMatching(/^ERROR: +division by zero/),
    });
    await expect.poll(
      () => valueOf(session, "select count(*)::int from cron.job_run_details where jobid = $1", [id]),
      { timeout: 10_000, interval: 50 },
    ).toBeGreaterThan(1);
  }));

test("a job that is switched off or unscheduled runs no more", () =>
  withSession(async (session) => {
    const [off, gone, witness] = [await listenOn(session), await listenOn(session), await listenOn(session)];
    const offId = await scheduleJob(session, "1 second", `notify ${off.name}`);
    const goneId = await scheduleJob(session, "1 second", `notify ${gone.name}`);
    await Promise.all([off.next(), gone.next()]);
    await session.query("select cron.alter_job($1, active := false)", [offId]);
    await session.query("select cron.unschedule($1::bigint)", [goneId]);
    // One that had begun before may still end; the ticks of another job then tell that time has passed.
    await scheduleJob(session, "1 second", `notify ${witness.name}`);
    await witness.next();
    const counts = [off.count(), gone.count()];
    await witness.next();
    await witness.next();
    expect([off.count(), gone.count()]).toEqual(counts);
  }));

test("a job acts as the role that scheduled it", () =>
  withSession(async (session) => {
    const said = await listenOn(session);
    await scheduleJob(session, "1 second", `select pg_notify('${said.name}', current_user || ' ' || session_user)`);
    const owner = await valueOf<string>(session, "select current_user");
    expect(await said.next()).toBe(`${owner} ${owner}`);
  }));

import { expect, test } from "vitest";
import { endedRun, scheduleJob } from "../sql/support/jobs.ts";
import { listenOn } from "../sql/support/notifications.ts";
import { responseTo } from "../sql/support/responses.ts";
import { valueOf, withSession } from "../sql/support/session.ts";

test("this lane has pg_cron itself, and no stand-in", () =>
  withSession(async (session) => {
    const { rows } = await session.query("select extversion from pg_catalog.pg_extension where extname = 'pg_cron'");
    expect(rows).toEqual([{ extversion: expect.stringMatching(/^1\.\d/) }]);
    expect(await valueOf(session, "select to_regprocedure('cron._check_schedule(text)')")).toBeNull();
  }));

test("a job of pg_cron's own worker reaches a function, and the database hears its answer", () =>
  withSession(async (session) => {
    const called = await listenOn(session);
    const command = `select pg_notify('${called.name}', private.call_edge_function('health')::text)`;
    const id = await scheduleJob(session, "2 seconds", command);
    const response = await responseTo(session, await called.next());
    expect(response).toMatchObject({ status_code: 200, error_msg: null });
    expect(JSON.parse(response.content ?? "")).toMatchObject({ checks: expect.any(Array) });
    expect(await endedRun(session, id)).toMatchObject({ status: "succeeded", command, in_order: true });
  }));

import { expect, it } from "vitest";
import {
  addAgreement,
  countOf,
  onBucket,
  openAlerts,
  QUEUE,
  report,
  tellPair,
  told,
} from "../sql/support/coherence.ts";
import { superuserUrl, valueOf, withSession } from "../sql/support/session.ts";

it(
  "a repair that takes all the time there is ends the repairs, and what the check has found stands",
  onBucket(async (tx) => {
    await tx.query(`
      create function private.test_repair(interval) returns void language sql as $$ select pg_sleep(30) $$`);
    await tellPair(tx, "10, 5, 5, 0, 0, 0, 0, 0, null, null, 'private.test_repair($1)', 'sync-mirror'");
    await tx.query("set local statement_timeout = '1s'");
    await tx.query("select private.watch_coherence()");
    await tx.query("set local statement_timeout = 0");
    expect(await countOf(tx, "public.coherence_history where pair = 'test mirror'")).toBe(1);
    expect(await openAlerts(tx, "coherence_repair")).toHaveLength(1);
  }),
);

it(
  "a capability hides nothing where it takes all the time there is",
  onBucket(async (tx) => {
    await addAgreement(tx, 3);
    await tellPair(tx, "1, 1, 0, 0, 0, 0, 0, 0, null, null, null, null from pg_sleep(30)");
    await tx.query("set local statement_timeout = '1s'");
    expect(await told(tx, QUEUE)).toMatchObject([{ sourceCount: 3, verdict: "ok" }]);
    expect((await report(tx)).verdict).toBe("alert");
    await tx.query("select private.watch_coherence()");
    await tx.query("set local statement_timeout = 0");
    expect(await openAlerts(tx, "coherence")).toEqual([
      expect.stringContaining("It cannot be examined: canceling statement due to statement timeout"),
    ]);
  }),
);

it(
  "whoever cancels a report is obeyed",
  onBucket(async (tx) => {
    await tellPair(tx, "1, 1, 0, 0, 0, 0, 0, 0, null, null, null, null from pg_sleep(30)");
    const pid = await valueOf<number>(tx, "select pg_backend_pid()");
    const reported = tx.query("select public.coherence_report()").then(
      () => "reported",
      (error) => error.code as string,
    );
    await withSession(async (other) => {
      const isAsleep = "select wait_event = 'PgSleep' as is_asleep from pg_stat_activity where pid = $1";
      while ((await other.query<{ is_asleep: boolean | null }>(isAsleep, [pid])).rows[0]?.is_asleep !== true);
      await other.query("select pg_cancel_backend($1)", [pid]);
    }, superuserUrl());
    expect(await reported).toBe("57014");
  }),
);

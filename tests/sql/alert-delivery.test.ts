import { randomUUID } from "node:crypto";
import { expect, inject, onTestFinished, test } from "vitest";
import { createOwnDatabase } from "../postgres/support/own-database.ts";
import { stack } from "../support/stack.ts";
import { type HeardRequest, listen } from "./support/listener.ts";
import { responseTo } from "./support/responses.ts";
import { become, inVain, refusalOf, type Session, superuserUrl, valueOf, withSession } from "./support/session.ts";

interface Delivery {
  attempts: number;
  request_id: string | null;
  delivered: boolean;
  problem: string | null;
}

interface Check {
  name: string;
  ok: boolean;
  detail: string;
  mend: string | null;
}

const KIND = "test_delivery";
/** What must be told nowhere. */
const SECRET = "T0KENofTHEchannel";
const WEBHOOK = `http://127.0.0.1:1/services/${SECRET}`;

const forgetWebhook = (tx: Session) => tx.query("delete from vault.secrets where name = 'alert_webhook_url'");

async function setWebhook(tx: Session, url: string): Promise<void> {
  await forgetWebhook(tx);
  await tx.query("select vault.create_secret($1, 'alert_webhook_url')", [url]);
}

const raise = (tx: Session, subject: string, message = "It burns") =>
  tx.query("select private.raise_alert($1, $2, $3)", [KIND, subject, message]);
const resolve = (tx: Session, subject: string) => tx.query("select private.resolve_alert($1, $2)", [KIND, subject]);
const deliver = (tx: Session) => tx.query("select private.deliver_alerts()");

async function deliveries(tx: Session, subject: string): Promise<Delivery[]> {
  const { rows } = await tx.query<Delivery>(
    `select d.attempts, d.request_id, d.delivered_at is not null as delivered, d.problem
     from private.alert_deliveries as d join public.alerts as a on a.id = d.alert_id
     where a.kind = $1 and a.subject = $2 order by a.id`,
    [KIND, subject],
  );
  return rows;
}

/** The one delivery of the one alert about this. */
async function delivery(tx: Session, subject: string): Promise<Delivery> {
  const [only, ...others] = await deliveries(tx, subject);
  if (only === undefined || others.length > 0) throw new Error(`Not one delivery about ${subject}`);
  return only;
}

/** How many requests about a subject wait to be sent, where nothing is committed. */
const queued = (tx: Session, subject: string) =>
  valueOf<number>(
    tx,
    "select count(*)::int from net.http_request_queue where position($1 in convert_from(body, 'utf8')) > 0",
    [`${KIND} (${subject})`],
  );

/** Time passes for this alert and its delivery. */
async function age(tx: Session, subject: string, interval: string): Promise<void> {
  await tx.query(
    `update private.alert_deliveries set attempted_at = attempted_at - $2::interval
     where alert_id in (select id from public.alerts where kind = $3 and subject = $1)`,
    [subject, interval, KIND],
  );
  await tx.query(
    "update public.alerts set first_seen_at = first_seen_at - $2::interval where kind = $3 and subject = $1",
    [
      subject,
      interval,
      KIND,
    ],
  );
}

/** pg_net has taken a request from its queue; with no outcome, it was lost. */
async function settle(tx: Session, requestId: string | null, outcome?: { status?: number; timedOut?: boolean }) {
  await tx.query("delete from net.http_request_queue where id = $1", [requestId]);
  if (outcome === undefined) return;
  await tx.query("insert into net._http_response (id, status_code, timed_out, error_msg) values ($1, $2, $3, $4)", [
    requestId,
    outcome.status ?? null,
    outcome.timedOut ?? false,
    outcome.status === undefined ? `No luck with ${WEBHOOK}` : null,
  ]);
}

async function check(tx: Session): Promise<Check> {
  const checks = await valueOf<Check[]>(tx, "select health_checks()");
  const found = checks.filter(({ name }) => name === "alert delivery");
  expect(found, "one line about it").toHaveLength(1);
  return found[0] as Check;
}

/** Only a superuser may say what pg_net did. */
const inVainWithWebhook = (work: (tx: Session) => Promise<void>, url = WEBHOOK) =>
  inVain(async (tx) => {
    await setWebhook(tx, url);
    await work(tx);
  }, superuserUrl());

/** Commits a transaction that sees a webhook; the transactions of other suites see none. */
async function committed<T>(session: Session, url: string, work: () => Promise<T>): Promise<T> {
  await session.query("begin");
  await setWebhook(session, url);
  const result = await work();
  await forgetWebhook(session);
  await session.query("commit");
  return result;
}

/** A subject of this test's own, whose alerts are gone when the test is. */
function ownSubject(): string {
  const subject = randomUUID();
  onTestFinished(() =>
    withSession(async (session) => {
      await session.query("delete from public.alerts where kind = $1 and subject = $2", [KIND, subject]);
    })
  );
  return subject;
}

const heardAbout = (heard: HeardRequest[], subject: string) => heard.filter(({ body }) => body.includes(subject));

test("an alert that is opened reaches the webhook, in words that say what, about what, since when and where", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    const subject = ownSubject();
    await committed(session, `${url}/services/${SECRET}`, () => raise(session, subject, "It burns"));
    await responseTo(session, (await delivery(session, subject)).request_id);
    expect(heard).toMatchObject([{
      method: "POST",
      url: `/services/${SECRET}`,
      headers: { "content-type": "application/json" },
    }]);
    expect(JSON.parse(heard[0]?.body ?? "")).toEqual({
      text: expect.stringMatching(
        new RegExp(
          `^${KIND} \\(${subject}\\)\nIt burns\nFirst seen \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC on ${
            new URL(stack().url).host
          }$`,
        ),
      ),
    });
  }));

test("what a receiver took is noted as delivered and never sent again", () =>
  withSession(async (session) => {
    const { url, heard } = await listen((_, response) => void response.writeHead(204).end());
    const subject = ownSubject();
    await committed(session, url, () => raise(session, subject));
    await responseTo(session, (await delivery(session, subject)).request_id);
    for (let round = 0; round < 2; round++) {
      await committed(session, url, () => deliver(session));
      expect(await delivery(session, subject)).toEqual({
        attempts: 1,
        request_id: null,
        delivered: true,
        problem: null,
      });
    }
    await inVain(async (tx) => {
      await setWebhook(tx, url);
      await age(tx, subject, "1 day");
      await deliver(tx);
      expect(await queued(tx, subject)).toBe(0);
      expect(await check(tx)).toMatchObject({ ok: true, detail: expect.stringMatching(/^last delivered .* UTC$/) });
    });
    expect(heardAbout(heard, subject)).toHaveLength(1);
  }));

test("what a receiver answers with an error is sent again, three times in all", () =>
  withSession(async (session) => {
    const { url, heard } = await listen((_, response) => void response.writeHead(500).end(`Not ${url}`));
    const subject = ownSubject();
    await committed(session, url, () => raise(session, subject));
    for (const attempts of [1, 2, 3]) {
      const sent = await delivery(session, subject);
      expect(sent).toMatchObject({ attempts, request_id: expect.anything() });
      await responseTo(session, sent.request_id);
      await committed(session, url, () => deliver(session));
    }
    await committed(session, url, () => deliver(session));
    expect(await delivery(session, subject)).toEqual({
      attempts: 3,
      request_id: null,
      delivered: false,
      problem: "the receiver answered 500",
    });
    expect(heardAbout(heard, subject)).toHaveLength(3);
  }));

test("what arrives at the second attempt is delivered, and nothing is left of the problem", () =>
  withSession(async (session) => {
    const answers = [503, 200];
    const { url, heard } = await listen((_, response) => void response.writeHead(answers.shift() ?? 200).end());
    const subject = ownSubject();
    await committed(session, url, () => raise(session, subject));
    await responseTo(session, (await delivery(session, subject)).request_id);
    await committed(session, url, () => deliver(session));
    const again = await delivery(session, subject);
    expect(again).toMatchObject({ attempts: 2, problem: "the receiver answered 503" });
    await responseTo(session, again.request_id);
    await committed(session, url, () => deliver(session));
    expect(await delivery(session, subject)).toEqual({ attempts: 2, request_id: null, delivered: true, problem: null });
    expect(heardAbout(heard, subject)).toHaveLength(2);
  }));

test("a receiver that never answers is given up on, and tried again", () =>
  withSession(async (session) => {
    const { url } = await listen(() => {});
    const subject = ownSubject();
    await committed(session, url, () => raise(session, subject));
    const { request_id } = await delivery(session, subject);
    expect(await responseTo(session, request_id)).toMatchObject({
      timed_out: true,
      error_msg: expect.stringContaining("Timeout of 5000 ms reached"),
    });
    await inVain(async (tx) => {
      await setWebhook(tx, url);
      await deliver(tx);
      expect(await delivery(tx, subject)).toMatchObject({
        attempts: 2,
        problem: "the receiver did not answer in time",
      });
    });
  }));

test("what is rolled back is never sent", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    const [regretted, meant] = [ownSubject(), ownSubject()];
    await committed(session, url, async () => {
      await session.query("savepoint regret");
      await raise(session, regretted);
      await session.query("rollback to regret");
      await raise(session, meant);
    });
    await responseTo(session, (await delivery(session, meant)).request_id);
    expect(heardAbout(heard, meant)).toHaveLength(1);
    expect(heardAbout(heard, regretted)).toEqual([]);
  }));

test("an alert that only counts up is not sent again; a problem that comes back after it was resolved is", () =>
  inVainWithWebhook(async (tx) => {
    for (let seen = 0; seen < 3; seen++) await raise(tx, "disk");
    expect(await queued(tx, "disk")).toBe(1);
    await resolve(tx, "disk");
    expect(await queued(tx, "disk")).toBe(1);
    await raise(tx, "disk");
    expect(await queued(tx, "disk")).toBe(2);
    expect(await deliveries(tx, "disk")).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
  }));

test("an alert that is recorded as resolved already is no news", () =>
  inVainWithWebhook(async (tx) => {
    await tx.query("insert into public.alerts (kind, subject, message, resolved_at) values ($1, 'past', 'x', now())", [
      KIND,
    ]);
    await deliver(tx);
    expect(await queued(tx, "past")).toBe(0);
  }));

test("what a message quotes rings nobody's channel", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "a & b", '<!channel> said "x > y"');
    const text = await valueOf<string>(
      tx,
      "select convert_from(body, 'utf8')::jsonb ->> 'text' from net.http_request_queue order by id desc limit 1",
    );
    expect(text).toMatch(/^test_delivery \(a &amp; b\)\n&lt;!channel&gt; said "x &gt; y"\nFirst seen /);
  }));

test("no subject and no project_url: the message does without", () =>
  inVainWithWebhook(async (tx) => {
    await tx.query("delete from vault.secrets where name = 'project_url'");
    await raise(tx, "");
    const text = await valueOf<string>(
      tx,
      "select convert_from(body, 'utf8')::jsonb ->> 'text' from net.http_request_queue order by id desc limit 1",
    );
    expect(text).toMatch(/^test_delivery\nIt burns\nFirst seen [-0-9: ]+ UTC$/);
  }));

test("a request that was lost is sent again after ten minutes, not before", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    const { request_id } = await delivery(tx, "disk");
    await settle(tx, request_id);
    await age(tx, "disk", "9 minutes 50 seconds");
    await deliver(tx);
    expect(await delivery(tx, "disk")).toEqual({ attempts: 1, request_id, delivered: false, problem: null });
    await age(tx, "disk", "20 seconds");
    await deliver(tx);
    expect(await delivery(tx, "disk")).toMatchObject({ attempts: 2, problem: "no answer came within 10 minutes" });
    expect(await queued(tx, "disk")).toBe(1);
  }));

test("a request that pg_net still has in its queue is waited for, and the operator told", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    await age(tx, "disk", "11 minutes");
    for (let round = 0; round < 2; round++) await deliver(tx);
    expect(await queued(tx, "disk")).toBe(1);
    expect(await check(tx)).toEqual({
      name: "alert delivery",
      ok: false,
      detail: "the last delivery failed: pg_net has not sent it yet (attempt 1 of 3); open alerts not delivered: 1",
      mend: "pg_net has stopped. Run: select net.worker_restart();",
    });
    await settle(tx, (await delivery(tx, "disk")).request_id, { status: 200 });
    await deliver(tx);
    expect(await delivery(tx, "disk")).toMatchObject({ attempts: 1, delivered: true, problem: null });
  }));

test("an answer to somebody else's request of the same number is not taken for one's own", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    const { request_id } = await delivery(tx, "disk");
    await settle(tx, request_id, { status: 200 });
    await tx.query("update net._http_response set created = now() - interval '1 hour' where id = $1", [request_id]);
    await deliver(tx);
    expect(await delivery(tx, "disk")).toMatchObject({ attempts: 1, delivered: false });
  }));

test.each([
  [{ status: 302 }, "the receiver answered 302"],
  [{ status: 404 }, "the receiver answered 404"],
  [{ status: 200, timedOut: true }, "the receiver did not answer in time"],
  [{}, "the receiver could not be reached"],
])("%j is no delivery", (outcome, problem) =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    await settle(tx, (await delivery(tx, "disk")).request_id, outcome);
    await deliver(tx);
    expect(await delivery(tx, "disk")).toMatchObject({ attempts: 2, delivered: false, problem });
  }));

test("a problem that was resolved meanwhile is not sent again", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    await settle(tx, (await delivery(tx, "disk")).request_id, { status: 500 });
    await resolve(tx, "disk");
    await deliver(tx);
    expect(await delivery(tx, "disk")).toMatchObject({ attempts: 1, request_id: null, problem: expect.any(String) });
    expect(await queued(tx, "disk")).toBe(0);
  }));

test("no webhook: alerts are opened all the same, nothing is queued, and nothing is wrong with that", () =>
  inVain(async (tx) => {
    await forgetWebhook(tx);
    await raise(tx, "disk");
    await deliver(tx);
    expect(await queued(tx, "disk")).toBe(0);
    expect(await deliveries(tx, "disk")).toEqual([]);
    expect(await check(tx)).toEqual({
      name: "alert delivery",
      ok: true,
      detail: "not set: alerts are only in the table",
      mend: null,
    });
  }));

test("setting a webhook brings the open alerts of the last hour, no older ones and none that are resolved", () =>
  inVain(async (tx) => {
    await forgetWebhook(tx);
    for (const subject of ["fresh", "old", "gone"]) await raise(tx, subject);
    await resolve(tx, "gone");
    await age(tx, "fresh", "59 minutes");
    await age(tx, "old", "1 hour 1 second");
    await setWebhook(tx, WEBHOOK);
    for (let round = 0; round < 2; round++) await deliver(tx);
    expect(await queued(tx, "fresh")).toBe(1);
    expect(await queued(tx, "old")).toBe(0);
    expect(await queued(tx, "gone")).toBe(0);
    await raise(tx, "old");
    expect(await queued(tx, "old")).toBe(0);
  }));

test("a flood is sent in rounds that pg_net can bear", () =>
  inVain(async (tx) => {
    await tx.query("update public.alerts set resolved_at = now() where resolved_at is null");
    await forgetWebhook(tx);
    await tx.query("select private.raise_alert($1, 'flood ' || n, 'x') from generate_series(1, 120) as n", [KIND]);
    await setWebhook(tx, WEBHOOK);
    const sent = () => valueOf(tx, "select count(*)::int from net.http_request_queue where url = $1", [WEBHOOK]);
    for (const total of [50, 100, 120, 120]) {
      await deliver(tx);
      expect(await sent()).toBe(total);
    }
  }));

test.each([
  `ftp://files.example.com/${SECRET}`,
  `hooks.example.com/${SECRET}`,
  `https://hooks.example.com/a b/${SECRET}`,
  `https://hooks.example.com/\n${SECRET}`,
  `see https://hooks.example.com/${SECRET}`,
  `https:///${SECRET}`,
  "https://<webhook>",
  "env(ACCORD_ALERT_WEBHOOK_URL)",
])("%j is no webhook: nothing is sent, and one line says how to mend it", (url) =>
  inVainWithWebhook(async (tx) => {
    const before = await valueOf(tx, "select count(*)::int from net.http_request_queue");
    await raise(tx, "disk");
    await deliver(tx);
    expect(await valueOf(tx, "select count(*)::int from net.http_request_queue")).toBe(before);
    const wrong = await check(tx);
    expect(wrong).toEqual({
      name: "alert delivery",
      ok: false,
      detail: "alert_webhook_url in Vault is no http or https URL: nothing is sent",
      mend:
        "Run: select vault.update_secret(id, 'https://<webhook>') from vault.secrets where name = 'alert_webhook_url';",
    });
    await tx.query((wrong.mend ?? "").replace(/^Run: /, "").replace("<webhook>", "hooks.example.com/services/x"));
    expect(await check(tx)).toMatchObject({ ok: true, mend: null });
    await deliver(tx);
    expect(await queued(tx, "disk")).toBe(1);
  }, url));

test.each([" https://hooks.example.com/services/x\n", "HTTPS://user:pass@hooks.example.com:8443/x?a=1&b=%20#c"])(
  "%j is one",
  (url) =>
    inVainWithWebhook(async (tx) => {
      await raise(tx, "disk");
      expect(await queued(tx, "disk")).toBe(1);
      expect(await check(tx)).toMatchObject({ ok: true, detail: expect.any(String), mend: null });
    }, url),
);

test("a delivery that fails is told, and what the check says tries it anew and makes it well", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    await settle(tx, (await delivery(tx, "disk")).request_id, { status: 404 });
    await deliver(tx);
    const failed = await check(tx);
    expect(failed).toMatchObject({
      ok: false,
      detail: "the last delivery failed: the receiver answered 404 (attempt 2 of 3); open alerts not delivered: 1",
    });
    await tx.query(/Run: (.*)$/.exec(failed.mend ?? "")?.[1] ?? "");
    const test = await valueOf<string>(
      tx,
      `select d.request_id from private.alert_deliveries as d join public.alerts as a on a.id = d.alert_id
       where a.kind = 'delivery_test' and a.resolved_at is not null order by a.id desc limit 1`,
    );
    await settle(tx, test, { status: 200 });
    await deliver(tx);
    expect(await check(tx)).toMatchObject({ ok: true, mend: null });
  }));

test("pg_net out of order: the alert stands, so does the transaction, the operator is told, and it is tried again", () =>
  inVainWithWebhook(async (tx) => {
    await tx.query("alter function net.http_post rename to http_post_out_of_order");
    await raise(tx, "disk");
    await tx.query("insert into public.faq_items (question) values ('Still here?')");
    expect(await delivery(tx, "disk")).toEqual({
      attempts: 1,
      request_id: null,
      delivered: false,
      problem: "the request could not be queued (SQLSTATE 42883)",
    });
    expect(await check(tx)).toMatchObject({ ok: false, detail: expect.stringContaining("could not be queued") });
    expect(await valueOf(tx, "select count(*)::int from public.alerts where kind = $1", [KIND])).toBe(1);
    await tx.query("alter function net.http_post_out_of_order rename to http_post");
    await deliver(tx);
    expect(await queued(tx, "disk")).toBe(1);
  }));

test("even where no account can be kept, the alert stands; the log says which was not sent, and it is found later", () =>
  inVainWithWebhook(async (tx) => {
    const warnings: string[] = [];
    tx.on("notice", ({ message, detail = "" }) => warnings.push(`${message} ${detail}`));
    await tx.query("alter table private.alert_deliveries rename to alert_deliveries_away");
    await raise(tx, "disk");
    expect(await valueOf(tx, "select count(*)::int from public.alerts where kind = $1", [KIND])).toBe(1);
    expect(warnings.join()).toMatch(/^Alert \d+ was not sent \(SQLSTATE 42P01\) $/);
    await tx.query("alter table private.alert_deliveries_away rename to alert_deliveries");
    expect(await queued(tx, "disk")).toBe(0);
    await deliver(tx);
    expect(await queued(tx, "disk")).toBe(1);
  }));

test("the webhook is told nowhere, whatever goes wrong with it", () =>
  inVainWithWebhook(async (tx) => {
    const notices: string[] = [];
    tx.on("notice", (notice) => notices.push(JSON.stringify(notice)));
    await raise(tx, "refused");
    await settle(tx, (await delivery(tx, "refused")).request_id, { status: 403 });
    await raise(tx, "unreachable");
    await settle(tx, (await delivery(tx, "unreachable")).request_id, {});
    await deliver(tx);
    const problems = (await Promise.all(["refused", "unreachable"].map((subject) => delivery(tx, subject))))
      .map(({ problem }) => problem);
    expect(problems).toEqual(["the receiver answered 403", "the receiver could not be reached"]);
    // Their second attempts fail before they are sent, and so does the first of a third one.
    await tx.query("update private.alert_deliveries set request_id = null");
    await tx.query(`
      alter function net.http_post rename to http_post_out_of_order;
      create function net.http_post(url text, body jsonb, headers jsonb, timeout_milliseconds integer) returns bigint
      language plpgsql as $$ begin raise exception 'cannot post to %', url using detail = url, hint = url; end $$`);
    await raise(tx, "unqueued");
    await deliver(tx);
    const told = [
      await valueOf(tx, "select health_checks()::text"),
      await valueOf(tx, "select system_status()::text"),
      await valueOf(tx, "select jsonb_agg(a)::text from public.alerts as a"),
      await valueOf(tx, "select jsonb_agg(d)::text from private.alert_deliveries as d"),
      ...notices,
    ].join();
    expect(told).toContain("could not be queued (SQLSTATE P0001)");
    expect(told).not.toContain(SECRET);
  }));

test("callers of the API learn neither the webhook nor what became of deliveries, and send nothing", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    for (const role of ["anon", "authenticated", "service_role"]) {
      await become(tx, role, { app_metadata: { role: "admin" } });
      for (
        const sql of [
          "select private.alert_webhook_url()",
          "select private.deliver_alerts()",
          "select private.alert_message(null)",
          "select private.send_alert(null)",
          "select from private.alert_deliveries",
        ]
      ) {
        expect(await refusalOf(tx, sql), `${role}: ${sql}`).toMatchObject({ code: "42501" });
      }
    }
  }));

test("an alert that a machine records by itself is sent as well", () =>
  inVainWithWebhook(async (tx) => {
    await become(tx, "service_role");
    await tx.query("insert into public.alerts (kind, subject, message) values ($1, 'machine', 'x')", [KIND]);
    await tx.query("select set_config('role', 'none', true)");
    expect(await queued(tx, "machine")).toBe(1);
  }));

test("what became of an alert goes with it", () =>
  inVainWithWebhook(async (tx) => {
    await raise(tx, "disk");
    await tx.query("delete from public.alerts where kind = $1", [KIND]);
    expect(
      await valueOf(
        tx,
        `select count(*)::int from private.alert_deliveries as d
         where not exists (select from public.alerts as a where a.id = d.alert_id)`,
      ),
    ).toBe(0);
  }));

test("it is scheduled every five minutes, and the operator is told when it is not", () =>
  inVain(async (tx) => {
    const { rows } = await tx.query(
      "select schedule, command, active from cron.job where jobname = 'accord-alert-delivery'",
    );
    expect(rows).toEqual([{ schedule: "*/5 * * * *", command: "select private.deliver_alerts()", active: true }]);
    const schedule = async () =>
      (await valueOf<Check[]>(tx, "select health_checks()")).find(({ name }) =>
        name === "schedule accord-alert-delivery"
      );
    expect(await schedule()).toMatchObject({ ok: true, mend: null });
    await tx.query(
      "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'accord-alert-delivery'",
    );
    expect(await schedule()).toMatchObject({ ok: false, mend: expect.stringMatching(/^Run: select cron\.alter_job/) });
    await tx.query("select cron.unschedule('accord-alert-delivery')");
    expect(await schedule()).toMatchObject({ ok: false, detail: "not scheduled" });
  }));

// The embedded database serves one transaction at a time.
test.runIf(inject("lane") === "postgres")(
  "two rounds at once send an alert once, and opening one meanwhile waits for nobody",
  async () => {
    const database = await createOwnDatabase();
    onTestFinished(() => database.drop());
    const [first, second, user] = [await database.connect(), await database.connect(), await database.connect()];
    await raise(user, "unsent");
    await setWebhook(user, WEBHOOK);
    await first.query("begin");
    await deliver(first);
    const secondRound = deliver(second);
    await expect.poll(() =>
      valueOf(
        user,
        "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
    ).toBe(1);
    await raise(user, "meanwhile");
    await first.query("commit");
    await secondRound;
    expect(await queued(user, "unsent")).toBe(1);
    expect(await queued(user, "meanwhile")).toBe(1);
    expect(await delivery(user, "unsent")).toMatchObject({ attempts: 1 });
  },
);

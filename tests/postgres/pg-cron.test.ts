import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { endedRun, scheduleJob } from "../sql/support/jobs.ts";
import { listenOn } from "../sql/support/notifications.ts";
import { responseTo } from "../sql/support/responses.ts";
import { valueOf, withSession } from "../sql/support/session.ts";
import { connectClient } from "../support/client.ts";
import { stack } from "../support/stack.ts";

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

test("an edit is followed by pg_cron's own worker alone, from supabase-js to search", () =>
  withSession(async (session) => {
    const client = connectClient(stack().url, stack().secretKey);
    const id = randomUUID();
    const question = `Que devient la phrase ${id} ?`;
    const schedule = (value: string) =>
      session.query("select cron.alter_job(jobid, schedule := $1) from cron.job where jobname = 'accord-embeddings'", [
        value,
      ]);
    onTestFinished(async () => {
      await client.from("faq_items").delete().eq("id", id);
      await client.rpc("set_setting", { name: "embedding_wake", value: "immediate" });
    });
    await client.rpc("set_setting", { name: "embedding_wake", value: "cron" });
    await schedule("1 seconds");
    expect((await client.from("faq_items").insert({ id, question })).error).toBeNull();
    await expect.poll(async () => {
      const { data } = await client.functions.invoke("search", { body: { query: question, limit: 1 } });
      return data?.results?.[0]?.sourceId;
    }, { timeout: 30_000, interval: 100 }).toBe(id);
    await schedule("*/5 * * * *");
  }));

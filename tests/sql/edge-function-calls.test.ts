import { expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { listen } from "./support/listener.ts";
import { responseTo } from "./support/responses.ts";
import {
  become,
  becomeOwner,
  inVain,
  refusalOf,
  type Session,
  superuserUrl,
  valueOf,
  withSession,
} from "./support/session.ts";

const call = (tx: Session, name = "health", body: unknown = {}) =>
  valueOf<string | null>(tx, "select private.call_edge_function($1, $2)", [name, JSON.stringify(body)]);

const openAlerts = async (tx: Session) =>
  (await tx.query<{ kind: string; subject: string; message: string }>(
    `select kind, subject, message from public.alerts
     where resolved_at is null and kind in ('vault_secret_missing', 'function_call_failed') order by id`,
  )).rows;

const forget = (tx: Session, ...names: string[]) =>
  tx.query("delete from vault.secrets where name = any ($1)", [names]);

/** Commits a transaction in which the project's address is another one; all other transactions see the stack's. */
async function inProjectAt<T>(url: string, work: (tx: Session) => Promise<T>): Promise<T> {
  const point = (tx: Session, to: string) =>
    tx.query("select vault.update_secret(id, $1) from vault.secrets where name = 'project_url'", [to]);
  return await withSession(async (tx) => {
    await tx.query("begin");
    await point(tx, url);
    const result = await work(tx);
    await point(tx, stack().url);
    await tx.query("commit");
    return result;
  });
}

test("nothing in Vault: the operator finds a warning, and the transaction goes on", () =>
  inVain(async (tx) => {
    await forget(tx, "project_url", "automations_key");
    expect(await call(tx)).toBeNull();
    await tx.query("insert into public.faq_items (question) values ('Still here?')");
    expect(await openAlerts(tx)).toEqual([{
      kind: "vault_secret_missing",
      subject: "project_url and automations_key",
      message: "health was not called: Vault holds no project_url and automations_key. " +
        "`accord doctor` says how to put it there.",
    }]);
  }));

test.each(["project_url", "automations_key"])(
  "only %s missing: the warning names it alone",
  (name) =>
    inVain(async (tx) => {
      await forget(tx, name);
      expect(await call(tx)).toBeNull();
      expect(await openAlerts(tx)).toMatchObject([{ kind: "vault_secret_missing", subject: name }]);
    }),
);

test("a user's own transaction that would call a function succeeds, whatever Vault lacks", () =>
  inVain(async (tx) => {
    await tx.query(`
      create table public.notes (body text);
      grant insert on public.notes to authenticated;
      create function private.announce_note() returns trigger language plpgsql security definer set search_path = ''
      as $$ begin perform private.call_edge_function('health'); return null; end $$;
      create trigger announce after insert on public.notes for each row execute function private.announce_note();`);
    await forget(tx, "project_url");
    await become(tx, "authenticated", { sub: "0a000000-0000-4000-8000-000000000002" });
    await tx.query("insert into public.notes values ('Mine')");
    await becomeOwner(tx);
    expect(await valueOf(tx, "select count(*)::int from public.notes")).toBe(1);
    expect(await openAlerts(tx)).toMatchObject([{ subject: "project_url" }]);
  }));

test("a blank secret is a missing one, and the line break of a pasted one does no harm", () =>
  inVain(async (tx) => {
    const put = (value: string) =>
      tx.query("select vault.update_secret(id, $1) from vault.secrets where name = 'project_url'", [value]);
    await put(" \n");
    expect(await call(tx)).toBeNull();
    await put("http://127.0.0.1:1/\n");
    const id = await call(tx);
    expect(await valueOf(tx, "select url from net.http_request_queue where id = $1", [id]))
      .toBe("http://127.0.0.1:1/functions/v1/health");
  }));

test("a call that could be queued again closes the warnings", () =>
  inVain(async (tx) => {
    await tx.query("select private.raise_alert('vault_secret_missing', 'project_url', 'x')");
    await tx.query("select private.raise_alert('function_call_failed', 'health', 'x')");
    await tx.query("select private.raise_alert('function_call_failed', 'another', 'x')");
    expect(await call(tx)).not.toBeNull();
    expect(await openAlerts(tx)).toMatchObject([{ kind: "function_call_failed", subject: "another" }]);
  }));

test("pg_net out of order: a warning as well, and no error", () =>
  inVain(async (tx) => {
    await tx.query("alter function net.http_post rename to http_post_out_of_order");
    expect(await call(tx)).toBeNull();
    expect(await openAlerts(tx)).toMatchObject([{ kind: "function_call_failed", subject: "health" }]);
  }, superuserUrl()));

test("the request waits for as long as the setting says", () =>
  inVain(async (tx) => {
    const waits = (id: unknown) =>
      valueOf(tx, "select timeout_milliseconds from net.http_request_queue where id = $1", [id]);
    expect(await waits(await call(tx))).toBe(150_000);
    await tx.query("select set_setting('function_call_timeout_ms', '7000')");
    expect(await waits(await call(tx))).toBe(7_000);
  }));

test.each(["", "a b", "../rest/v1/faq_items", "health?x=1", "-health", "health/"])(
  "%j is no name of a function, and the caller hears of it",
  (name) =>
    inVain(async (tx) => {
      expect(await refusalOf(tx, "select private.call_edge_function($1)", [name])).toEqual({
        code: "22023",
        message: `An Edge Function cannot be called "${name}"`,
        hint: "Give its name alone, such as process-embedding-queue.",
      });
    }),
);

test("as this stack is configured, the function is reached and lets the database in", () =>
  withSession(async (session) => {
    const response = await responseTo(session, await call(session));
    expect(response).toMatchObject({ status_code: 200, error_msg: null });
    expect(JSON.parse(response.content ?? "")).toMatchObject({ checks: expect.any(Array) });
  }));

test("a function hears its name, the key of machines and the body", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    const id = await inProjectAt(`${url}/`, (tx) => call(tx, "process-embedding-queue", { action: "status" }));
    expect((await responseTo(session, id)).content).toBe("heard");
    expect(heard).toMatchObject([{
      method: "POST",
      url: "/functions/v1/process-embedding-queue",
      headers: { "content-type": "application/json", apikey: stack().secretKey },
      body: expect.stringMatching(/^\{"action": ?"status"\}$/),
    }]);
  }));

test("what is rolled back calls nobody", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    await inProjectAt(url, async (tx) => {
      await tx.query("savepoint regret");
      await call(tx, "regretted");
      await tx.query("rollback to regret");
    });
    await inVain(async (tx) => {
      await tx.query("select vault.update_secret(id, $1) from vault.secrets where name = 'project_url'", [url]);
      await call(tx, "regretted");
    });
    const id = await inProjectAt(url, (tx) => call(tx, "meant"));
    await responseTo(session, id);
    expect(heard.map((request) => request.url)).toEqual(["/functions/v1/meant"]);
  }));

test("a call that fails is not made again", () =>
  withSession(async (session) => {
    const { url, heard } = await listen((_, response) => void response.writeHead(503).end("busy"));
    const id = await inProjectAt(url, (tx) => call(tx, "busy"));
    expect(await responseTo(session, id)).toMatchObject({ status_code: 503, content: "busy" });
    await responseTo(session, await inProjectAt(url, (tx) => call(tx, "next")));
    expect(heard.map((request) => request.url)).toEqual(["/functions/v1/busy", "/functions/v1/next"]);
  }));

test("a function that does not answer in time leaves a note of it", () =>
  withSession(async (session) => {
    const { url } = await listen(() => {});
    const id = await inProjectAt(url, async (tx) => {
      await tx.query("select set_setting('function_call_timeout_ms', '1000')");
      const request = await call(tx, "asleep");
      await tx.query("select set_setting('function_call_timeout_ms', 'null')");
      return request;
    });
    expect(await responseTo(session, id)).toMatchObject({
      status_code: null,
      timed_out: true,
      error_msg: expect.stringContaining("Timeout of 1000 ms reached"),
    });
  }));

import { createServer } from "node:net";
import { expect, test } from "vitest";
import { listen } from "./support/listener.ts";
import { responsesTo, responseTo } from "./support/responses.ts";
import { become, inVain, refusalOf, type Session, valueOf, withSession } from "./support/session.ts";

/** What pg_net's own documentation and sources promise; no lane of ours has the real one. */
const get = (session: Session, url: string, timeout = 5_000) =>
  valueOf<string>(session, "select net.http_get($1, timeout_milliseconds := $2)", [url, timeout]);

test("its functions take what pg_net's take, by the same names", () =>
  inVain(async (tx) => {
    const { rows } = await tx.query<{ signature: string }>(
      `select proname || '(' || pg_get_function_arguments(oid) || ') ' || prorettype::regtype as signature
       from pg_catalog.pg_proc where pronamespace = 'net'::regnamespace and proname ~ '^http_' order by signature`,
    );
    expect(rows.map(({ signature }) => signature)).toEqual([
      "http_delete(url text, params jsonb DEFAULT '{}'::jsonb, headers jsonb DEFAULT '{}'::jsonb, " +
      "timeout_milliseconds integer DEFAULT 5000, body jsonb DEFAULT NULL::jsonb) bigint",
      "http_get(url text, params jsonb DEFAULT '{}'::jsonb, headers jsonb DEFAULT '{}'::jsonb, " +
      "timeout_milliseconds integer DEFAULT 5000) bigint",
      "http_post(url text, body jsonb DEFAULT '{}'::jsonb, params jsonb DEFAULT '{}'::jsonb, " +
      `headers jsonb DEFAULT '{"Content-Type": "application/json"}'::jsonb, ` +
      "timeout_milliseconds integer DEFAULT 5000) bigint",
    ]);
  }));

test("a GET carries its parameters, encoded, and its headers; the answer is kept whole", () =>
  withSession(async (session) => {
    const { url, heard } = await listen((_, response) => {
      response.writeHead(201, { "content-type": "text/plain; charset=utf-8", "x-mark": "yes" }).end("Entendu, « é »");
    });
    const id = await valueOf(session, "select net.http_get($1, params := $2, headers := $3)", [
      `${url}/path?a=1`,
      { "q[]": "é & b+c/d=?" },
      { "X-Own": "mine" },
    ]);
    expect(await responseTo(session, id)).toMatchObject({
      status_code: 201,
      content_type: "text/plain; charset=utf-8",
      headers: expect.objectContaining({ "x-mark": "yes" }),
      content: "Entendu, « é »",
      timed_out: false,
      error_msg: null,
    });
    expect(heard).toMatchObject([{ method: "GET", headers: { "x-own": "mine" }, body: "" }]);
    expect([...new URL(heard[0]?.url ?? "", url).searchParams]).toEqual([["a", "1"], ["q[]", "é & b+c/d=?"]]);
  }));

test("a POST carries JSON and says so, also where only other headers are given", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    const ids = [
      await valueOf(session, 'select net.http_post($1, \'{"a": [1, "é"]}\')', [url]),
      await valueOf(session, "select net.http_post($1, '{}', headers := '{\"X-Own\": \"mine\"}')", [url]),
    ];
    await responsesTo(session, ids);
    expect(heard.map(({ method, headers }) => [method, headers["content-type"]])).toEqual([
      ["POST", "application/json"],
      ["POST", "application/json"],
    ]);
    expect(heard.map(({ body }) => JSON.parse(body))).toContainEqual({ a: [1, "é"] });
  }));

test("a POST of anything but JSON is refused before it is queued", () =>
  inVain(async (tx) => {
    const sql = `select net.http_post('http://127.0.0.1:1', headers := '{"content-type": "text/plain"}')`;
    expect((await refusalOf(tx, sql)).message).toBe(`Content-Type header must be "application/json"`);
  }));

test("a DELETE may carry a body", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    await responseTo(session, await valueOf(session, `select net.http_delete($1, body := '{"ids": [1]}')`, [url]));
    expect(heard).toMatchObject([{ method: "DELETE", body: expect.stringMatching(/^\{"ids": ?\[1\]\}$/) }]);
  }));

test("nothing is sent before the commit, and nothing after a rollback", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    await session.query("begin");
    await get(session, `${url}/rolled-back`);
    await session.query("rollback");
    await session.query("begin");
    const id = await get(session, `${url}/committed`);
    expect(await valueOf(session, "select count(*)::int from net.http_request_queue where id = $1", [id])).toBe(1);
    expect(heard).toEqual([]);
    await session.query("commit");
    await responseTo(session, id);
    expect(heard.map((request) => request.url)).toEqual(["/committed"]);
    expect(await valueOf(session, "select count(*)::int from net.http_request_queue where id = $1", [id])).toBe(0);
  }));

test("an error is an answer: its status is kept, and a redirect is not followed", () =>
  withSession(async (session) => {
    const { url, heard } = await listen((request, response) => {
      response.writeHead(request.url === "/moved" ? 302 : 500, { location: "/elsewhere" }).end("no");
    });
    const responses = await responsesTo(session, [
      await get(session, `${url}/broken`),
      await get(session, `${url}/moved`),
    ]);
    expect(responses.map((response) => response.status_code)).toEqual([500, 302]);
    expect(heard.map((request) => request.url).sort()).toEqual(["/broken", "/moved"]);
  }));

test("a server that does not answer in time is noted as such", () =>
  withSession(async (session) => {
    const { url } = await listen(() => {});
    expect(await responseTo(session, await get(session, url, 200))).toMatchObject({
      status_code: null,
      content: null,
      timed_out: true,
      error_msg: expect.stringContaining("Timeout of 200 ms reached"),
    });
  }));

test("a server that is not there, and an address that is none, are noted as errors and no time-outs", () =>
  withSession(async (session) => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const address = closed.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await new Promise<void>((resolve) => closed.close(() => resolve()));
    const responses = await responsesTo(session, [
      await get(session, `http://127.0.0.1:${port}/`),
      await get(session, "nowhere at all"),
    ]);
    for (const response of responses) {
      expect(response).toMatchObject({ status_code: null, error_msg: expect.stringMatching(/./) });
      expect(response.timed_out).not.toBe(true);
    }
  }));

test("two hundred and fifty requests at once are all sent, each once", () =>
  withSession(async (session) => {
    const { url, heard } = await listen();
    const ids = (await session.query<{ id: string }>(
      "select net.http_get($1 || '/' || n, timeout_milliseconds := 60000) as id from generate_series(1, 250) as n",
      [url],
    )).rows.map(({ id }) => id);
    const responses = await responsesTo(session, ids);
    expect(responses.filter((response) => response.status_code === 200)).toHaveLength(250);
    expect(new Set(heard.map((request) => request.url)).size).toBe(250);
    expect(heard).toHaveLength(250);
  }));

test("users read neither what is queued nor what came of it", () =>
  inVain(async (tx) => {
    await become(tx, "authenticated");
    expect(await refusalOf(tx, "select from net._http_response")).toMatchObject({ code: "42501" });
    expect(await refusalOf(tx, "select from net.http_request_queue")).toMatchObject({ code: "42501" });
  }));

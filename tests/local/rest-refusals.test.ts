import { afterAll, beforeAll, expect, test } from "vitest";
import { SignJWT } from "jose";
import { signLegacy } from "../../local/auth/tokens.ts";
import { define, raw, refusal, service, sql } from "./rest/support.ts";

const drop = `drop table if exists rest_refuse_item, "rest_refuse "" odd; name", rest_refuse_open`;

beforeAll(async () => {
  await define(`
    ${drop};
    create table rest_refuse_item (id int primary key, name text, details jsonb);
    insert into rest_refuse_item values (1, 'one', '{"a": 1}'), (2, 'two', null);
    create table "rest_refuse "" odd; name" ("a ""column"", with: signs" int primary key);
    insert into "rest_refuse "" odd; name" values (7);
    grant all on rest_refuse_item, "rest_refuse "" odd; name" to service_role`);
});

afterAll(() => define(drop));

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  raw(path, { method: "POST", body, headers: { "Content-Type": "application/json", ...headers } });

test("an unknown table is named, with what may have been meant", async () => {
  const { error, status } = await service().from("rest_refuse_itm").select();
  expect(status).toBe(404);
  expect(error).toEqual({
    code: "PGRST205",
    details: null,
    hint: "Perhaps you meant the table 'public.rest_refuse_item'",
    message: "Could not find the table 'public.rest_refuse_itm' in the schema cache",
  });
  expect((await service().from("nowhere_near").insert({ a: 1 })).error).toMatchObject({ code: "PGRST205", hint: null });
});

test("an unknown column is named, read or written", async () => {
  expect(await service().from("rest_refuse_item").select("id, nme")).toMatchObject({
    status: 400,
    error: { code: "42703", message: "column rest_refuse_item.nme does not exist" },
  });
  expect((await service().from("rest_refuse_item").select().eq("nope", 1)).error?.code).toBe("42703");
  expect((await service().from("rest_refuse_item").select().order("nope")).error?.code).toBe("42703");
  expect(await service().from("rest_refuse_item").insert({ nme: "x" })).toMatchObject({
    status: 400,
    error: {
      code: "PGRST204",
      message: "Could not find the 'nme' column of 'rest_refuse_item' in the schema cache",
      details: null,
      hint: null,
    },
  });
});

test("an unknown operator and every other slip of the query are shown where they are", async () => {
  const slips: [query: string, message: string, details: string][] = [
    ["id=noop.1", '"failed to parse filter (noop.1)" (line 1, column 1)', "operator (eq, gt, ...)"],
    ["id=1", '"failed to parse filter (1)" (line 1, column 1)', 'unexpected "1" expecting "not" or operator'],
    ["id=is.maybe", '"failed to parse filter (is.maybe)" (line 1, column 4)', "isVal: (null, not_null"],
    ["id=in.1,2", '"failed to parse filter (in.1,2)" (line 1, column 4)', 'unexpected "1" expecting "("'],
    ["order=id.up", '"failed to parse order (id.up)" (line 1, column 4)', '"asc", "desc", "nullsfirst" or'],
    ["select=id,(name", '"failed to parse select parameter (id,(name)" (line 1, column 4)', 'unexpected "("'],
    ["or=(id.eq.1,)", '"failed to parse logic tree ((id.eq.1,))" (line 1, column 12)', 'unexpected ")"'],
  ];
  for (const [query, message, details] of slips) {
    expect(await refusal(await raw(`/rest_refuse_item?${query}`))).toEqual({
      status: 400,
      code: "PGRST100",
      message,
      details: expect.stringContaining(details),
      hint: null,
    });
  }
});

test("a value that does not fit its column is refused", async () => {
  expect(await service().from("rest_refuse_item").select().eq("id", "one")).toMatchObject({
    status: 400,
    error: { code: "22P02", message: 'invalid input syntax for type integer: "one"' },
  });
  expect((await service().from("rest_refuse_item").insert({ id: "x" })).error?.code).toBe("22P02");
  expect((await service().from("rest_refuse_item").select().eq("name", "null \0 character")).error?.code).toBe("22021");
});

test("a body that is no JSON, or of uneven rows, writes nothing", async () => {
  const invalid = { status: 400, code: "PGRST102", message: "Empty or invalid json", details: null, hint: null };
  expect(await refusal(await post("/rest_refuse_item", '{"id": 3'))).toEqual(invalid);
  expect(await refusal(await post("/rest_refuse_item", ""))).toEqual(invalid);
  expect(await refusal(await post("/rpc/anything", "{'id': 3}"))).toEqual(invalid);
  // PostgREST: the keys are those of the first object, unless `columns` names them.
  expect(await refusal(await post("/rest_refuse_item", '[{"id": 3}, {"id": 4, "name": "x"}]'))).toMatchObject({
    code: "PGRST102",
    message: "All object keys must match",
  });
  expect(await refusal(await post("/rest_refuse_item?columns=id", '[{"id": 3'))).toMatchObject({
    status: 400,
    code: "22P02",
    message: "invalid input syntax for type json",
  });
  expect(await refusal(await post("/rest_refuse_item", "<id>3</id>", { "Content-Type": "text/xml" }))).toMatchObject({
    message: "Content-Type not acceptable: text/xml",
  });
  expect(await sql("select from rest_refuse_item")).toHaveLength(2);
});

test("a method, path, schema, form of answer or preference that is not served is named", async () => {
  expect(await refusal(await raw("/rest_refuse_item", { method: "PUT", json: {} }))).toMatchObject({
    status: 405,
    code: "PGRST117",
    message: "Unsupported HTTP method: PUT",
  });
  for (const path of ["/a/b", "/rpc/a/b", "/rpc", "/%E0%A4%A"]) {
    expect(await refusal(await raw(path))).toMatchObject({ status: 404, code: "PGRST125" });
  }
  expect(await service().schema("secret").from("rest_refuse_item").select()).toMatchObject({
    status: 406,
    error: {
      code: "PGRST106",
      message: "Invalid schema: secret",
      hint: "Only the following schemas are exposed: public",
    },
  });
  expect(await refusal(await raw("/rest_refuse_item", { headers: { Accept: "image/png" } }))).toMatchObject({
    status: 406,
    code: "PGRST107",
    message: "None of these media types are available: image/png",
  });
  expect(await refusal(await raw("/rest_refuse_item", { headers: { Prefer: "handling=strict, cunt=exact" } })))
    .toMatchObject({ status: 400, code: "PGRST122", details: "Invalid preferences: cunt=exact" });
  // PostgREST: aggregates are off unless switched on, and Supabase does not.
  expect(await refusal(await raw("/rest_refuse_item?select=id.max()"))).toMatchObject({
    status: 400,
    code: "PGRST123",
  });
});

test("a refusal says in its headers what it is, and HEAD has no body", async () => {
  const response = await raw("/nowhere_near");
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(response.headers.get("proxy-status")).toBe("PostgREST; error=PGRST205");
  const head = await raw("/nowhere_near", { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([404, ""]);
});

test("a token that is forged, expired, not yet valid or no token at all is refused", async () => {
  const now = Math.floor(Date.now() / 1000);
  const forged = await new SignJWT({ role: "service_role" }).setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode("some other secret, long enough to sign with"));
  const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"role":"service_role"}')}.`.replaceAll("=", "");
  const tokens: [token: string, code: string, message: string][] = [
    [forged, "PGRST301", "No suitable key or wrong key type"],
    [unsigned, "PGRST301", "No suitable key or wrong key type"],
    [await signLegacy({ role: "anon", exp: now - 3600 }), "PGRST303", "JWT expired"],
    [await signLegacy({ role: "anon", nbf: now + 3600 }), "PGRST303", "JWT not yet valid"],
    ["one.two", "PGRST301", "Expected 3 parts in JWT; got 2"],
  ];
  for (const [token, code, message] of tokens) {
    const response = await raw("/rest_refuse_item", { headers: { Authorization: `Bearer ${token}` } });
    expect(response.headers.get("www-authenticate")).toBe(
      `Bearer error="invalid_token", error_description="${message}"`,
    );
    expect(await refusal(response)).toMatchObject({ status: 401, code, message });
  }
});

test("a token cannot take a role that it has no right to", async () => {
  const as = async (role: string) =>
    await refusal(
      await raw("/rest_refuse_item", { headers: { Authorization: `Bearer ${await signLegacy({ role })}` } }),
    );
  expect(await as("rest_refuse_nobody")).toMatchObject({
    status: 401,
    code: "22023",
    message: 'role "rest_refuse_nobody" does not exist',
  });
  // PostgREST: it connects as authenticator, which may become few others.
  expect(await as("supabase_admin")).toMatchObject({
    status: 403,
    code: "42501",
    message: 'permission denied to set role "supabase_admin"',
  });
});

test("names and values that look like SQL are names and values", async () => {
  const attack = `x'; drop table rest_refuse_item; --`;
  const quoted = `x"; drop table rest_refuse_item; --`;
  const items = () => service().from("rest_refuse_item");
  expect(await items().select().eq("name", attack)).toMatchObject({ data: [], error: null });
  expect(await items().select().in("name", [attack, quoted])).toMatchObject({ data: [], error: null });
  expect((await items().select().or(`name.eq."${attack}"`)).error).toBeNull();
  expect((await items().insert({ id: 3, name: attack }).select("name").single()).data).toEqual({ name: attack });
  expect((await items().update({ name: quoted }).eq("id", 3).select("name").single()).data).toEqual({ name: quoted });
  expect((await items().select("name").textSearch("name", attack, { type: "plain", config: "english" })).error)
    .toBeNull();

  const hostile = encodeURIComponent(`"${quoted.replace('"', '\\"')}"`);
  for (
    const [path, code] of [
      [`/${encodeURIComponent(quoted)}`, "PGRST205"],
      [`/rpc/${encodeURIComponent(quoted)}`, "PGRST202"],
      [`/rest_refuse_item?select=${hostile}`, "42703"],
      [`/rest_refuse_item?${hostile}=eq.1`, "42703"],
      [`/rest_refuse_item?order=${hostile}`, "42703"],
      [`/rest_refuse_item?select=${encodeURIComponent("id::text; drop table rest_refuse_item")}`, "PGRST100"],
      [`/rest_refuse_item?select=${encodeURIComponent("id::text as x from pg_authid")}`, "42601"],
      [`/rest_refuse_item?name=fts(${encodeURIComponent("english'")}).x`, "PGRST100"],
    ] as const
  ) expect(await refusal(await raw(path)), path).toMatchObject({ code });
  // PostgREST: what follows the closing parenthesis is not looked at.
  const cut = await raw(`/rest_refuse_item?id=eq.1&select=${encodeURIComponent("id::text) from pg_authid; --")}`);
  expect(await cut.json()).toEqual([{ id: "1" }]);
  const alias = await raw(`/rest_refuse_item?select=${hostile}:id&id=eq.1`);
  expect(await alias.json()).toEqual([{ [quoted]: 1 }]);
  const path = await raw(`/rest_refuse_item?select=x:details->${hostile}&id=eq.1`);
  expect(await path.json()).toEqual([{ x: null }]);
  expect(
    await refusal(
      await post(`/rest_refuse_item?on_conflict=${hostile}`, '{"id": 1}', {
        Prefer: "resolution=merge-duplicates",
      }),
    ),
  ).toMatchObject({ code: "42703" });
  expect(await sql("select from rest_refuse_item")).toHaveLength(3);
});

test("a table and a column may have any name that Postgres allows", async () => {
  const column = `a "column", with: signs`;
  const { data, error } = await service().from(`rest_refuse " odd; name`).select(`"a \\"column\\", with: signs"`);
  expect([data, error]).toEqual([[{ [column]: 7 }], null]);
  const written = await service().from(`rest_refuse " odd; name`).insert({ [column]: 8 });
  expect(written.status).toBe(201);
});

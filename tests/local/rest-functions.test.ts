import { afterAll, beforeAll, expect, test } from "vitest";
import { anyone, define, raw, refusal, service, sql } from "./rest/support.ts";

const drop = `
  drop table if exists rest_call_item cascade;
  drop function if exists rest_call_add, rest_call_defaults, rest_call_void, rest_call_numbers, rest_call_table,
    rest_call_out, rest_call_null, rest_call_json, rest_call_text, rest_call_bytes, rest_call_variadic,
    rest_call_writes, rest_call_slow, rest_call_patient, rest_call_raises, rest_call_status, rest_call_headers,
    rest_call_bad_headers, rest_call_hidden, rest_call_types;
  drop function if exists rest_call_over(int), rest_call_over(int, int), rest_call_over(text, text, text);
  drop function if exists rest_call_same(int), rest_call_same(text)`;

beforeAll(async () => {
  await define(`
    ${drop};
    create table rest_call_item (id int primary key, name text);
    insert into rest_call_item values (1, 'one'), (2, 'two'), (3, 'three');
    grant all on rest_call_item to service_role;

    create function rest_call_add(a int, b int) returns int immutable return a + b;
    create function rest_call_defaults(a int, b int default 10, c int default 100) returns int return a + b + c;
    create function rest_call_void() returns void language sql as '';
    create function rest_call_null() returns int return null::int;
    create function rest_call_numbers(up_to int) returns setof int stable language sql
      as 'select generate_series(1, up_to)';
    create function rest_call_items(from_id int default 0) returns setof rest_call_item stable language sql
      as 'select * from rest_call_item where id >= from_id order by id';
    create function rest_call_item_one() returns rest_call_item stable language sql
      as 'select * from rest_call_item where id = 1';
    create function rest_call_table() returns table (n int, t text) language sql as $$values (1, 'a'), (2, 'b')$$;
    create function rest_call_out(n int, out twice int, out half numeric) language sql as 'select n * 2, n / 2.0';
    create function rest_call_json(jsonb) returns jsonb return $1;
    create function rest_call_text(text) returns text return upper($1);
    create function rest_call_bytes(bytea) returns int return length($1);
    create function rest_call_variadic(variadic words text[]) returns text[] return words;
    create function rest_call_types(n bigint, at timestamptz, list int[], data json, flag boolean) returns jsonb
      return jsonb_build_array(n, at, list, data, flag);
    create function rest_call_over(a int) returns text return 'one';
    create function rest_call_over(a int, b int) returns text return 'two';
    create function rest_call_over(a text, b text, c text) returns text return 'three';
    create function rest_call_same(a int) returns text return 'int';
    create function rest_call_same(a text) returns text return 'text';
    create function rest_call_writes(new_id int) returns int language sql
      as $$insert into rest_call_item values (new_id, 'made') returning id$$;
    create function rest_call_slow() returns void set statement_timeout = '100ms' language sql as 'select pg_sleep(1)';
    create function rest_call_patient() returns text set statement_timeout = '50s'
      return current_setting('statement_timeout');
    create function rest_call_raises(state text, message text) returns void language plpgsql as $$
      begin
        raise exception using errcode = state, message = message, detail = 'the detail', hint = 'the hint';
      end $$;
    create function rest_call_status() returns text language plpgsql as $$
      begin
        perform set_config('response.status', '418', true);
        return 'short and stout';
      end $$;
    create function rest_call_headers() returns int language plpgsql as $$
      begin
        perform set_config('response.headers', '[{"X-One": "1"}, {"Set-Cookie": "a=1"}, {"Set-Cookie": "b=2"},
          {"Content-Type": "text/x-own"}]', true);
        return 1;
      end $$;
    create function rest_call_bad_headers() returns void language plpgsql as $$
      begin perform set_config('response.headers', '{"X-One": "1"}', true); end $$;
    create function rest_call_hidden() returns int return 1;
    revoke execute on function rest_call_hidden from public`);
});

afterAll(() => define(drop));

test("arguments go by name, whatever their order, and those with a default may be left out", async () => {
  expect(await service().rpc("rest_call_add", { b: 2, a: 40 })).toMatchObject({ status: 200, data: 42 });
  expect((await service().rpc("rest_call_defaults", { a: 1 })).data).toBe(111);
  expect((await service().rpc("rest_call_defaults", { a: 1, c: 3 })).data).toBe(14);
  const args = { n: 9007199254740993n, at: "2026-01-01T00:00:00Z", list: [1, 2], data: { x: null }, flag: true };
  expect((await service().rpc("rest_call_types", args)).data)
    .toEqual([9007199254740992, "2026-01-01T00:00:00+00:00", [1, 2], { x: null }, true]);
});

test("each kind of result has its form", async () => {
  expect((await service().rpc("rest_call_numbers", { up_to: 3 })).data).toEqual([1, 2, 3]);
  expect((await service().rpc("rest_call_table")).data).toEqual([{ n: 1, t: "a" }, { n: 2, t: "b" }]);
  expect((await service().rpc("rest_call_out", { n: 3 })).data).toEqual({ twice: 6, half: 1.5 });
  expect((await service().rpc("rest_call_item_one")).data).toEqual({ id: 1, name: "one" });
  expect((await service().rpc("rest_call_null")).data).toBeNull();
  expect((await service().rpc("rest_call_numbers", { up_to: 0 })).data).toEqual([]);
  // PostgREST: nothing at all is said of a function that returns void.
  const response = await raw("/rpc/rest_call_void", { method: "POST", json: {} });
  expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([204, null, ""]);
});

test("the rows of a function are filtered, ordered, limited, counted and chosen from like a table's", async () => {
  const { data, count, status } = await service().rpc("rest_call_items", { from_id: 1 }, { count: "exact" })
    .select("name").gt("id", 1).order("id", { ascending: false }).limit(1);
  expect([data, count, status]).toEqual([[{ name: "three" }], 2, 206]);
  expect((await service().rpc("rest_call_items").eq("id", 2).single()).data).toEqual({ id: 2, name: "two" });
  const many = await service().rpc("rest_call_numbers", { up_to: 1500 }, { count: "exact" });
  expect([(many.data as number[]).length, many.count, many.status]).toEqual([1000, 1500, 206]);
  const several = await service().rpc("rest_call_items").single();
  expect([several.status, several.error?.code]).toEqual([406, "PGRST116"]);
});

test("a function that only reads can be called with GET or HEAD", async () => {
  expect((await service().rpc("rest_call_add", { a: 1, b: 2 }, { get: true })).data).toBe(3);
  expect((await service().rpc("rest_call_items", { from_id: 2 }, { get: true }).eq("name", "two")).data)
    .toEqual([{ id: 2, name: "two" }]);
  const head = await service().rpc("rest_call_items", {}, { head: true, count: "exact" });
  expect([head.data, head.count, head.status]).toEqual([null, 3, 200]);
});

test("a function that writes cannot be called with GET, nor anything else with DELETE", async () => {
  const written = await service().rpc("rest_call_writes", { new_id: 50 }, { get: true });
  // PostgREST: GET runs in a read-only transaction.
  expect([written.status, written.error?.code]).toEqual([405, "25006"]);
  expect(await sql("select from rest_call_item where id = 50")).toHaveLength(0);
  expect((await service().rpc("rest_call_writes", { new_id: 51 })).data).toBe(51);
  expect(await refusal(await raw("/rpc/rest_call_add", { method: "DELETE" }))).toMatchObject({
    status: 405,
    code: "PGRST101",
    message: "Cannot use the DELETE method on RPC",
  });
  await sql("delete from rest_call_item where id = 51");
});

test("a function with one unnamed parameter takes the whole body", async () => {
  expect((await service().rpc("rest_call_json", { any: ["thing", 1] })).data).toEqual({ any: ["thing", 1] });
  const text = await raw("/rpc/rest_call_text", {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body: "shout",
  });
  expect(await text.json()).toBe("SHOUT");
  const bytes = await raw("/rpc/rest_call_bytes", {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: new Uint8Array([0, 255, 10]),
  });
  expect(await bytes.json()).toBe(3);
});

test("a variadic parameter takes a list, or the same name again and again", async () => {
  expect((await service().rpc("rest_call_variadic", { words: ["a", "b"] })).data).toEqual(["a", "b"]);
  expect(await (await raw("/rpc/rest_call_variadic?words=a&words=b,c")).json()).toEqual(["a", "b,c"]);
});

test("of several functions of a name, the arguments choose", async () => {
  expect((await service().rpc("rest_call_over", { a: 1 })).data).toBe("one");
  expect((await service().rpc("rest_call_over", { a: 1, b: 2 })).data).toBe("two");
  expect((await service().rpc("rest_call_over", { a: 1, b: 2, c: 3 })).data).toBe("three");
  const { error, status } = await service().rpc("rest_call_same", { a: 1 });
  expect(status).toBe(300);
  expect(error).toEqual({
    code: "PGRST203",
    details: null,
    hint: "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    message: "Could not choose the best candidate function between: " +
      "public.rest_call_same(a => integer), public.rest_call_same(a => text)",
  });
});

test("an unknown function or argument is named, with what may have been meant", async () => {
  const { error, status } = await service().rpc("rest_call_ad", { b: 1, a: 2 });
  expect(status).toBe(404);
  expect(error).toEqual({
    code: "PGRST202",
    details: "Searched for the function public.rest_call_ad with parameters a, b or with a single unnamed json/jsonb " +
      "parameter, but no matches were found in the schema cache.",
    hint: "Perhaps you meant to call the function public.rest_call_add",
    message: "Could not find the function public.rest_call_ad(a, b) in the schema cache",
  });
  expect((await service().rpc("rest_call_add", { a: 1, c: 2 })).error).toMatchObject({
    hint: "Perhaps you meant to call the function public.rest_call_add(a, b)",
    message: "Could not find the function public.rest_call_add(a, c) in the schema cache",
  });
  expect(await refusal(await raw("/rpc/quite_another"))).toEqual({
    status: 404,
    code: "PGRST202",
    details: "Searched for the function public.quite_another without parameters, but no matches were found in the " +
      "schema cache.",
    hint: null,
    message: "Could not find the function public.quite_another without parameters in the schema cache",
  });
});

test("a function's own time limit holds in place of its caller's, be it longer or shorter", async () => {
  expect((await anyone().rpc("rest_call_patient")).data).toBe("50s");
  const { status, error } = await service().rpc("rest_call_slow");
  const [server] = await sql<{ isEmbedded: boolean }>(`select version() like '%PGlite%' as "isEmbedded"`);
  // PGlite has nobody to interrupt a statement: there it ends in its own time.
  if (server?.isEmbedded) return expect(status).toBe(204);
  expect(status).toBe(500);
  expect(error).toMatchObject({ code: "57014", message: "canceling statement due to statement timeout" });
});

test("an error raised by a function chooses its status", async () => {
  const raise = (state: string, message = "no") => service().rpc("rest_call_raises", { state, message });
  expect(await raise("P0001", "plainly no")).toMatchObject({
    status: 400,
    error: { code: "P0001", message: "plainly no", details: "the detail", hint: "the hint" },
  });
  expect((await raise("PT402")).status).toBe(402);
  expect((await raise("PT429")).status).toBe(429);
  // PostgREST: what is no status is a mistake of the function.
  expect((await raise("PT40A")).status).toBe(500);
  expect((await raise("53100")).status).toBe(503);
  expect((await raise("28000")).status).toBe(403);
  expect((await raise("XX000")).status).toBe(500);
});

test("a function sets the status and the headers of its answer", async () => {
  const teapot = await raw("/rpc/rest_call_status", { method: "POST", json: {} });
  expect([teapot.status, await teapot.json()]).toEqual([418, "short and stout"]);
  const { headers } = await raw("/rpc/rest_call_headers", { method: "POST", json: {} });
  expect(headers.get("x-one")).toBe("1");
  expect(headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  // PostgREST: a header of the function replaces the one of the service.
  expect(headers.get("content-type")).toBe("text/x-own");
  expect(await refusal(await raw("/rpc/rest_call_bad_headers", { method: "POST", json: {} }))).toMatchObject({
    status: 500,
    code: "PGRST111",
  });
});

test("a function that may not be executed is refused", async () => {
  expect(await anyone().rpc("rest_call_hidden")).toMatchObject({ status: 401, error: { code: "42501" } });
  expect(await service().rpc("rest_call_hidden")).toMatchObject({
    status: 403,
    error: { message: "permission denied for function rest_call_hidden" },
  });
});

test("only the first of several objects makes the call, and a form calls as JSON does", async () => {
  const response = await raw("/rpc/rest_call_add", { method: "POST", json: [{ a: 1, b: 1 }, { a: 5, b: 5 }] });
  expect(await response.json()).toBe(2);
  const form = await raw("/rpc/rest_call_add", {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: "a=3&b=4",
  });
  expect(await form.json()).toBe(7);
});

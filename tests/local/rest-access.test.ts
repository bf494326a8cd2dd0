import { afterAll, beforeAll, expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { signLegacy } from "../../local/auth/tokens.ts";
import { anyone, define, raw, service, signedIn } from "./rest/support.ts";

const ANN = "00000000-0000-4000-8000-00000000000a";
const BOB = "00000000-0000-4000-8000-00000000000b";

const drop = `
  drop view if exists rest_access_public_note;
  drop table if exists rest_access_note, rest_access_closed, rest_access_partial;
  drop function if exists rest_access_context, rest_access_sleep`;

beforeAll(async () => {
  await define(`
    ${drop};
    create table rest_access_note (id int primary key, owner_id uuid, body text, is_public boolean default false);
    alter table rest_access_note enable row level security;
    create policy "public notes are read by anyone" on rest_access_note for select using (is_public);
    create policy "owners do as they like" on rest_access_note to authenticated
      using (owner_id = (current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid)
      with check (owner_id = (current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid);
    insert into rest_access_note values
      (1, '${ANN}', 'of Ann', false), (2, '${BOB}', 'of Bob', false), (3, '${BOB}', 'for all', true);
    grant select on rest_access_note to anon;
    grant all on rest_access_note to authenticated, service_role;

    create view rest_access_public_note with (security_invoker = true) as select id, body from rest_access_note;
    grant select on rest_access_public_note to anon;
    create table rest_access_closed (id int);
    create table rest_access_partial (id int primary key, shown text, hidden text);
    insert into rest_access_partial values (1, 'shown', 'hidden');
    grant select (id, shown), update (shown) on rest_access_partial to authenticated;

    create function rest_access_context() returns jsonb stable return jsonb_build_object(
      'role', current_user,
      'claims', current_setting('request.jwt.claims')::jsonb,
      'method', current_setting('request.method'),
      'path', current_setting('request.path'),
      'header', current_setting('request.headers')::jsonb ->> 'x-own',
      'cookie', current_setting('request.cookies')::jsonb ->> 'b',
      'timeout', current_setting('statement_timeout'),
      'path_of_names', current_setting('search_path'),
      'read_only', current_setting('transaction_read_only')
    )`);
});

afterAll(() => define(drop));

const bodies = (rows: unknown) => (rows as { body: string }[]).map(({ body }) => body).sort();

test("row-level security decides what each caller sees", async () => {
  const seenBy = async (client: ReturnType<typeof service>) =>
    bodies((await client.from("rest_access_note").select("body")).data);
  expect(await seenBy(anyone())).toEqual(["for all"]);
  expect(await seenBy(await signedIn({ sub: ANN }))).toEqual(["for all", "of Ann"]);
  expect(await seenBy(await signedIn({ sub: BOB }))).toEqual(["for all", "of Bob"]);
  expect(await seenBy(service())).toEqual(["for all", "of Ann", "of Bob"]);
  expect(bodies((await anyone().from("rest_access_public_note").select()).data)).toEqual(["for all"]);
});

test("row-level security decides what each caller writes", async () => {
  const ann = await signedIn({ sub: ANN });
  const theft = await ann.from("rest_access_note").insert({ id: 10, owner_id: BOB, body: "as Bob" });
  expect([theft.status, theft.error]).toEqual([403, {
    code: "42501",
    details: null,
    hint: null,
    message: 'new row violates row-level security policy for table "rest_access_note"',
  }]);
  const others = await ann.from("rest_access_note").update({ body: "mine now" }).eq("id", 2).select();
  expect([others.status, others.data]).toEqual([200, []]);
  const own = await ann.from("rest_access_note").insert({ id: 11, owner_id: ANN, body: "mine" }).select("id").single();
  expect([own.status, own.data]).toEqual([201, { id: 11 }]);
  expect((await ann.from("rest_access_note").delete({ count: "exact" }).gte("id", 2)).count).toBe(1);
});

test("what is not granted is refused: with 401 to nobody in particular, with 403 to somebody", async () => {
  expect(await anyone().from("rest_access_closed").select()).toMatchObject({
    status: 401,
    error: { code: "42501", message: "permission denied for table rest_access_closed" },
  });
  expect((await (await signedIn({ sub: ANN })).from("rest_access_closed").select()).status).toBe(403);
  // Supabase: new tables are granted to nobody, the service role included.
  expect((await service().from("rest_access_closed").select()).status).toBe(403);
  expect((await anyone().from("rest_access_note").insert({ id: 20 })).status).toBe(401);
});

test("a grant of columns reaches as far as these columns", async () => {
  const ann = await signedIn({ sub: ANN });
  expect((await ann.from("rest_access_partial").select("id, shown")).data).toEqual([{ id: 1, shown: "shown" }]);
  expect((await ann.from("rest_access_partial").select("*")).status).toBe(403);
  // PostgREST: only the columns selected, and the key, are returned from a write.
  const { data } = await ann.from("rest_access_partial").update({ shown: "new" }).eq("id", 1).select("shown");
  expect(data).toEqual([{ shown: "new" }]);
});

test("functions know who calls, how and with which headers", async () => {
  const claims = { role: "authenticated", sub: ANN, app_metadata: { role: "admin" } };
  const response = await raw("/rpc/rest_access_context?select=", {
    headers: { Authorization: `Bearer ${await signLegacy(claims)}`, "X-Own": "value", Cookie: "a=1; b=2=3" },
  });
  expect(await response.json()).toEqual({
    role: "authenticated",
    claims,
    method: "GET",
    // PostgREST: behind the platform's gateway the path starts after /rest/v1.
    path: "/rpc/rest_access_context",
    header: "value",
    cookie: "2=3",
    timeout: "8s",
    path_of_names: '"public", "extensions"',
    // PostgREST: neither GET nor a function that promises to write nothing can write.
    read_only: "on",
  });
  expect((await anyone().rpc("rest_access_context")).data).toMatchObject({
    role: "anon",
    claims: { role: "anon" },
    method: "POST",
    timeout: "3s",
    read_only: "on",
  });
});

test("nothing of one request is left for the next", async () => {
  await (await signedIn({ sub: BOB })).from("rest_access_note").select();
  const { data } = await anyone().rpc("rest_access_context");
  expect(JSON.stringify(data)).not.toContain(BOB);
});

test("a token without a role acts as nobody in particular", async () => {
  const response = await raw("/rpc/rest_access_context", {
    headers: { Authorization: `Bearer ${await signLegacy({ sub: ANN })}` },
  });
  // PostgREST: the role is added to the claims.
  expect(await response.json()).toMatchObject({ role: "anon", claims: { sub: ANN, role: "anon" } });
});

test("the root tells what is exposed to the secret key alone", async () => {
  const response = await raw("/");
  expect(response.headers.get("content-type")).toContain("application/openapi+json");
  expect(await response.json()).toMatchObject({
    swagger: "2.0",
    definitions: { rest_access_partial: { properties: { shown: { format: "text" } } } },
  });
  const { publishableKey } = stack();
  const refused = await raw("/", { headers: { apikey: publishableKey } });
  expect(refused.status).toBe(401);
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { define, service, sql } from "./rest/support.ts";

const drop = `
  drop table if exists rest_schema_early, rest_schema_late cascade;
  drop function if exists rest_schema_add(int), rest_schema_add(int, int)`;

beforeAll(() => define(drop));
afterAll(() => define(drop));

test("a table made a moment ago is served at once, without a restart or a word", async () => {
  expect((await service().from("rest_schema_early").select()).status).toBe(404);
  await sql("create table rest_schema_early (id int primary key); grant all on rest_schema_early to service_role");
  expect((await service().from("rest_schema_early").insert({ id: 1 })).status).toBe(201);
});

test("a column added, a relationship added and a function added are served at once", async () => {
  await sql("alter table rest_schema_early add column name text");
  expect((await service().from("rest_schema_early").insert({ id: 2, name: "two" })).status).toBe(201);
  await sql(`
    create table rest_schema_late (id int primary key, early_id int references rest_schema_early);
    grant all on rest_schema_late to service_role;
    create function rest_schema_add(a int) returns int return a + 1`);
  expect((await service().from("rest_schema_late").select("id, rest_schema_early(name)")).data).toEqual([]);
  expect((await service().rpc("rest_schema_add", { a: 1 })).data).toBe(2);
});

test("what was changed is served as it is now, after a notification", async () => {
  expect((await service().rpc("rest_schema_add", { a: 1 })).data).toBe(2);
  await define(`
    drop function rest_schema_add(int);
    create function rest_schema_add(a int, b int default 5) returns setof int language sql as 'values (a), (b)';
    alter table rest_schema_early alter column name type int using null`);
  // The notification goes its own way: it may come after a request that was sent after it.
  await expect.poll(async () => (await service().rpc("rest_schema_add", { a: 1 })).data).toEqual([1, 5]);
  const { data } = await service().from("rest_schema_early").update({ name: 3 }).eq("id", 2).select("name");
  expect(data).toEqual([{ name: 3 }]);
});

test("what was dropped is gone", async () => {
  await define("drop table rest_schema_early cascade");
  await expect.poll(async () => (await service().from("rest_schema_early").select()).error?.code).toBe("PGRST205");
});

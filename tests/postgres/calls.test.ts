import { afterAll, beforeAll, expect, it } from "vitest";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

let database: OwnDatabase;

beforeAll(async () => {
  database = await createOwnDatabase();
  await (await database.connect()).query(
    "create table public.lines (id int primary key, n int); insert into public.lines values (1, 0)",
  );
});

afterAll(() => database.drop());

it("two users' transactions that call a function nobody has configured wait for nobody, and both succeed", async () => {
  const [first, second, observer] = [await database.connect(), await database.connect(), await database.connect()];
  const call = "select private.call_edge_function('health')";
  await first.query("begin");
  await first.query(call);
  await second.query("begin");
  // Were it to wait for the first one's record of the same problem, the two would now be in each other's way.
  await second.query("update public.lines set n = 2 where id = 1");
  await second.query(call);
  const waiting = first.query("update public.lines set n = 1 where id = 1");
  await second.query("commit");
  await waiting;
  await first.query("commit");
  const { rows } = await observer.query("select kind, count from public.alerts where resolved_at is null");
  expect(rows).toEqual([{ kind: "vault_secret_missing", count: 1 }]);
});

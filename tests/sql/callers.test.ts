import { expect, test } from "vitest";
import { become, inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

const isAdmin = (tx: Session) => valueOf<boolean>(tx, "select public.is_admin()");
const clientId = (tx: Session) => valueOf<string | null>(tx, "select private.own_client_id()");

test.each([
  ["no token at all", "", false],
  ["a token without app_metadata", `{"role":"authenticated"}`, false],
  ["app_metadata.role admin", `{"app_metadata":{"role":"admin"}}`, true],
  ["another role", `{"app_metadata":{"role":"Admin"}}`, false],
  ["a null role", `{"app_metadata":{"role":null}}`, false],
  ["user_metadata, which users write themselves", `{"user_metadata":{"role":"admin"}}`, false],
  ["the top level, which names the Postgres role", `{"role":"admin"}`, false],
  ["app_metadata that is a text", `{"app_metadata":"admin"}`, false],
])("is_admin of %s", (_, claims, expected) =>
  inVain(async (tx) => {
    await tx.query("select set_config('request.jwt.claims', $1, true)", [claims]);
    expect(await isAdmin(tx)).toBe(expected);
  }));

test.each([
  ["a client", { client_id: "conservatoire-lyon" }, "conservatoire-lyon"],
  ["a blank client, which is none", { client_id: "" }, null],
  ["nobody's client", {}, null],
])("the client of the token of %s", (_, appMetadata, expected) =>
  inVain(async (tx) => {
    await become(tx, "authenticated", { app_metadata: appMetadata });
    expect(await clientId(tx)).toBe(expected);
  }));

test("a scheduled job, which has no token, is held back by grants alone; a user's token is looked at", () =>
  inVain(async (tx) => {
    await tx.query("select private.require_admin()");
    await tx.query(`select set_config('request.jwt.claims', '{"role":"authenticated"}', true)`);
    expect(await refusalOf(tx, "select private.require_admin()")).toMatchObject({ code: "42501" });
    await tx.query(`select set_config('request.jwt.claims', '{"role":"service_role"}', true)`);
    await tx.query("select private.require_admin()");
  }));

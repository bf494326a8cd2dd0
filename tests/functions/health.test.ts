import { FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import { describe, expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { stack } from "../support/stack.ts";

const invoke = async (client: SupabaseClient) => {
  const { data, error } = await client.functions.invoke("health", { method: "GET" });
  if (error === null) return { status: 200, body: data };
  if (!(error instanceof FunctionsHttpError)) throw error;
  return { status: error.context.status as number, body: await error.context.json() };
};

const machine = () => connectClient(stack().url, stack().secretKey);

async function person(email: string): Promise<SupabaseClient> {
  const client = connectClient(stack().url, stack().publishableKey);
  const { error } = await client.auth.signInWithPassword({ email, password: "accord-dev" });
  expect(error).toBeNull();
  return client;
}

const call = (init: RequestInit) => fetch(`${stack().url}/functions/v1/health`, init);

describe("the health function", () => {
  it("tells a machine what is in place, with a mend for each thing that is not", async () => {
    const { status, body } = await invoke(machine());
    expect(status).toBe(200);
    expect(body.checks.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining([
      "extension vector",
      "extension pg_cron",
      "extension pg_net",
      "secret project_url",
      "secret automations_key",
      "schedule accord-housekeeping",
      "key for machines",
    ]));
    for (const { ok, mend } of body.checks) expect(mend === null).toBe(ok);
    expect(body.ok).toBe(body.checks.every(({ ok }: { ok: boolean }) => ok));
  });

  it("names no secret", async () => {
    const { body } = await invoke(machine());
    const text = JSON.stringify(body);
    expect(text).not.toContain(stack().secretKey);
    expect(text).not.toContain("sb_secret");
  });

  it("tells an administrator the same", async () => {
    expect((await invoke(await person("admin@accord.test"))).status).toBe(200);
  });

  it("refuses a person who is none, with 403", async () => {
    expect(await invoke(await person("claire@accord.test"))).toMatchObject({
      status: 403,
      body: { error: { code: "forbidden", message: expect.stringContaining("administrator"), details: null } },
    });
  });

  it("refuses the publishable key, no key and a forged one, with 401", async () => {
    const unauthorized = { status: 401, body: { error: { code: "unauthorized", details: null } } };
    expect(await invoke(connectClient(stack().url, stack().publishableKey))).toMatchObject(unauthorized);
    expect((await call({})).status).toBe(401);
    expect((await call({ headers: { apikey: "sb_secret_forged" } })).status).toBe(401);
    expect((await call({ headers: { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." } })).status).toBe(401);
  });

  it("answers schedules that can only POST, and no other verb", async () => {
    const headers = { apikey: stack().secretKey };
    expect((await call({ method: "POST", headers })).status).toBe(200);
    const refused = await call({ method: "DELETE", headers });
    expect(refused.status).toBe(405);
    expect(await refused.json()).toEqual({
      error: { code: "method_not_allowed", message: "DELETE is not answered here; use GET or POST.", details: null },
    });
  });

  it("lets a browser ask from any origin", async () => {
    const preflight = await call({
      method: "OPTIONS",
      headers: { "access-control-request-method": "GET", origin: "https://a.test" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect((await call({})).headers.get("access-control-allow-origin")).toBe("*");
  });
});

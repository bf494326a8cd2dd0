import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { become, becomeAdmin, inVain, refusalOf, type Session, superuserUrl, valueOf } from "./support/session.ts";

interface Check {
  name: string;
  ok: boolean;
  detail: string;
  mend: string | null;
}

const checks = (tx: Session, fingerprints: Record<string, string> = {}) =>
  valueOf<Check[]>(tx, "select health_checks($1)", [JSON.stringify(fingerprints)]);

async function check(tx: Session, name: string, fingerprints: Record<string, string> = {}): Promise<Check> {
  const found = (await checks(tx, fingerprints)).find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`There is no check named ${name}`);
  return found;
}

const fingerprint = (key: string) => createHash("sha256").update(key).digest("hex");

/** A mend is something to type: this types it. */
const mend = (tx: Session, { mend }: Check) => tx.query((mend ?? "").replace(/^Run: /, ""));

test("a stack as it starts has everything in place, and nothing to mend", () =>
  inVain(async (tx) => {
    const found = await checks(tx, { default: fingerprint(stack().secretKey) });
    expect(found.filter(({ ok, mend }) => !ok || mend !== null)).toEqual([]);
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining([
      "extension vector",
      "extension pg_cron",
      "extension pg_net",
      "extension supabase_vault",
      "secret project_url",
      "secret automations_key",
      "schedule accord-housekeeping",
      "key automations_key",
    ]));
  }));

test("nothing that it says is a secret", () =>
  inVain(async (tx) => {
    const told = JSON.stringify(await checks(tx, { default: fingerprint(stack().secretKey) }));
    expect(told).not.toContain(stack().secretKey);
    expect(told).not.toContain(stack().url);
  }));

test.each(["project_url", "automations_key"])(
  "a missing %s is mended by what the check says",
  (name) =>
    inVain(async (tx) => {
      await tx.query("delete from vault.secrets where name = $1", [name]);
      const missing = await check(tx, `secret ${name}`);
      expect(missing).toMatchObject({ ok: false, detail: "missing from Vault" });
      await mend(tx, missing);
      expect(await check(tx, `secret ${name}`)).toMatchObject({ ok: true, detail: "present in Vault", mend: null });
    }),
);

test("a schedule that is switched off is mended by what the check says", () =>
  inVain(async (tx) => {
    await tx.query("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'accord-housekeeping'");
    const off = await check(tx, "schedule accord-housekeeping");
    expect(off).toMatchObject({ ok: false, detail: "switched off" });
    await mend(tx, off);
    expect(await check(tx, "schedule accord-housekeeping")).toMatchObject({ ok: true, detail: "17 3 * * *" });
  }));

test("a schedule that is gone is told", () =>
  inVain(async (tx) => {
    await tx.query("select cron.unschedule('accord-housekeeping')");
    expect(await check(tx, "schedule accord-housekeeping")).toMatchObject({
      ok: false,
      detail: "not scheduled",
      mend: "Run the migrations again: supabase db push.",
    });
  }));

test("a key in Vault that is none of the project's is told, and the one for machines is preferred to another", () =>
  inVain(async (tx) => {
    const right = fingerprint(stack().secretKey);
    expect(await check(tx, "key automations_key", { default: fingerprint("another") })).toMatchObject({
      ok: false,
      detail: "the key in Vault is none of the project's secret keys",
      mend: expect.stringContaining("vault.update_secret"),
    });
    expect(await check(tx, "key automations_key", { default: right, automations: right })).toMatchObject({
      ok: true,
      detail: "the key in Vault is the secret key named automations",
    });
    await tx.query("delete from vault.secrets where name = 'automations_key'");
    expect((await checks(tx, { default: right })).map(({ name }) => name)).not.toContain("key automations_key");
  }));

test("an extension that is gone is told with the statement that brings it back", () =>
  inVain(async (tx) => {
    await tx.query("drop extension vector cascade");
    const gone = await check(tx, "extension vector");
    expect(gone).toMatchObject({ ok: false, detail: "not installed" });
    expect(gone.mend).toContain("create extension vector");
  }, superuserUrl()));

test("a capability tells its own health by a function in private", () =>
  inVain(async (tx) => {
    await tx.query(`
      create function private.piano_health() returns setof private.health_check language sql set search_path = ''
      as $$ select 'piano', false, 'out of tune', 'Tune it.' $$`);
    expect(await check(tx, "piano")).toEqual({
      name: "piano",
      ok: false,
      detail: "out of tune",
      mend: "Tune it.",
    });
  }));

test("administrators and secret keys may ask; users and visitors may not", () =>
  inVain(async (tx) => {
    await becomeAdmin(tx);
    expect(await checks(tx)).not.toEqual([]);
    await become(tx, "authenticated");
    expect(await refusalOf(tx, "select health_checks()")).toMatchObject({ code: "42501" });
    expect(await refusalOf(tx, "select system_status()")).toMatchObject({ code: "42501" });
  }));

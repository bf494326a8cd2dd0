import { expect, test } from "vitest";
import { become, becomeAdmin, becomeOwner, inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

const TIMEOUT = "function_call_timeout_ms";

const inForce = (tx: Session, name: string) => valueOf<unknown>(tx, "select private.setting($1)", [name]);
const set = (tx: Session, name: string, value: unknown) =>
  valueOf<unknown>(tx, "select set_setting($1, $2)", [name, JSON.stringify(value)]);

async function defineColour(tx: Session): Promise<void> {
  await tx.query(`select private.define_setting('colour', '"red"', 'A test.', 'text', choices => '{red,green}')`);
}

test("a setting has its default until somebody changes it, and a JSON null brings the default back", () =>
  inVain(async (tx) => {
    expect(await inForce(tx, TIMEOUT)).toBe(150_000);
    expect(await set(tx, TIMEOUT, 2_000)).toBe(2_000);
    expect(await inForce(tx, TIMEOUT)).toBe(2_000);
    expect(await set(tx, TIMEOUT, null)).toBe(150_000);
    expect(await inForce(tx, TIMEOUT)).toBe(150_000);
  }));

test("an SQL null brings the default back as well: that is what a JSON null becomes on its way through the API", () =>
  inVain(async (tx) => {
    await set(tx, TIMEOUT, 2_000);
    expect(await valueOf(tx, "select set_setting($1, null)", [TIMEOUT])).toBe(150_000);
  }));

test.each<[unknown, string]>([
  [999, "below its minimum"],
  [400_001, "above its maximum"],
  [1_000.5, "no integer"],
  ["2000", "a text"],
  [true, "a boolean"],
  [[2_000], "a list"],
  [{ ms: 2_000 }, "an object"],
])("%j is refused for a setting of time (%s), with the value and the way out", (value) =>
  inVain(async (tx) => {
    const refusal = await refusalOf(tx, "select set_setting($1, $2)", [TIMEOUT, JSON.stringify(value)]);
    expect(refusal).toMatchObject({
      code: "22023",
      hint: "It takes a value of kind integer of at least 1000 of at most 400000.",
    });
    expect(refusal.message).toBe(
      `Setting "${TIMEOUT}" cannot be ${await valueOf(tx, "select $1::jsonb::text", [JSON.stringify(value)])}`,
    );
    expect(await inForce(tx, TIMEOUT)).toBe(150_000);
  }));

test.each([1_000, 400_000])(
  "%i, a limit itself, is allowed",
  (value) => inVain(async (tx) => expect(await set(tx, TIMEOUT, value)).toBe(value)),
);

test("a setting of choices takes one of them and names them all when it refuses", () =>
  inVain(async (tx) => {
    await defineColour(tx);
    expect(await set(tx, "colour", "green")).toBe("green");
    expect(await refusalOf(tx, `select set_setting('colour', '"blue"')`)).toEqual({
      code: "22023",
      message: `Setting "colour" cannot be "blue"`,
      hint: "It takes a value of kind text among red, green.",
    });
  }));

test("a setting declared again keeps the value that somebody has given it, and takes the new default", () =>
  inVain(async (tx) => {
    await defineColour(tx);
    await set(tx, "colour", "green");
    await tx.query(`select private.define_setting('colour', '"blue"', 'Again.', 'text', choices => '{blue,green}')`);
    expect(await inForce(tx, "colour")).toBe("green");
    expect(await set(tx, "colour", null)).toBe("blue");
  }));

test("no table row can hold a value or a default beyond its limits, whoever writes it", () =>
  inVain(async (tx) => {
    expect(await refusalOf(tx, "update private.settings set value = '0' where name = $1", [TIMEOUT]))
      .toMatchObject({ code: "23514", message: expect.stringContaining("value_is_allowed") });
    expect(await refusalOf(tx, "select private.define_setting('new_one', '5', 'A test.', maximum => 4)"))
      .toMatchObject({ code: "23514", message: expect.stringContaining("default_value_is_allowed") });
    expect(await refusalOf(tx, "select private.define_setting('Not A Name', '5', 'A test.')"))
      .toMatchObject({ code: "23514" });
  }));

test("an unknown setting is named, read or written", () =>
  inVain(async (tx) => {
    const refusal = {
      code: "22023",
      message: `There is no setting "nonsense"`,
      hint: "get_settings() lists them all.",
    };
    expect(await refusalOf(tx, "select private.setting('nonsense')")).toEqual(refusal);
    expect(await refusalOf(tx, "select set_setting('nonsense', '1')")).toEqual(refusal);
  }));

test("get_settings lists every setting by name, with its value, its default and its limits", () =>
  inVain(async (tx) => {
    await set(tx, TIMEOUT, 2_000);
    const settings = await valueOf<{ name: string; description: string }[]>(tx, "select get_settings()");
    const names = settings.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect(names).toContain("keep_run_details_days");
    expect(settings.find(({ name }) => name === TIMEOUT)).toEqual({
      name: TIMEOUT,
      value: 2_000,
      default: 150_000,
      kind: "integer",
      minimum: 1_000,
      maximum: 400_000,
      choices: null,
      description: expect.stringMatching(/\.$/),
    });
  }));

test("administrators and secret keys change settings; users and visitors neither change nor read them", () =>
  inVain(async (tx) => {
    await becomeAdmin(tx);
    expect(await set(tx, TIMEOUT, 3_000)).toBe(3_000);
    await become(tx, "service_role");
    expect(await set(tx, TIMEOUT, 4_000)).toBe(4_000);

    await becomeOwner(tx);
    await become(tx, "authenticated", { sub: "0a000000-0000-4000-8000-000000000002" });
    for (const call of [`select set_setting('${TIMEOUT}', '5000')`, "select get_settings()"]) {
      expect(await refusalOf(tx, call)).toEqual({
        code: "42501",
        message: "Only an administrator may do this",
        hint: "Sign in as a user whose app_metadata.role is admin, or use a secret key.",
      });
    }
    await becomeOwner(tx);
    await become(tx, "anon");
    expect(await refusalOf(tx, `select set_setting('${TIMEOUT}', '5000')`)).toMatchObject({
      code: "42501",
      message: "permission denied for function set_setting",
    });
  }));

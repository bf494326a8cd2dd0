import { afterEach, describe, expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { adminClient, call, newAddress, newClient, newPerson, PASSWORD, signIn, sql } from "./auth-people.ts";

const admin = () => adminClient().auth.admin;

describe("the admin API", () => {
  test("creates a user with metadata and a chosen id", async () => {
    const id = crypto.randomUUID();
    const email = newAddress();
    const { data, error } = await admin().createUser({
      id,
      email: email.toUpperCase(),
      password: PASSWORD,
      email_confirm: true,
      app_metadata: { role: "admin", client_id: "acme" },
      user_metadata: { name: "Claire" },
    });
    expect(error).toBeNull();
    expect(data.user).toMatchObject({
      id,
      email,
      aud: "authenticated",
      role: "authenticated",
      app_metadata: { provider: "email", providers: ["email"], role: "admin", client_id: "acme" },
      user_metadata: { name: "Claire", email_verified: true },
      identities: [{ id, provider: "email", identity_data: { sub: id, email, email_verified: false } }],
    });
  });

  test("creates a user from a hash made elsewhere", async () => {
    const email = newAddress();
    const [row] = await sql<{ hash: string }>("select extensions.crypt($1, extensions.gen_salt('bf', 4)) as hash", [
      PASSWORD,
    ]);
    await admin().createUser({ email, password_hash: row?.hash ?? "", email_confirm: true });
    expect((await newClient().auth.signInWithPassword({ email, password: PASSWORD })).error).toBeNull();
  });

  test("shows, changes and deletes a user", async () => {
    const person = await newPerson({ app_metadata: { role: "admin", team: "red" } });
    expect((await admin().getUserById(person.id)).data.user?.email).toBe(person.email);

    const email = newAddress();
    const changed = await admin().updateUserById(person.id, {
      email,
      email_confirm: true,
      password: "another horse",
      app_metadata: { team: null },
      user_metadata: { name: "Claire" },
    });
    expect(changed.data.user).toMatchObject({ email, user_metadata: { name: "Claire" } });
    expect(changed.data.user?.app_metadata).toEqual({ provider: "email", providers: ["email"], role: "admin" });
    expect((await newClient().auth.signInWithPassword({ email, password: "another horse" })).error).toBeNull();

    expect((await admin().deleteUser(person.id)).error).toBeNull();
    expect((await admin().getUserById(person.id)).error).toMatchObject({ status: 404, code: "user_not_found" });
  });

  test("ends the sessions of whoever is deleted or given a new password", async () => {
    const [deleted, changed] = [await newPerson(), await newPerson()];
    const sessions = [await signIn(deleted), await signIn(changed)];
    await admin().deleteUser(deleted.id);
    await admin().updateUserById(changed.id, { password: "another horse" });
    for (const { session } of sessions) {
      expect((await newClient().auth.getUser(session.access_token)).error).not.toBeNull();
    }
  });

  test("forgets a person but keeps the row when asked to delete softly", async () => {
    const person = await newPerson({ user_metadata: { name: "Claire" } });
    expect((await admin().deleteUser(person.id, true)).error).toBeNull();
    const { data } = await admin().getUserById(person.id);
    expect(data.user).toMatchObject({ id: person.id, user_metadata: {} });
    expect(JSON.stringify(data.user)).not.toContain(person.email);
    // The address is free again.
    const again = await admin().createUser({ email: person.email ?? "", password: PASSWORD });
    expect(again.error).toBeNull();
  });

  test("lists users page by page and finds them by a part of their address", async () => {
    const mark = crypto.randomUUID();
    for (const name of ["a", "b", "c"]) {
      await admin().createUser({ email: `${name}.${mark}@people.test`, password: PASSWORD });
    }
    const page = async (number: number) => {
      const { body, headers } = await adminCall("GET", `/admin/users?page=${number}&per_page=2&filter=${mark}`);
      const { users } = body as { users: { email: string }[] };
      return { emails: users.map((user) => user.email), headers };
    };
    const [first, second] = [await page(1), await page(2)];
    expect([...first.emails, ...second.emails]).toEqual(["c", "b", "a"].map((name) => `${name}.${mark}@people.test`));
    expect(first.headers.get("x-total-count")).toBe("3");
    expect(first.headers.get("link")).toMatch(/[?&]page=2&.*rel="next", .*[?&]page=2&.*rel="last"/);
    expect(second.headers.get("link")).not.toContain("next");

    const { data } = await admin().listUsers({ page: 1, perPage: 2 });
    expect(data.users).toHaveLength(2);
    expect(data).toMatchObject({ aud: "authenticated", nextPage: 2, total: expect.any(Number) });
  });

  test.each([
    ["no address", {}, 400, "validation_failed"],
    ["no real address", { email: "claire" }, 400, "validation_failed"],
    ["a password and a hash", { email: "c@people.test", password: "x", password_hash: "y" }, 400, "validation_failed"],
    ["a hash of another kind", { email: "c@people.test", password_hash: "md5" }, 400, "validation_failed"],
    ["an odd id", { id: "7", email: "c@people.test" }, 400, "validation_failed"],
    ["an odd ban", { email: "c@people.test", ban_duration: "soon" }, 400, "validation_failed"],
    ["metadata that is a text", { email: "c@people.test", app_metadata: "admin" }, 400, "bad_json"],
  ])("refuses to create a user with %s", async (_what, attributes, status, code) => {
    const answer = await adminCall("POST", "/admin/users", JSON.stringify(attributes));
    expect(answer).toMatchObject({ status, body: { error_code: code } });
  });

  test("refuses an address that is taken, for a new user and for another one", async () => {
    const [claire, marc] = [await newPerson(), await newPerson()];
    const email = claire.email ?? "";
    const taken = { status: 422, code: "email_exists" };
    expect((await admin().createUser({ email, password: PASSWORD })).error).toMatchObject(taken);
    expect((await admin().updateUserById(marc.id, { email })).error).toMatchObject(taken);
    expect((await admin().updateUserById(claire.id, { email })).error).toBeNull();
  });

  test("finds nobody under an id that is none", async () => {
    expect(await adminCall("GET", "/admin/users/7")).toMatchObject({
      status: 404,
      body: { error_code: "validation_failed", msg: "user_id must be an UUID" },
    });
  });

  test("refuses a page that is no number", async () => {
    expect(await adminCall("GET", "/admin/users?page=first")).toMatchObject({
      status: 400,
      body: { error_code: "validation_failed" },
    });
  });

  test("is closed to the publishable key and to people, even to admins of the project's own making", async () => {
    const { session } = await signIn(await newPerson({ app_metadata: { role: "admin" } }));
    for (const headers of [{}, { authorization: `Bearer ${session.access_token}` }]) {
      expect(await call("GET", "/admin/users", { headers })).toMatchObject({
        status: 403,
        body: { error_code: "not_admin", msg: "User not allowed" },
      });
    }
  });
});

describe("a trigger on auth.users", () => {
  afterEach(() => sql("drop table if exists public.auth_test_profiles cascade"));

  const onNewUser = (body: string, options = "") =>
    sql(`
      create table public.auth_test_profiles (id uuid primary key references auth.users (id), email text);
      create function public.auth_test_profile() returns trigger language plpgsql ${options} as $$ ${body} $$;
      create trigger auth_test_profile after insert on auth.users
        for each row when (new.email like '%@trigger.test') execute function public.auth_test_profile();
    `);
  const dropFunction = () => sql("drop function if exists public.auth_test_profile() cascade");
  afterEach(dropFunction);

  const copyProfile = "begin insert into public.auth_test_profiles values (new.id, new.email); return new; end";

  test("makes a profile when it runs with its owner's rights", async () => {
    await onNewUser(copyProfile, "security definer set search_path = ''");
    const email = `${crypto.randomUUID()}@trigger.test`;
    const { data } = await newClient().auth.signUp({ email, password: PASSWORD });
    const profiles = await sql("select id from public.auth_test_profiles where email = $1", [email]);
    expect(profiles).toEqual([{ id: data.user?.id }]);

    const id = data.user?.id ?? "";
    expect(await adminCall("DELETE", `/admin/users/${id}`)).toMatchObject({
      status: 500,
      body: { msg: "Database error deleting user" },
    });
    await sql("delete from public.auth_test_profiles where id = $1", [id]);
    expect((await admin().deleteUser(id)).error).toBeNull();
  });

  // On the platform GoTrue inserts as supabase_auth_admin, which may not write to public.
  test("fails here as it would on the platform when it relies on the caller's rights", async () => {
    await onNewUser(copyProfile);
    const email = `${crypto.randomUUID()}@trigger.test`;
    const answer = await call("POST", "/signup", { body: JSON.stringify({ email, password: PASSWORD }) });
    expect(answer).toMatchObject({ status: 500, body: { msg: "Database error saving new user" } });
    expect(await sql("select from auth.users where email = $1", [email])).toEqual([]);
  });
});

async function adminCall(method: string, path: string, body?: string): ReturnType<typeof call> {
  return await call(method, path, { headers: { apikey: stack().secretKey }, ...(body === undefined ? {} : { body }) });
}

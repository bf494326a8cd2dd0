import { createRemoteJWKSet, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { stack } from "../support/stack.ts";
import { adminClient, call, newAddress, newClient, newPerson, PASSWORD, signIn, sql } from "./auth-people.ts";

const signingKeys = () => createRemoteJWKSet(new URL(`${stack().url}/auth/v1/.well-known/jwks.json`));

describe("signing in", () => {
  test("gives a session whose token anyone can verify with the published keys", async () => {
    const person = await newPerson({ app_metadata: { role: "admin" }, user_metadata: { name: "Claire" } });
    const { session } = await signIn(person);

    const { payload, protectedHeader } = await jwtVerify(session.access_token, signingKeys());
    expect(protectedHeader.alg).toBe("ES256");
    expect(payload).toMatchObject({
      sub: person.id,
      iss: `${stack().url}/auth/v1`,
      aud: "authenticated",
      role: "authenticated",
      email: person.email,
      phone: "",
      app_metadata: { provider: "email", providers: ["email"], role: "admin" },
      user_metadata: { name: "Claire", email_verified: true },
      aal: "aal1",
      amr: [{ method: "password", timestamp: expect.any(Number) }],
      session_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      is_anonymous: false,
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
    expect(session).toMatchObject({ token_type: "bearer", expires_in: 3600, expires_at: payload.exp });
    expect(session.refresh_token).toMatch(/^[a-z0-9]{12}$/);
  });

  test("lets supabase-js verify its own claims", async () => {
    const { client, session } = await signIn(await newPerson());
    const { data, error } = await client.auth.getClaims(session.access_token);
    expect(error).toBeNull();
    expect(data?.claims.sub).toBe(session.user.id);
  });

  test("does not care about the case of the address", async () => {
    const person = await newPerson();
    const { data } = await newClient().auth.signInWithPassword({
      email: (person.email ?? "").toUpperCase(),
      password: PASSWORD,
    });
    expect(data.user?.id).toBe(person.id);
  });

  test("says the same of a wrong password and of an unknown address", async () => {
    const person = await newPerson();
    for (const email of [person.email ?? "", newAddress()]) {
      const { data, error } = await newClient().auth.signInWithPassword({ email, password: "wrong horse" });
      expect(error).toMatchObject({
        status: 400,
        code: "invalid_credentials",
        message: "Invalid login credentials",
      });
      expect(data.session).toBeNull();
    }
  });

  test("is refused to whoever has not confirmed the address", async () => {
    const email = newAddress();
    await adminClient().auth.admin.createUser({ email, password: PASSWORD });
    const { error } = await newClient().auth.signInWithPassword({ email, password: PASSWORD });
    expect(error).toMatchObject({ status: 400, code: "email_not_confirmed", message: "Email not confirmed" });
  });

  test("is refused to whoever is banned, until the ban is lifted", async () => {
    const person = await newPerson();
    await adminClient().auth.admin.updateUserById(person.id, { ban_duration: "1h30m" });
    const credentials = { email: person.email ?? "", password: PASSWORD };
    expect((await newClient().auth.signInWithPassword(credentials)).error).toMatchObject({ code: "user_banned" });

    await adminClient().auth.admin.updateUserById(person.id, { ban_duration: "none" });
    expect((await newClient().auth.signInWithPassword(credentials)).error).toBeNull();
  });

  test("works for users that a seed made with pgcrypto", async () => {
    const email = newAddress();
    await seedUser({ email, hash: "extensions.crypt($2, extensions.gen_salt('bf'))", emptyTokens: true });
    const { data, error } = await newClient().auth.signInWithPassword({ email, password: PASSWORD });
    expect(error).toBeNull();
    expect(data.user?.email).toBe(email);
  });

  test.each(["2b", "2y"])("works for a hash that another bcrypt marked as $%s$", async (mark) => {
    const email = newAddress();
    const hash = `overlay(extensions.crypt($2, extensions.gen_salt('bf')) placing '${mark}' from 2 for 2)`;
    await seedUser({ email, hash, emptyTokens: true });
    expect((await newClient().auth.signInWithPassword({ email, password: PASSWORD })).error).toBeNull();
  });

  // GoTrue cannot read null token columns: the most common mistake of a seed that works until it is deployed.
  test("fails for a seed that left the token columns null, as on the platform", async () => {
    const email = newAddress();
    await seedUser({ email, hash: "extensions.crypt($2, extensions.gen_salt('bf'))", emptyTokens: false });
    const { status, body } = await call("POST", "/token?grant_type=password", {
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    await sql("delete from auth.users where email = $1", [email]);
    expect(status).toBe(500);
    expect(body).toMatchObject({ error_code: "unexpected_failure", msg: "Database error querying schema" });
  });
});

describe("signing up", () => {
  test("confirms the address at once and signs in", async () => {
    const email = newAddress();
    const client = newClient();
    const { data, error } = await client.auth.signUp({
      email,
      password: PASSWORD,
      options: { data: { name: "Marc" } },
    });
    expect(error).toBeNull();
    expect(data.session?.access_token).toBeDefined();
    expect(data.user).toMatchObject({
      email,
      role: "authenticated",
      app_metadata: { provider: "email", providers: ["email"] },
      user_metadata: { name: "Marc", email, email_verified: true, sub: data.user?.id },
      identities: [{ provider: "email", user_id: data.user?.id, identity_data: { name: "Marc", email } }],
    });
    expect(data.user?.email_confirmed_at).toBeDefined();
    expect((await client.auth.getUser()).data.user?.id).toBe(data.user?.id);
  });

  test("is refused for an address that is taken", async () => {
    const person = await newPerson();
    const { error } = await newClient().auth.signUp({ email: person.email ?? "", password: PASSWORD });
    expect(error).toMatchObject({ status: 422, code: "user_already_exists", message: "User already registered" });
  });

  test("is refused for a password that is too short, with the reason", async () => {
    const { error } = await newClient().auth.signUp({ email: newAddress(), password: "12345" });
    expect(error).toMatchObject({
      status: 422,
      code: "weak_password",
      message: "Password should be at least 6 characters.",
      reasons: ["length"],
    });
  });

  test("is refused for what is no address", async () => {
    const { error } = await newClient().auth.signUp({ email: "claire@", password: PASSWORD });
    expect(error).toMatchObject({
      status: 400,
      code: "validation_failed",
      message: "Unable to validate email address: invalid format",
    });
  });

  test("is refused to the anonymous, as `supabase start` is configured", async () => {
    const { error } = await newClient().auth.signInAnonymously();
    expect(error).toMatchObject({ status: 422, code: "anonymous_provider_disabled" });
  });
});

describe("a request that is not as it should be", () => {
  test.each([
    ["not JSON", "{"],
    ["nothing", ""],
    ["a list", "[]"],
    ["a password that is a number", '{"email":"claire@people.test","password":12345678}'],
  ])("is refused with bad_json: %s", async (_what, body) => {
    const answer = await call("POST", "/token?grant_type=password", { body });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      code: 400,
      error_code: "bad_json",
      msg: expect.stringMatching(/^Could not parse request body as JSON: /),
    });
  });

  test("is refused in the newer form where the client asks for it", async () => {
    const answer = await call("POST", "/token?grant_type=password", {
      body: "{",
      headers: { "x-supabase-api-version": "2024-01-01" },
    });
    expect(answer.body).toEqual({ code: "bad_json", message: expect.any(String) });
    expect(answer.headers.get("x-supabase-api-version")).toBe("2024-01-01");
  });

  test("is refused for a grant that GoTrue does not know", async () => {
    const { status, body } = await call("POST", "/token?grant_type=magic", { body: "{}" });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error_code: "invalid_credentials", msg: "unsupported_grant_type" });
  });

  test("finds no route where GoTrue has none", async () => {
    expect(await call("GET", "/nowhere")).toMatchObject({ status: 404, body: "404 page not found\n" });
    expect(await call("DELETE", "/user")).toMatchObject({ status: 405, body: "" });
  });

  test("learns that this stack sends no mail", async () => {
    const { error } = await newClient().auth.resetPasswordForEmail("claire@people.test");
    expect(error).toMatchObject({ status: 422, code: "email_provider_disabled" });
    expect(error?.message).toContain("needs a mail server");
  });
});

test("health and settings answer as GoTrue does", async () => {
  expect((await call("GET", "/health")).body).toMatchObject({ name: "GoTrue" });
  expect((await call("GET", "/settings")).body).toMatchObject({
    external: { email: true, phone: false, anonymous_users: false },
    disable_signup: false,
    mailer_autoconfirm: true,
  });
});

/** A user as a seed.sql inserts one. */
async function seedUser(seed: { email: string; hash: string; emptyTokens: boolean }): Promise<void> {
  const token = seed.emptyTokens ? "''" : "null";
  await sql(
    `insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
       raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
       confirmation_token, recovery_token, email_change_token_new, email_change)
     values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', $1,
       ${seed.hash}, now(), '{"provider":"email","providers":["email"]}', '{}', now(), now(),
       ${token}, ${token}, ${token}, ${token})`,
    [seed.email, PASSWORD],
  );
}

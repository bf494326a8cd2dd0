import { describe, expect, test } from "vitest";
import { signLegacy, signSession } from "../../local/auth/tokens.ts";
import { adminClient, call, newClient, newPerson, PASSWORD, refresh, signIn, sql } from "./auth-people.ts";

/** As if nobody had refreshed the session for a minute: past the ten seconds in which reuse is forgiven. */
async function letTimePass(userId: string): Promise<void> {
  await sql(
    `update auth.sessions set created_at = created_at - interval '1 minute',
       refreshed_at = refreshed_at - interval '1 minute' where user_id = $1`,
    [userId],
  );
}

describe("refreshing", () => {
  test("replaces the refresh token and keeps the session", async () => {
    const person = await newPerson();
    const { client, session } = await signIn(person);
    const before = await client.auth.getClaims();

    const { data, error } = await refresh(session.refresh_token);
    expect(error).toBeNull();
    expect(data.session?.refresh_token).not.toBe(session.refresh_token);
    expect(data.user?.id).toBe(person.id);
    const after = await newClient().auth.getClaims(data.session?.access_token);
    expect(after.data?.claims.session_id).toBe(before.data?.claims.session_id);
    expect(after.data?.claims.amr).toEqual(before.data?.claims.amr);
  });

  test("brings in what an admin changed meanwhile", async () => {
    const person = await newPerson();
    const { session } = await signIn(person);
    await adminClient().auth.admin.updateUserById(person.id, { app_metadata: { role: "admin" } });
    const { data } = await refresh(session.refresh_token);
    const claims = await newClient().auth.getClaims(data.session?.access_token);
    expect(claims.data?.claims.app_metadata).toMatchObject({ provider: "email", role: "admin" });
  });

  test("forgives a client that never received the answer: it gets the same new token again", async () => {
    const person = await newPerson();
    const { session } = await signIn(person);
    const lost = await refresh(session.refresh_token);
    await letTimePass(person.id);
    const again = await refresh(session.refresh_token);
    expect(again.error).toBeNull();
    expect(again.data.session?.refresh_token).toBe(lost.data.session?.refresh_token);
  });

  test("forgives several tabs that refresh at once: all end up with the same token", async () => {
    const { session } = await signIn(await newPerson());
    const tabs = await Promise.all(Array.from({ length: 5 }, () => refresh(session.refresh_token)));
    expect(tabs.map(({ error }) => error)).toEqual([null, null, null, null, null]);
    expect(new Set(tabs.map(({ data }) => data.session?.refresh_token)).size).toBe(1);
  });

  test("forgives a tab that slept through two refreshes, if only moments ago", async () => {
    const { session } = await signIn(await newPerson());
    const second = await refresh(session.refresh_token);
    const third = await refresh(second.data.session?.refresh_token ?? "");
    const late = await refresh(session.refresh_token);
    expect(late.data.session?.refresh_token).toBe(third.data.session?.refresh_token);
  });

  test("takes reuse of an old token for theft and ends the session for everyone", async () => {
    const person = await newPerson();
    const { client, session } = await signIn(person);
    const second = await refresh(session.refresh_token);
    const third = await refresh(second.data.session?.refresh_token ?? "");
    await letTimePass(person.id);

    const reuse = await refresh(session.refresh_token);
    expect(reuse.error).toMatchObject({
      status: 400,
      code: "refresh_token_already_used",
      message: "Invalid Refresh Token: Already Used",
    });
    const rightful = await refresh(third.data.session?.refresh_token ?? "");
    expect(rightful.error).toMatchObject({ status: 400, code: "refresh_token_not_found" });
    expect((await client.auth.getUser(session.access_token)).error).toMatchObject({ name: "AuthSessionMissingError" });
  });

  test("leaves the person's other sessions alone when one is stolen", async () => {
    const person = await newPerson();
    const stolen = await signIn(person);
    const other = await signIn(person);
    const second = await refresh(stolen.session.refresh_token);
    await refresh(second.data.session?.refresh_token ?? "");
    await letTimePass(person.id);
    await refresh(stolen.session.refresh_token);
    expect((await other.client.auth.getUser()).error).toBeNull();
  });

  test("is refused for a token that was never given out", async () => {
    const { error } = await refresh("never-given-out");
    expect(error).toMatchObject({
      status: 400,
      code: "refresh_token_not_found",
      message: "Invalid Refresh Token: Refresh Token Not Found",
    });
  });

  test("is refused to whoever was banned meanwhile", async () => {
    const person = await newPerson();
    const { session } = await signIn(person);
    await adminClient().auth.admin.updateUserById(person.id, { ban_duration: "24h" });
    expect((await refresh(session.refresh_token)).error).toMatchObject({ status: 400, code: "user_banned" });
  });
});

describe("signing out", () => {
  test("makes the token worthless for getUser and for a refresh", async () => {
    const { client, session } = await signIn(await newPerson());
    expect((await client.auth.signOut()).error).toBeNull();

    const answer = await call("GET", "/user", { headers: { authorization: `Bearer ${session.access_token}` } });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({
      error_code: "session_not_found",
      msg: "Session from session_id claim in JWT does not exist",
    });
    expect((await refresh(session.refresh_token)).error).toMatchObject({ code: "refresh_token_not_found" });
  });

  test.each(
    [
      ["global", { mine: false, theirs: false }],
      ["local", { mine: false, theirs: true }],
      ["others", { mine: true, theirs: false }],
    ] as const,
  )("with scope %s ends those sessions alone", async (scope, lives) => {
    const person = await newPerson();
    const mine = await signIn(person);
    const theirs = await signIn(person);
    const stranger = await signIn(await newPerson());

    expect((await mine.client.auth.signOut({ scope })).error).toBeNull();
    const isAlive = async ({ session }: typeof mine) =>
      (await newClient().auth.getUser(session.access_token)).error === null;
    expect({ mine: await isAlive(mine), theirs: await isAlive(theirs) }).toEqual(lives);
    expect(await isAlive(stranger)).toBe(true);
  });

  test("is refused for a scope that GoTrue does not know", async () => {
    const { session } = await signIn(await newPerson());
    const { status, body } = await call("POST", "/logout?scope=everybody", {
      headers: { authorization: `Bearer ${session.access_token}` },
    });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error_code: "validation_failed", msg: 'Unsupported logout scope "everybody"' });
  });
});

describe("one's own account", () => {
  test("is shown without its secrets", async () => {
    const person = await newPerson();
    const { session } = await signIn(person);
    const { body } = await call("GET", "/user", { headers: { authorization: `Bearer ${session.access_token}` } });
    expect(body).toMatchObject({ id: person.id, aud: "authenticated", email: person.email, phone: "" });
    expect(JSON.stringify(body)).not.toMatch(/password|token/);
  });

  test("takes new metadata, merged, and drops what is null", async () => {
    const { client } = await signIn(await newPerson({ user_metadata: { name: "Claire", city: "Lyon" } }));
    const { data } = await client.auth.updateUser({ data: { city: null, language: "fr" } });
    expect(data.user?.user_metadata).toEqual({ name: "Claire", language: "fr", email_verified: true });
  });

  test("takes a new password, which ends the other sessions", async () => {
    const person = await newPerson();
    const { client } = await signIn(person);
    const elsewhere = await signIn(person);
    expect((await client.auth.updateUser({ password: "another horse" })).error).toBeNull();

    expect((await client.auth.getUser()).error).toBeNull();
    expect((await newClient().auth.getUser(elsewhere.session.access_token)).error).not.toBeNull();
    const email = person.email ?? "";
    expect((await newClient().auth.signInWithPassword({ email, password: PASSWORD })).error).not.toBeNull();
    expect((await newClient().auth.signInWithPassword({ email, password: "another horse" })).error).toBeNull();
  });

  test.each([
    ["the same password", { password: PASSWORD }, { status: 422, code: "same_password" }],
    ["a weak password", { password: "12345" }, { status: 422, code: "weak_password" }],
    ["another address", { email: "somebody@else.test" }, { status: 422, code: "email_provider_disabled" }],
  ])("refuses %s", async (_what, change, refusal) => {
    const { client } = await signIn(await newPerson());
    expect((await client.auth.updateUser(change)).error).toMatchObject(refusal);
  });

  test("does not let people make themselves admins", async () => {
    const { session } = await signIn(await newPerson());
    const { status, body } = await call("PUT", "/user", {
      headers: { authorization: `Bearer ${session.access_token}` },
      body: JSON.stringify({ app_metadata: { role: "admin" } }),
    });
    expect(status).toBe(403);
    expect(body).toMatchObject({ error_code: "not_admin" });
  });
});

describe("a token that proves nothing", () => {
  const soon = Math.floor(Date.now() / 1000) + 600;
  const claims = { sub: crypto.randomUUID(), aud: "authenticated", role: "authenticated" };

  test.each([
    ["none at all", () => "", 401, "no_authorization", /requires a Bearer token/],
    ["not a token", () => "Bearer something", 403, "bad_jwt", /token is malformed/],
    ["expired", async () => `Bearer ${await signSession(claims, soon - 1200)}`, 403, "bad_jwt", /token is expired/],
    ["forged", async () => `Bearer ${await forged(claims, soon)}`, 403, "bad_jwt", /signature is invalid/],
    ["unsigned", () => `Bearer ${unsigned(claims)}`, 403, "bad_jwt", /signature is invalid/],
    ["of nobody", async () => `Bearer ${await signSession({ aud: "x" }, soon)}`, 403, "bad_jwt", /missing sub claim/],
    [
      "of someone who is gone",
      async () => `Bearer ${await signLegacy({ ...claims, exp: soon })}`,
      403,
      "user_not_found",
      /does not exist/,
    ],
  ])("is refused: %s", async (_what, authorization, status, code, message) => {
    // The gateway puts the key's own token where there is none, so "none at all" must not look absent.
    const header = await authorization();
    const answer = await call("GET", "/user", { headers: { authorization: header === "" ? "Basic none" : header } });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error_code: code, msg: expect.stringMatching(message) });
  });

  test("is accepted when it was made with the JWT secret for someone who exists", async () => {
    const person = await newPerson();
    const token = await signLegacy({ ...claims, sub: person.id, exp: soon });
    expect((await newClient().auth.getUser(token)).data.user?.id).toBe(person.id);
  });
});

async function forged(claims: Record<string, unknown>, expiresAt: number): Promise<string> {
  const [header, , signature] = (await signSession(claims, expiresAt)).split(".");
  return [header, encode({ ...claims, role: "service_role", exp: expiresAt }), signature].join(".");
}

function unsigned(claims: Record<string, unknown>): string {
  return [encode({ alg: "none", typ: "JWT" }), encode(claims), ""].join(".");
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

import { Buffer } from "node:buffer";
import { generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signLegacy, signSession } from "../../local/auth/tokens.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";
import { createProject, type Project } from "./fixtures/functions/project.ts";

const NOW = Math.floor(Date.now() / 1000);
const BODY = `export default { fetch: (request: Request) => Response.json(Object.fromEntries(request.headers)) };`;

/** Codes and words are those of https://supabase.com/docs/guides/functions/error-codes, seen on the platform. */
describe("a function with verify_jwt", () => {
  let project: Project;
  beforeAll(() => {
    project = createProject({
      undeclared: BODY,
      verified: BODY,
      open: BODY,
      "supabase/config.toml": "[functions.verified]\nverify_jwt = true\n[functions.open]\nverify_jwt = false\n",
    });
  });
  afterAll(() => project.close());

  const call = (name: string, headers: Record<string, string>, method = "POST") =>
    project.call(name, { method, headers });

  async function refusal(headers: Record<string, string>): Promise<[number, string, string, string | null]> {
    const answer = await call("verified", headers);
    const { code, message } = await answer.json();
    return [answer.status, code, message, answer.headers.get("sb-error-code")];
  }

  test("not declared in config.toml, a function verifies its callers", async () => {
    expect((await call("undeclared", {})).status).toBe(401);
    expect((await call("undeclared", { apikey: PUBLISHABLE_KEY })).status).toBe(200);
  });

  test("with verify_jwt = false, anyone is let through, with a forged token too", async () => {
    expect((await call("open", {})).status).toBe(200);
    expect((await call("open", { authorization: "Bearer forged" })).status).toBe(200);
  });

  test.each([
    [
      "a user's session",
      async () => ({ authorization: `Bearer ${await signSession({ role: "authenticated" }, NOW + 60)}` }),
    ],
    ["a legacy key", async () => ({ authorization: `Bearer ${await signLegacy({ role: "anon", exp: NOW + 60 })}` })],
    ["a legacy key as apikey", async () => ({ apikey: await signLegacy({ role: "anon", exp: NOW + 60 }) })],
    ["the publishable key", () => ({ apikey: PUBLISHABLE_KEY })],
    ["the secret key", () => ({ apikey: SECRET_KEY })],
    ["the publishable key twice, as supabase-js sends it", () => ({
      apikey: PUBLISHABLE_KEY,
      authorization: `Bearer ${PUBLISHABLE_KEY}`,
    })],
  ])("%s is let through, and reaches the function as it was sent", async (_, headers) => {
    const sent: Record<string, string> = { ...await headers() };
    const answer = await call("verified", sent);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject(sent);
  });

  test("a preflight request needs no token", async () => {
    expect((await call("verified", {}, "OPTIONS")).status).toBe(200);
  });

  test("no token at all is refused", async () => {
    expect(await refusal({})).toEqual([
      401,
      "UNAUTHORIZED_NO_AUTH_HEADER",
      "Missing authorization header",
      "UNAUTHORIZED_NO_AUTH_HEADER",
    ]);
  });

  test.each([
    [{ authorization: "Basic dTpw" }, "Auth header is not 'Bearer {token}'"],
    [{ authorization: "Bearer not.a.jwt" }, "Invalid JWT"],
    [{ authorization: `Bearer ${SECRET_KEY}` }, "Invalid JWT"],
    [{ authorization: "Bearer sb_secret_of_another_project", apikey: "sb_secret_of_another_project" }, "Invalid JWT"],
    [{ apikey: "sb_publishable_of_another_project" }, "Invalid JWT"],
    [{ apikey: "" }, "Invalid JWT"],
  ])("%o is refused for its form", async (headers, message) => {
    const code = "UNAUTHORIZED_INVALID_JWT_FORMAT";
    expect(await refusal(headers as Record<string, string>)).toEqual([401, code, message, code]);
  });

  test("an expired session is refused, also beside a key that would do", async () => {
    const authorization = `Bearer ${await signSession({ role: "authenticated" }, NOW - 60)}`;
    const code = "UNAUTHORIZED_ASYMMETRIC_JWT";
    expect(await refusal({ authorization })).toEqual([401, code, "Invalid JWT", code]);
    expect(await refusal({ authorization, apikey: PUBLISHABLE_KEY })).toEqual([401, code, "Invalid JWT", code]);
  });

  test("a token signed with someone else's key is refused", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const session = await new SignJWT({ role: "service_role" }).setProtectedHeader({ alg: "ES256" }).sign(privateKey);
    const legacy = await new SignJWT({ role: "service_role" }).setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode("another secret, with at least 32 characters"));
    expect((await refusal({ authorization: `Bearer ${session}` }))[1]).toBe("UNAUTHORIZED_ASYMMETRIC_JWT");
    expect((await refusal({ authorization: `Bearer ${legacy}` }))[1]).toBe("UNAUTHORIZED_LEGACY_JWT");
  });

  test.each(["none", "PS256", "HS512"])("a token that claims the algorithm %s is refused", async (alg) => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const token = `${part({ alg, typ: "JWT" })}.${part({ role: "service_role" })}.c2ln`;
    const code = "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM";
    expect(await refusal({ authorization: `Bearer ${token}` })).toEqual([
      401,
      code,
      `Unsupported JWT algorithm ${alg}`,
      code,
    ]);
  });
});

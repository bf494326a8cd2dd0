import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signLegacy, signSession, verifyToken } from "../../local/auth/tokens.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";
import { type Seen, type Stand, startStand } from "./gateway-stand.ts";

/** The legacy keys that `supabase start` prints. */
const LEGACY_ANON =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9.CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0";
const LEGACY_SERVICE =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InNlcnZpY2Vfcm9sZSIsImV4cCI6MTk4MzgxMjk5Nn0.EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU";
const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const soon = Math.floor(Date.now() / 1000) + 600;

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());

async function get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: unknown }> {
  const response = await fetch(stand.url + path, { headers });
  return { status: response.status, body: await response.json() };
}

async function seen(path: string, headers: Record<string, string> = {}): Promise<Seen> {
  const { status, body } = await get(path, headers);
  expect(status).toBe(200);
  return body as Seen;
}

async function roleSeen(headers: Record<string, string>, path = "/rest/v1/notes"): Promise<unknown> {
  const { authorization } = await seen(path, headers);
  return (await verifyToken((authorization ?? "").replace("Bearer ", ""))).role;
}

describe("an API key", () => {
  test.each([
    ["publishable", PUBLISHABLE_KEY, "anon"],
    ["secret", SECRET_KEY, "service_role"],
    ["legacy anon", LEGACY_ANON, "anon"],
    ["legacy service_role", LEGACY_SERVICE, "service_role"],
  ])("of the %s kind becomes its role's token", async (_kind, apikey, role) => {
    expect(await roleSeen({ apikey })).toBe(role);
    expect(await roleSeen({ apikey, authorization: `Bearer ${apikey}` })).toBe(role);
  });

  test("that someone signed with the JWT secret is as good as the legacy ones", async () => {
    const apikey = await signLegacy({ role: "service_role", iss: "my own", exp: soon });
    expect(await roleSeen({ apikey })).toBe("service_role");
  });

  test("becomes the very token that older clients have as their key", async () => {
    expect(await seen("/rest/v1/notes", { apikey: PUBLISHABLE_KEY })).toMatchObject({
      authorization: `Bearer ${LEGACY_ANON}`,
    });
  });

  test("leaves a user's own token untouched", async () => {
    const token = await signSession({ sub: crypto.randomUUID(), role: "authenticated" }, soon);
    for (const apikey of [PUBLISHABLE_KEY, SECRET_KEY, LEGACY_ANON]) {
      const { authorization } = await seen("/rest/v1/notes", { apikey, authorization: `Bearer ${token}` });
      expect(authorization).toBe(`Bearer ${token}`);
    }
  });

  test("may come in the URL, and goes no further there", async () => {
    const { query, authorization } = await seen(
      `/rest/v1/notes?id=eq.1&apikey=${PUBLISHABLE_KEY}&or=(a.eq.1%2Cb.eq.2)`,
    );
    expect(query).toBe("?id=eq.1&or=(a.eq.1%2Cb.eq.2)");
    expect(decodeJwt((authorization ?? "").slice("Bearer ".length)).role).toBe("anon");
  });

  test("is asked for by every service but the functions", async () => {
    const missing = {
      status: 401,
      body: {
        message: "No API key found in request",
        hint: "No `apikey` request header or url param was found.",
      },
    };
    const bearer = { authorization: `Bearer ${LEGACY_SERVICE}` };
    for (const path of ["/rest/v1/notes", "/auth/v1/user", "/storage/v1/bucket", "/storage/v1/object/sign/a/b"]) {
      expect(await get(path)).toEqual(missing);
      expect(await get(path, bearer)).toEqual(missing);
    }
  });

  test.each([
    ["unknown", () => "sb_publishable_unknown"],
    ["no key at all", () => "something"],
    ["a user's token", () => signSession({ sub: crypto.randomUUID(), role: "authenticated" }, soon)],
    ["expired", () => signLegacy({ role: "anon", exp: 1 })],
    ["signed by someone else", () => `${LEGACY_SERVICE.slice(0, -4)}AAAA`],
    ["for a role that no key has", () => signLegacy({ role: "postgres", exp: soon })],
  ])("is refused when it is %s", async (_what, key) => {
    expect(await get("/rest/v1/notes", { apikey: await key() })).toEqual({
      status: 401,
      body: { message: "Invalid API key", hint: expect.stringContaining("Double check the provided API key") },
    });
  });

  test("that is secret is refused to a browser, in whichever header it comes", async () => {
    for (
      const headers of [{ apikey: SECRET_KEY }, { authorization: `Bearer ${SECRET_KEY}`, apikey: PUBLISHABLE_KEY }]
    ) {
      for (const path of ["/rest/v1/notes", "/functions/v1/health"]) {
        expect(await get(path, { ...headers, "user-agent": CHROME })).toEqual({
          status: 401,
          body: {
            message: "Forbidden use of secret API key in browser",
            hint: expect.stringContaining("should never be used in a browser"),
          },
        });
      }
    }
    expect(await roleSeen({ apikey: PUBLISHABLE_KEY, "user-agent": CHROME })).toBe("anon");
    expect(await roleSeen({ apikey: SECRET_KEY, "user-agent": "curl/8.5.0" })).toBe("service_role");
  });

  test("must be secret to read the description of the whole API", async () => {
    expect(await get("/rest/v1/", { apikey: PUBLISHABLE_KEY })).toEqual({
      status: 401,
      body: { message: "Invalid API key", hint: "Only the `service_role` API key can be used for this endpoint." },
    });
    expect(await roleSeen({ apikey: SECRET_KEY }, "/rest/v1/")).toBe("service_role");
  });

  test("that is refused is named in the header that the platform uses", async () => {
    const codeFor = async (headers: Record<string, string>) =>
      (await fetch(`${stand.url}/rest/v1/notes`, { headers })).headers.get("sb-error-code");
    expect(await codeFor({})).toBe("UNAUTHORIZED_MISSING_API_KEY");
    expect(await codeFor({ apikey: "unknown" })).toBe("UNAUTHORIZED_INVALID_API_KEY");
    expect(await codeFor({ apikey: SECRET_KEY, "user-agent": CHROME })).toBe("UNAUTHORIZED_INVALID_API_KEY_TYPE");
  });
});

describe("without a key", () => {
  test.each([
    ["GET", "/auth/v1/.well-known/jwks.json"],
    ["GET", "/auth/v1/health"],
    ["GET", "/storage/v1/object/public/avatars/claire.png"],
    ["HEAD", "/storage/v1/object/public/avatars/claire.png"],
    ["GET", "/storage/v1/object/sign/files/a.pdf?token=abc"],
    ["PUT", "/storage/v1/object/upload/sign/files/a.pdf?token=abc"],
    ["POST", "/functions/v1/search"],
  ])("%s %s is open", async (method, path) => {
    expect((await fetch(stand.url + path, { method })).status).toBe(200);
  });

  test.each([
    ["GET", "/storage/v1/object/sign/files/a.pdf"],
    ["POST", "/storage/v1/object/sign/files/a.pdf?token=abc"],
    ["POST", "/storage/v1/object/upload/sign/files/a.pdf?token=abc"],
    ["DELETE", "/storage/v1/object/public/avatars/claire.png"],
    ["GET", "/storage/v1/object/publicity/claire.png"],
    ["GET", "/auth/v1/healthy"],
  ])("%s %s is closed", async (method, path) => {
    expect((await fetch(stand.url + path, { method })).status).toBe(401);
  });
});

test("a function gets the key and the token as they were sent", async () => {
  for (const apikey of [PUBLISHABLE_KEY, SECRET_KEY, LEGACY_ANON, "unknown"]) {
    const headers = { apikey, authorization: `Bearer ${apikey}` };
    expect(await seen("/functions/v1/health?apikey=x", headers)).toMatchObject({ ...headers, query: "?apikey=x" });
  }
  expect(await seen("/functions/v1/health")).toMatchObject({ apikey: null, authorization: null });
});

import { EventEmitter, once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { listen } from "../../local/gateway/listen.ts";
import { PUBLISHABLE_KEY, SECRET_KEY } from "../../local/keys.ts";
import { type Stand, startStand, takenPort } from "./gateway-stand.ts";

const stands: Stand[] = [];
afterEach(async () => {
  await Promise.all(stands.splice(0).map((stand) => stand.close()));
});

async function start(...services: Parameters<typeof startStand>): Promise<Stand> {
  const stand = await startStand(...services);
  stands.push(stand);
  return stand;
}

const apikey = PUBLISHABLE_KEY;

describe("routes", () => {
  test("lead to the services with their whole path", async () => {
    const { url } = await start();
    for (const service of ["rest", "auth", "storage", "functions"]) {
      const response = await fetch(`${url}/${service}/v1/a/b%20c?d=e`, { headers: { apikey } });
      expect(await response.json()).toMatchObject({ service, path: `/${service}/v1/a/b%20c`, query: "?d=e" });
    }
  });

  test.each(["/realtime/v1/websocket", "/rest/v2/notes", "/restv1", "/favicon.ico"])(
    "that nobody serves are no routes: %s",
    async (path) => {
      const { url } = await start();
      const response = await fetch(url + path, { headers: { apikey } });
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ message: "no Route matched with those values" });
    },
  );

  test("begin with a page that says what this is", async () => {
    const { url } = await start();
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain(`createClient("${url}", "${PUBLISHABLE_KEY}")`);
  });
});

describe("scripts of other origins", () => {
  const headersOfSupabaseJs = "accept-profile,apikey,authorization,content-profile,content-type,prefer,x-client-info";
  const preflight = (url: string) =>
    fetch(url, {
      method: "OPTIONS",
      headers: {
        origin: "http://localhost:3000",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": headersOfSupabaseJs,
      },
    });

  test("may send what supabase-js sends, without showing a key first", async () => {
    const { url } = await start();
    for (const service of ["rest", "auth", "storage"]) {
      const { status, headers } = await preflight(`${url}/${service}/v1/anything`);
      expect(status).toBe(200);
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-allow-headers")).toBe(headersOfSupabaseJs);
      expect(headers.get("access-control-allow-methods")).toContain("PATCH");
    }
  });

  test("may read answers and refusals, counts and error codes included", async () => {
    const { url } = await start();
    const paths = ["/rest/v1/notes", "/nowhere", "/rest/v1/notes?apikey=unknown"];
    for (const path of paths) {
      const { headers } = await fetch(url + path, { headers: path.includes("apikey") ? {} : { apikey } });
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-expose-headers")).toMatch(/content-range.*x-supabase-api-version/);
    }
  });

  test("are the function's own affair when they call a function", async () => {
    const { url } = await start({
      functions: {
        fetch: (request) =>
          Promise.resolve(
            new Response(null, { status: 204, headers: { "access-control-allow-origin": `for ${request.method}` } }),
          ),
      },
    });
    const response = await preflight(`${url}/functions/v1/search`);
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("for OPTIONS");
  });
});

describe("a host name", () => {
  /** fetch does not let one choose the Host header. */
  async function statusFor(stand: Stand, host: string): Promise<number | undefined> {
    const request = httpRequest(`${stand.url}/rest/v1/notes`, { headers: { host, apikey } }).end();
    const [response] = await once(request, "response");
    response.resume();
    return response.statusCode;
  }

  test.each(["localhost", "127.0.0.1:54321", "[::1]:54321", "accord.localhost", "host.docker.internal"])(
    "of this machine is served: %s",
    async (host) => {
      expect(await statusFor(await start(), host)).toBe(200);
    },
  );

  test.each(["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.10"])(
    "of somewhere else is refused, against DNS rebinding: %s",
    async (host) => {
      expect(await statusFor(await start(), host)).toBe(403);
    },
  );
});

describe("bodies", () => {
  test("are streamed through in both directions, before they are complete", async () => {
    const { url } = await start({
      storage: { fetch: (request) => Promise.resolve(new Response(request.body)) },
    });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const answer = fetch(`${url}/storage/v1/object/a/b?apikey=${apikey}`, {
      method: "POST",
      body: readable,
      duplex: "half",
    } as RequestInit);

    await writer.write(new TextEncoder().encode("first"));
    const reader = (await answer).body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("first");
    await writer.write(new TextEncoder().encode("second"));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("second");
    await writer.close();
    expect((await reader?.read())?.done).toBe(true);
  });

  test("may be left unread by a refusal", async () => {
    const { url } = await start();
    const response = await fetch(`${url}/storage/v1/object/a/b`, { method: "POST", body: new Uint8Array(4_000_000) });
    expect(response.status).toBe(401);
  });
});

describe("trouble", () => {
  test("in a service is a 500 and a line in the log, and the next request is served", async () => {
    const { url, log } = await start({ rest: { fetch: () => Promise.reject(new Error("the database is gone")) } });
    const response = await fetch(`${url}/rest/v1/notes?secret=1`, { headers: { apikey } });
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ message: "An unexpected error occurred" });
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(log.lines).toContain("error: GET /rest/v1/notes failed: the database is gone");
    expect((await fetch(`${url}/auth/v1/user`, { headers: { apikey } })).status).toBe(200);
  });

  test("that a service throws before it begins is no different", async () => {
    const { url } = await start({
      rest: {
        fetch() {
          throw new Error("at once");
        },
      },
    });
    expect((await fetch(`${url}/rest/v1/notes`, { headers: { apikey } })).status).toBe(500);
  });

  test("with a client that goes away is nobody's error", async () => {
    const service = new EventEmitter();
    const reached = once(service, "request");
    const stand = await start({
      functions: {
        fetch(request) {
          service.emit("request", request);
          return new Promise((_resolve, reject) => {
            request.signal.addEventListener("abort", () => reject(new Error("nobody waits any more")));
          });
        },
      },
    });
    const client = new AbortController();
    const call = fetch(`${stand.url}/functions/v1/slow`, { method: "POST", body: "x", signal: client.signal });
    const [{ signal }] = await reached;
    const left = once(signal, "abort");
    client.abort();
    await expect(call).rejects.toThrow();
    await left;

    expect((await fetch(`${stand.url}/auth/v1/user`, { headers: { apikey } })).status).toBe(200);
    expect(stand.log.lines.filter((line) => line.startsWith("error"))).toEqual([]);
  });

  test("with a port that is taken names the port and the way out", async () => {
    const { port, release } = await takenPort();
    const gateway = { fetch: () => Promise.resolve(new Response()) };
    await expect(listen(gateway, { port })).rejects.toThrow(
      `Port ${port} is in use. Stop what holds it, or choose another with --port.`,
    );
    release();
  });
});

test("the log tells method, path, status and time, and nothing secret", async () => {
  const { url, log } = await start();
  const token = "eyJ.secret.token";
  await fetch(`${url}/storage/v1/object/sign/a/b?token=${token}&apikey=${SECRET_KEY}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(log.lines).toEqual([expect.stringMatching(/^detail: GET \/storage\/v1\/object\/sign\/a\/b 200 \d+ ms$/)]);
});

test("closing does not wait for clients that keep their connection", async () => {
  const stand = await startStand({ functions: { fetch: () => new Promise(() => {}) } });
  const hanging = fetch(`${stand.url}/functions/v1/forever`);
  const refused = expect(hanging).rejects.toThrow();
  await fetch(`${stand.url}/auth/v1/user`, { headers: { apikey } });
  await stand.close();
  await refused;
});

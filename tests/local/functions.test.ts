import { Buffer } from "node:buffer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, DENOS, processOf, type Project } from "./fixtures/functions/project.ts";

const SOURCES = {
  "echo": `export default {
    async fetch(request: Request) {
      return Response.json({
        method: request.method,
        url: request.url,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      });
    },
  };`,
  "by-serve":
    `Deno.serve({ port: 1234 }, (request: Request) => new Response("served " + new URL(request.url).pathname));`,
  "late": `setTimeout(() => Deno.serve(() => new Response("late")), 1);`,
  "recovering": `Deno.serve({
    handler: () => { throw new Error("no"); },
    onError: (error) => new Response("recovered from " + (error as Error).message, { status: 418 }),
  });`,
  "environment": `export default { fetch: () => Response.json(Deno.env.toObject()) };`,
  "statuses": `export default {
    fetch(request: Request) {
      const status = Number(new URL(request.url).pathname.split("/")[2]);
      if (status >= 300 && status < 304) return Response.redirect("http://127.0.0.1:1/elsewhere", status);
      return new Response(status === 204 || status === 304 ? null : "body of " + status, { status });
    },
  };`,
  "page": `export default {
    fetch: () => new Response("<p>é</p>", { headers: { "content-type": "text/html; charset=utf-8" } }),
  };`,
  "cookies": `export default {
    fetch: () => new Response("", { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] }),
  };`,
  "throwing": `export default { fetch() { throw new Error("thrown by the handler"); } };`,
  "events": `
    const released = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    export default {
      async fetch(request: Request) {
        const step = new URL(request.url).pathname.split("/")[2];
        if (step === "release") return released.resolve(), new Response("released");
        if (step === "cancelled") return await cancelled.promise, new Response("cancelled");
        const events = new ReadableStream({
          async start(controller) {
            controller.enqueue("data: first\\n\\n");
            await released.promise;
            controller.enqueue("data: second\\n\\n");
          },
          cancel: () => cancelled.resolve(),
        });
        return new Response(events.pipeThrough(new TextEncoderStream()), { headers: { "content-type": "text/event-stream" } });
      },
    };`,
  "patient": `
    let calls = 0;
    export default {
      fetch(request: Request) {
        if (request.url.endsWith("/calls")) return new Response(String(calls));
        calls++;
        console.log("called");
        return new Promise(() => {});
      },
    };`,
  "mirror": `export default { fetch: (request: Request) => new Response(request.body) };`,
  "compressed": `export default {
    fetch() {
      const body = new Blob(["é".repeat(1000)]).stream().pipeThrough(new CompressionStream("gzip"));
      return new Response(body, { headers: { "content-encoding": "gzip" } });
    },
  };`,
  "packages": `import { withSupabase } from "@supabase/server";
    import { z } from "npm:zod@4.6.7";
    import { three } from "../../../shared/numbers.ts";
    export default { fetch: () => Response.json({ withSupabase: typeof withSupabase, three: z.number().parse(three) }) };`,
  "supabase/functions/packages/deno.json": `{ "imports": { "@supabase/server": "npm:@supabase/server@1.4.1" } }`,
  "shared/numbers.ts": `export const three: number = 3;`,
  "remote": `import "jsr:@supabase/functions-js/edge-runtime.d.ts"; export default { fetch: () => new Response() };`,
  "writing": `export default {
    fetch() {
      console.log("to stdout");
      console.error("to stderr");
      return new Response();
    },
  };`,
  "supabase/functions/_shared/index.ts": `export default { fetch: () => new Response("not a function") };`,
  "supabase/functions/9lives/index.ts": `export default { fetch: () => new Response("not a name") };`,
};

describe.each(DENOS)("functions on %s", (deno) => {
  let project: Project;
  beforeAll(() => {
    project = createProject(SOURCES, { deno });
  });
  afterAll(() => project.close());

  test("a function runs in one process of its own, started by the first call", async () => {
    const [first, second, other] = [await project.call("echo"), await project.call("echo"), await project.call("page")];
    expect(processOf(first)).toBe(processOf(second));
    expect(processOf(first)).not.toBe(processOf(other));
  });

  test("simultaneous first calls start one process", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => project.call("mirror")));
    expect(new Set(answers.map(processOf)).size).toBe(1);
    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
  });

  test("a function sees its path from its own name on, the query, the method, the body and every header", async () => {
    const answer = await project.call("echo/items/7%20a?x=1&x=2", {
      method: "PATCH",
      body: "héllo",
      headers: { apikey: "sb_publishable_x", authorization: "Bearer y", "x-client-info": "test" },
    });
    expect(await answer.json()).toMatchObject({
      method: "PATCH",
      url: "http://127.0.0.1:54321/echo/items/7%20a?x=1&x=2",
      body: "héllo",
      headers: {
        "apikey": "sb_publishable_x",
        "authorization": "Bearer y",
        "x-client-info": "test",
        "content-type": "text/plain;charset=UTF-8",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "127.0.0.1",
        "x-forwarded-port": "54321",
        "x-forwarded-proto": "http",
      },
    });
  });

  test("what a proxy in front has said of the caller stays", async () => {
    const answer = await project.call("echo", {
      headers: { host: "accord.example", "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" },
    });
    expect(await answer.json()).toMatchObject({
      url: "http://accord.example/echo",
      headers: { "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" },
    });
  });

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s reaches the function", async (method) => {
    expect(await (await project.call("echo", { method })).json()).toMatchObject({ method });
  });

  test("HEAD gives the headers of an answer without its body", async () => {
    const answer = await project.call("statuses/200", { method: "HEAD" });
    expect(answer.headers.get("content-type")).toBe("text/plain;charset=UTF-8");
    expect(await answer.text()).toBe("");
  });

  test("a function may call Deno.serve instead, whatever port it asks for", async () => {
    expect(await (await project.call("by-serve/rest")).text()).toBe("served /by-serve/rest");
    expect(await (await project.call("late")).text()).toBe("late");
  });

  test("the error handler given to Deno.serve is used", async () => {
    const answer = await project.call("recovering");
    expect([answer.status, await answer.text()]).toEqual([418, "recovered from no"]);
  });

  test("a function imports npm's packages and the project's own code, and its deno.json is read", async () => {
    expect(await (await project.call("packages")).json()).toEqual({ withSupabase: "function", three: 3 });
  });

  test("nothing is ever downloaded: an import from elsewhere fails to start, and the log names it", async () => {
    const answer = await project.call("remote");
    expect(answer.status).toBe(503);
    expect(project.log.lines.join("\n")).toMatch(/warn remote \| .*jsr\S*@supabase\/functions-js/);
  });

  test.each([201, 204, 304, 400, 404])("status %i passes unchanged", async (status) => {
    const answer = await project.call(`statuses/${status}`);
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(status === 204 || status === 304 ? "" : `body of ${status}`);
    expect(answer.headers.get("sb-error-code")).toBeNull();
  });

  test("a redirect is the caller's to follow", async () => {
    const answer = await project.call("statuses/302");
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "http://127.0.0.1:1/elsewhere"]);
  });

  // https://supabase.com/docs/guides/functions/error-codes
  test("a server error of the function's own is marked as the platform marks it", async () => {
    const answer = await project.call("statuses/502");
    expect([answer.status, await answer.text()]).toEqual([502, "body of 502"]);
    expect(answer.headers.get("sb-error-code")).toBe("EDGE_FUNCTION_ERROR");
  });

  test("a handler that throws costs its caller a 500 and nobody else anything", async () => {
    const [failed, next] = [await project.call("throwing"), await project.call("throwing")];
    expect([failed.status, await failed.text()]).toEqual([500, "Internal Server Error"]);
    expect(processOf(next)).toBe(processOf(failed));
    expect(await project.log.has("thrown by the handler")).toMatch(/^warn throwing \| /);
  });

  test("a page is served as plain text to GET, as on the platform, and as a page to POST", async () => {
    const [got, posted] = [await project.call("page"), await project.call("page", { method: "POST" })];
    expect(got.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await got.text()).toBe("<p>é</p>");
    expect(posted.headers.get("content-type")).toBe("text/html; charset=utf-8");
  });

  test("each cookie stays a header of its own", async () => {
    expect((await project.call("cookies")).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  test("a compressed answer passes as it is", async () => {
    const answer = await project.call("compressed");
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    const plain = answer.body!.pipeThrough(new DecompressionStream("gzip"));
    expect(await new Response(plain).text()).toBe("é".repeat(1000));
  });

  test("each event arrives when it is sent, and a caller who leaves is noticed", async () => {
    const events = await project.call("events", { headers: { "accept-encoding": "gzip, br" } });
    const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("data: first\n\n");
    // The function sends the second event only when this call, made after the first was read, lets it.
    expect(await (await project.call("events/release")).text()).toBe("released");
    expect((await reader.read()).value).toBe("data: second\n\n");
    await reader.cancel();
    expect(await (await project.call("events/cancelled")).text()).toBe("cancelled");
  });

  test("an upload reaches the function while it is still being sent", async () => {
    const upload = new TransformStream<Uint8Array, Uint8Array>();
    const writer = upload.writable.getWriter();
    const sent = writer.write(Buffer.from("one"));
    const answer = await project.call(
      "mirror",
      { method: "POST", body: upload.readable, duplex: "half" } as RequestInit,
    );
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    await sent;
    expect((await reader.read()).value).toBe("one");
    await Promise.all([writer.write(Buffer.from("two")), writer.close()]);
    expect((await reader.read()).value).toBe("two");
    expect((await reader.read()).done).toBe(true);
  });

  test("ten megabytes there and back are the same ten megabytes", async () => {
    const body = Buffer.alloc(10_000_000, "0123456789abcdef");
    const answer = await project.call("mirror", { method: "POST", body });
    expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true);
  });

  test("a caller who leaves before the answer costs the function nothing", async () => {
    const leaving = new AbortController();
    const pending = project.call("patient", { signal: leaving.signal });
    await project.log.has("called");
    leaving.abort();
    expect((await pending).status).toBe(499);
    const next = await project.call("patient/calls");
    expect([next.status, await next.text()]).toEqual([200, "1"]);
  });

  test("an upload that breaks off costs the function nothing", async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.error(new Error("the caller's disk failed")),
    });
    const before = processOf(await project.call("mirror"));
    expect((await project.call("mirror", { method: "POST", body, duplex: "half" } as RequestInit)).status).toBe(499);
    expect(processOf(await project.call("mirror"))).toBe(before);
  });

  test("what a function prints is in the log under its name, and the lines of stderr stand out", async () => {
    await project.call("writing");
    expect(await project.log.has("to stdout")).toBe("info writing | to stdout");
    expect(await project.log.has("to stderr")).toBe("warn writing | to stderr");
  });

  // https://supabase.com/docs/guides/functions/error-codes
  test.each(["unknown", "_shared", "9lives", "..", "echo%2f..%2fpage", "", "a;id", "__proto__"])(
    "%j is no function",
    async (name) => {
      const answer = await project.call(name);
      expect(answer.status).toBe(404);
      expect(answer.headers.get("sb-error-code")).toBe("NOT_FOUND");
      expect(await answer.json()).toEqual({ code: "NOT_FOUND", message: "Requested function was not found" });
    },
  );
});

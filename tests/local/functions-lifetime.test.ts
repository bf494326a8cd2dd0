import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";

import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { locateDeno } from "../../local/functions/deno-binary.ts";
import { createDeathwatch } from "./fixtures/functions/latch.ts";
import { CACHE, createProject, DENOS, processOf, type Project } from "./fixtures/functions/project.ts";

const answering = (text: string) => `export default { fetch: () => new Response(${JSON.stringify(text)}) };`;

/** Stays connected to the test for as long as its process lives. */
const WATCHED = (port: number, then: string) => `
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: ${port} });
  export default { async fetch() { await connection.write(new Uint8Array(1)); ${then} } };`;
const LOOPING = "for (;;);";
const WAITING = "await new Promise(() => setInterval(() => {}, 1000));";

describe.each(DENOS)("the life of a function on %s", (deno) => {
  let project: Project;
  afterEach(() => project.close());

  test("an edit is seen by the next call", async () => {
    project = createProject({ greeting: answering("before") }, { deno });
    const before = await project.call("greeting");
    project.write("greeting", answering("after"));
    const after = await project.call("greeting");
    expect([await before.text(), await after.text()]).toEqual(["before", "after"]);
  });

  test.each(["shared/words.ts", "supabase/functions/_shared/words.ts", "supabase/functions/greeting/deep/words.ts"])(
    "an edit of %s is seen by the next call",
    async (path) => {
      project = createProject({
        greeting: `import { word } from ${JSON.stringify(`../../../${path}`)}; ${answering("").replace('""', "word")}`,
        [path]: `export const word = "before";`,
      }, { deno });
      expect(await (await project.call("greeting")).text()).toBe("before");
      project.write(path, `export const word = "after";`);
      expect(await (await project.call("greeting")).text()).toBe("after");
    },
  );

  test("an edit of one function leaves the others running", async () => {
    project = createProject({ edited: answering("1"), other: answering("other") }, { deno });
    const before = processOf(await project.call("other"));
    await project.call("edited");
    project.write("edited", answering("2"));
    expect(await (await project.call("edited")).text()).toBe("2");
    expect(processOf(await project.call("other"))).toBe(before);
  });

  test("a request under way when its function is edited is answered by the old code, which then ends", async () => {
    await using watch = await createDeathwatch();
    project = createProject({
      slow: `
        await Deno.connect({ hostname: "127.0.0.1", port: ${watch.port} });
        export default {
          fetch(request: Request) {
            const parts = new TransformStream<string, string>();
            const writer = parts.writable.getWriter();
            writer.write("old ");
            request.text().then((text) => writer.write(text)).then(() => writer.close());
            return new Response(parts.readable.pipeThrough(new TextEncoderStream()));
          },
        };`,
    }, { deno });
    const upload = new TransformStream<Uint8Array, Uint8Array>();
    const old = await project.call("slow", { method: "POST", body: upload.readable, duplex: "half" } as RequestInit);
    project.write("slow", answering("new"));
    expect(await (await project.call("slow")).text()).toBe("new");
    const writer = upload.writable.getWriter();
    await Promise.all([writer.write(Buffer.from("answer")), writer.close()]);
    expect(await old.text()).toBe("old answer");
    await watch.ended;
  });

  test("a crash costs the calls under way a 500, and the next call finds a new process", async () => {
    project = createProject({
      fragile: `export default {
        fetch(request: Request) {
          if (request.method === "DELETE") Deno.exit(7);
          return new Response("well");
        },
      };`,
    }, { deno });
    const before = await project.call("fragile");
    const crashed = await project.call("fragile", { method: "DELETE" });
    expect(crashed.status).toBe(500);
    expect(await crashed.json()).toEqual({
      code: "WORKER_ERROR",
      message: "Function exited due to an error (please check logs)",
    });
    const after = await project.call("fragile");
    expect(await after.text()).toBe("well");
    expect(processOf(after)).not.toBe(processOf(before));
    expect(project.log.lines).toContain("error fragile | exited with code 7; the next call starts it again");
  });

  test("an error that nobody catches, after the answer, ends the process and is in the log", async () => {
    project = createProject({
      late: `export default {
        fetch() {
          setTimeout(() => { throw new Error("too late"); }, 1);
          return new Response("fine");
        },
      };`,
    }, { deno });
    expect(await (await project.call("late")).text()).toBe("fine");
    await project.log.has("late | exited with code 1");
    expect(project.log.lines.join("\n")).toContain("too late");
    expect(await (await project.call("late")).text()).toBe("fine");
  });

  test.each([
    ["does not compile", "export default {\n  fetch: () => new Response('x',,)\n};", /broken\/index\.ts:2:/],
    [
      "imports what is not there",
      `import "./missing.ts";\n${answering("")}`,
      /broken\/missing\.ts.*\n.*broken\/index\.ts:1:/,
    ],
    ["throws while it starts", `\n\nthrow new Error("not configured");`, /not configured\n.*broken\/index\.ts:3:/],
    ["serves nothing", "export const answer = 42;", /write `export default \{ fetch \}` or call `Deno\.serve/],
  ])("a function that %s answers 503 and says where, while the others serve", async (_, source, where) => {
    project = createProject({ broken: source, whole: answering("whole") }, { deno });
    const [broken, whole] = await Promise.all([project.call("broken"), project.call("whole")]);
    expect(broken.status).toBe(503);
    expect(broken.headers.get("sb-error-code")).toBe("BOOT_ERROR");
    expect(await broken.json()).toEqual({
      code: "BOOT_ERROR",
      message: "Function failed to start (please check logs)",
    });
    expect(project.log.lines.join("\n")).toMatch(where);
    expect(project.log.lines.join("\n")).not.toContain("boot.ts");
    expect(await whole.text()).toBe("whole");

    project.write("broken", answering("mended"));
    expect(await (await project.call("broken")).text()).toBe("mended");
  });

  test("a function that never finishes starting is given up", async () => {
    project = createProject({ stuck: WAITING }, { deno, limits: { bootMs: 500 } });
    expect((await project.call("stuck")).status).toBe(503);
    expect(project.log.lines).toEqual(["error stuck | did not start within 0.5 s: stopped"]);
  });

  test.each([["waits", WAITING], ["loops", LOOPING]])(
    "a function that %s beyond the wall clock is ended, and its caller told",
    async (_, then) => {
      await using watch = await createDeathwatch();
      project = createProject({ endless: WATCHED(watch.port, then) }, { deno, limits: { wallClockMs: 500 } });
      const answer = await project.call("endless");
      expect(answer.status).toBe(546);
      expect(answer.headers.get("sb-error-code")).toBe("WORKER_LIMIT");
      expect(await answer.json()).toEqual({
        code: "WORKER_LIMIT",
        message: "Function failed due to not having enough compute resources (please check logs)",
      });
      expect(project.log.lines).toEqual(["error endless | wall clock limit of 0.5 s reached: stopped"]);
      await watch.ended;

      project.write("endless", answering("mended"));
      expect(await (await project.call("endless")).text()).toBe("mended");
    },
  );

  test("the wall clock also ends an answer that goes on and on", async () => {
    project = createProject({
      chatty: `export default {
        fetch: () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) })),
      };`,
    }, { deno, limits: { wallClockMs: 500 } });
    const answer = await project.call("chatty");
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
  });

  test("a caller who waits too long for the first byte is told, and the function goes on", async () => {
    project = createProject({
      slow: `let isFirst = true; export default {
        async fetch() {
          if (isFirst) { isFirst = false; await new Promise(() => {}); }
          return new Response("quick");
        },
      };`,
    }, { deno, limits: { firstByteMs: 500 } });
    const answer = await project.call("slow");
    expect(answer.status).toBe(504);
    expect(await answer.json()).toEqual({
      code: "IDLE_TIMEOUT",
      message: "Request idle timeout limit (0.5s) reached",
    });
    expect(await (await project.call("slow")).text()).toBe("quick");
  });

  test("a function that needs more memory than the platform gives is ended, and its caller told", async () => {
    project = createProject({
      greedy:
        `const all: unknown[] = []; export default { fetch() { for (;;) all.push(new Array(1e5).fill(all.length)); } };`,
    }, { deno, limits: { memoryMb: 64 } });
    const answer = await project.call("greedy");
    expect([answer.status, (await answer.json()).code]).toEqual([546, "WORKER_LIMIT"]);
    expect(project.log.lines).toEqual(["error greedy | needed more than 64 MB of memory: stopped"]);
  });

  test("work left behind by EdgeRuntime.waitUntil goes on after the answer, within the wall clock", async () => {
    await using watch = await createDeathwatch();
    project = createProject({
      background: `
        await Deno.connect({ hostname: "127.0.0.1", port: ${watch.port} });
        export default {
          fetch() {
            EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(resolve, 1)).then(() => console.log("done")));
            EdgeRuntime.waitUntil(new Promise(() => setInterval(() => {}, 1000)));
            return new Response("answered");
          },
        };`,
    }, { deno, limits: { wallClockMs: 1000 } });
    expect(await (await project.call("background")).text()).toBe("answered");
    expect(await project.log.has("done")).toBe("info background | done");
    await watch.ended;
  });

  test.each([["waits", WAITING], ["loops", LOOPING]])("closing ends a function that %s", async (_, then) => {
    await using watch = await createDeathwatch();
    project = createProject({ busy: WATCHED(watch.port, then) }, { deno });
    const pending = project.call("busy");
    await watch.began;
    await project.close();
    await watch.ended;
    expect((await pending).status).toBeGreaterThanOrEqual(500);
  });

  test.each([["waits", WAITING], ["loops", LOOPING]])(
    "kill -9 of the stack leaves no process behind, even of a function that %s",
    async (_, then) => {
      await using watch = await createDeathwatch();
      project = createProject({ orphan: WATCHED(watch.port, then) }, { deno });
      const stack = startStack(project.directory, locateDeno(deno), "orphan");
      await watch.began;
      stack.kill("SIGKILL");
      await once(stack, "exit");
      await watch.ended;
    },
  );
});

function startStack(directory: string, denoPath: string, name: string): ChildProcess {
  const script = fileURLToPath(new URL("./fixtures/functions/doomed-stack.ts", import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", script, directory, CACHE, denoPath, name], { stdio: "inherit" });
}

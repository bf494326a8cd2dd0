/**
 * Runs inside Deno, ahead of a function: `deno run boot.ts <the function's URL> <variables to hide>…`.
 * It gives the function what the platform's runtime gives, whichever way the function says what it serves, and tells
 * the stack the port. Plain `deno serve` has no EdgeRuntime, and lets a function that calls Deno.serve itself listen
 * on every interface at port 8000.
 */
type Handler = (request: Request, info?: unknown) => Response | Promise<Response>;
type ErrorHandler = (error: unknown) => Response | Promise<Response>;

interface FunctionModule {
  default?: { fetch?: Handler };
}

declare const Deno: {
  args: string[];
  env: { delete(name: string): void };
  exit(code: number): never;
  serve(options: { hostname: string; port: number; onListen(address: { port: number }): void }, use: Handler): unknown;
};

const [entrypoint = "", ...hidden] = Deno.args;
for (const name of hidden) Deno.env.delete(name);

const print = console.log;
const serve = Deno.serve;
const served = new Promise<Handler>((resolve) => {
  Object.defineProperty(Deno, "serve", {
    value(first: Handler | { handler?: Handler; onError?: ErrorHandler }, second?: Handler) {
      const { handler = second, onError } = typeof first === "function" ? { handler: first } : first;
      if (handler === undefined) throw new TypeError("Deno.serve needs a handler");
      resolve(onError === undefined ? handler : recovering(handler, onError));
      return { finished: new Promise<void>(() => {}), shutdown: () => Promise.resolve(), ref() {}, unref() {} };
    },
  });
});

Object.defineProperty(globalThis, "EdgeRuntime", {
  value: { waitUntil: <T>(work: Promise<T>): Promise<T> => work },
});

// Waiting for a handler that never comes keeps no process alive: it runs out of work, and ends.
addEventListener("beforeunload", () => {
  console.error("This function serves nothing: write `export default { fetch }` or call `Deno.serve(handler)`.");
});

const { default: server } = await load(entrypoint);
const handler: Handler | Promise<Handler> = typeof server?.fetch === "function"
  ? (request, info) => server.fetch!(request, info)
  : served;

void Promise.resolve(handler).then((use) => {
  // Port 0: the system picks a free one, so that nobody can take it between the choice and the use.
  serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => print(`listening on port ${port}`) }, use);
});

async function load(entrypoint: string): Promise<FunctionModule> {
  try {
    return await import(entrypoint);
  } catch (error) {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    console.error(text.split("\n").filter((line) => !line.includes(import.meta.url)).join("\n"));
    Deno.exit(1);
  }
}

function recovering(handler: Handler, recover: ErrorHandler): Handler {
  return async (request, info) => {
    try {
      return await handler(request, info);
    } catch (error) {
      return await recover(error);
    }
  };
}

import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Log } from "../log.ts";
import { refuseStrangers } from "./access.ts";
import { type Environment, keysOf, readEnvironmentFile } from "./environment.ts";
import { FunctionFailure } from "./failures.ts";
import { type Answer, UnreachableError, UploadError } from "./forward.ts";
import { Isolate } from "./isolate.ts";
import { type Limits, PLATFORM_LIMITS } from "./limits.ts";
import { type FunctionSource, Registry } from "./registry.ts";
import { stampOf } from "./sources.ts";

export interface FunctionsOptions {
  /** `supabase/functions`. */
  directory: string;
  /** `supabase/config.toml`; a project without one has every default. */
  configPath: string;
  /** All that functions see, besides what `supabase/functions/.env` adds; see environment.ts. */
  environment: Environment;
  /** See deno-binary.ts. */
  denoPath: string;
  log: Log;
  /** Where Deno keeps what it compiled. Default: a folder in the system's temporary one. */
  cacheDirectory?: string;
  /** Code outside the functions' own folders whose edits restart them. Default: the project's `shared`. */
  sharedDirectories?: string[];
  limits?: Partial<Limits>;
}

export interface Functions {
  fetch(request: Request): Promise<Response>;
  /** Ends every process, and is done when all of them are gone. */
  close(): Promise<void>;
}

/** `/functions/v1`: each function unchanged in a Deno process of its own, started when it is first called. */
export function createFunctions(options: FunctionsOptions): Functions {
  const { directory, log, denoPath } = options;
  const limits = { ...PLATFORM_LIMITS, ...options.limits };
  const cacheDirectory = options.cacheDirectory ?? join(tmpdir(), "accord-deno");
  const shared = options.sharedDirectories ?? [join(directory, "..", "..", "shared")];
  const environmentFile = join(directory, ".env");
  const keys = keysOf(options.environment);
  const registry = new Registry(directory, options.configPath, log);
  const current = new Map<string, Isolate>();
  const living = new Set<Isolate>();
  let isClosed = false;

  /** Simultaneous first calls get the same one: nothing is awaited between the look and the start. */
  function isolateOf({ name, entrypoint, importMap }: FunctionSource): Isolate {
    const code = [dirname(entrypoint), importMap ?? "", join(directory, "_shared"), ...shared, environmentFile];
    const stamp = stampOf(code);
    const running = current.get(name);
    if (running?.isOpen && running.stamp === stamp) return running;

    running?.retire();
    const environment = { ...readEnvironmentFile(environmentFile), ...options.environment };
    const birth = { name, entrypoint, importMap, environment, denoPath, cacheDirectory, stamp, limits, log };
    const isolate = new Isolate(birth);
    current.set(name, isolate);
    living.add(isolate);
    void isolate.exited.then(() => living.delete(isolate));
    return isolate;
  }

  async function call(source: FunctionSource, request: Request, path: string): Promise<Response> {
    const headers = headersFor(request);
    for (let isRetry = false;; isRetry = true) {
      if (isClosed) throw new FunctionFailure("BOOT_ERROR");
      const isolate = isolateOf(source);
      try {
        return asServedByThePlatform(await isolate.fetch(request, path, headers), request, isolate.executionId);
      } catch (error) {
        // It had died unnoticed, before it saw anything of this request: another one may.
        if (!(error instanceof UnreachableError)) throw error;
        if (isRetry) throw new FunctionFailure("WORKER_ERROR", undefined, { cause: error });
      }
    }
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const [, name = "", rest = ""] = /^\/functions\/v1\/([^/]+)(\/.*)?$/.exec(pathname) ?? [];
    const source = registry.find(name);
    if (source === undefined) throw new FunctionFailure("NOT_FOUND");
    // A browser's preflight request carries no token.
    if (source.verifyJwt && request.method !== "OPTIONS") await refuseStrangers(request, keys);
    return await call(source, request, `/${name}${rest}${search}`);
  }

  return {
    async fetch(request) {
      try {
        return await answer(request);
      } catch (error) {
        if (error instanceof FunctionFailure) return error.toResponse();
        if (request.signal.aborted || error instanceof UploadError) return new Response(null, { status: 499 });
        throw error;
      }
    },
    async close() {
      isClosed = true;
      for (const isolate of living) isolate.end();
      await Promise.all([...living].map((isolate) => isolate.exited));
    },
  };
}

/** What came in, and where it came in: the function itself is served from another port. */
function headersFor(request: Request): Headers {
  const { host, hostname, port, protocol } = new URL(request.url);
  const headers = new Headers(request.headers);
  const arrival = {
    host,
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": hostname,
    "x-forwarded-port": port || (protocol === "https:" ? "443" : "80"),
    "x-forwarded-proto": protocol.slice(0, -1),
  };
  for (const [name, value] of Object.entries(arrival)) if (!headers.has(name)) headers.set(name, value);
  return headers;
}

function asServedByThePlatform({ status, headers, body }: Answer, request: Request, executionId: string): Response {
  headers.set("x-served-by", "supabase-edge-runtime");
  headers.set("x-deno-execution-id", executionId);
  if (status >= 500) {
    headers.set("sb-error-code", "EDGE_FUNCTION_ERROR");
    headers.append("access-control-expose-headers", "sb-error-code");
  }
  // The platform serves no web pages from its own domain.
  const type = headers.get("content-type") ?? "";
  if (request.method === "GET" && /^text\/html\b/i.test(type)) {
    headers.set("content-type", type.replace(/^text\/html/i, "text/plain"));
  }
  return new Response(body, { status, headers });
}

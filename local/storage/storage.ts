import { callerOf, TokenError } from "../auth/tokens.ts";
import type { Caller, Database, Settings } from "../database/database.ts";
import type { Log } from "../log.ts";
import { errorAnswer, noSuchRoute } from "./answers.ts";
import { BlobStore } from "./blobs.ts";
import { refusals, refusedToken, StorageError } from "./errors.ts";
import { type Access, type Route, ROUTES } from "./routes.ts";
import { Session } from "./session.ts";

export interface StorageOptions {
  database: Database;
  /** Where the blobs are kept. */
  directory: string;
  /** Where clients find the stack, such as `http://127.0.0.1:54321`. */
  publicUrl: string;
  log: Log;
}

const PREFIX = "/storage/v1";
const ANONYMOUS: Caller = { role: "anon", claims: { role: "anon" } };

/** `/storage/v1`: rows in `storage.objects`, bytes in files. */
export function createStorage(
  { database, directory, publicUrl, log }: StorageOptions,
): { fetch(request: Request): Promise<Response> } {
  const blobs = new BlobStore(directory, log);

  async function answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.slice(PREFIX.length);
    for (const route of ROUTES) {
      const found = route.method === request.method ? route.path.exec(path) : null;
      if (found === null) continue;
      const [bucket = "", key = ""] = found.slice(1).map(decoded);
      const { caller, authenticated } = await admit(route.access, request);
      const session = new Session(database, caller, settingsOf(route, request, url));
      return await route.answer({ request, url, session, blobs, authenticated, publicUrl }, bucket, key);
    }
    return noSuchRoute(request.method, path);
  }

  function report(error: unknown, { signal }: Request): void {
    if (!(error instanceof StorageError)) {
      // Whoever went away in the middle of an upload is no failure of ours.
      if (signal.aborted) log.detail(`storage: ${wordsOf(error)}`);
      else log.error(`storage: ${wordsOf(error)}`);
    } else if (error.httpStatus === 500) {
      log.warn(`storage: ${error.message}: ${wordsOf(error.cause)}`);
    }
  }

  return {
    async fetch(request) {
      try {
        return await answer(request);
      } catch (error) {
        report(error, request);
        return errorAnswer(error);
      }
    },
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw refusals.invalidRequest(`'${name}' is not a valid url component`, "FastifyError");
  }
}

async function admit(access: Access, request: Request): Promise<{ caller: Caller; authenticated: boolean }> {
  if (access === "open") return { caller: ANONYMOUS, authenticated: false };
  if (request.headers.get("authorization") === null) {
    if (access === "anyone") return { caller: ANONYMOUS, authenticated: false };
    throw refusals.invalidRequest("headers must have required property 'authorization'");
  }
  try {
    return { caller: await callerOf(request), authenticated: true };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    if (access === "anyone") return { caller: ANONYMOUS, authenticated: false };
    throw refusedToken(error);
  }
}

/** What policies and triggers can read with `current_setting`. */
function settingsOf(route: Route, { method, headers }: Request, { pathname }: URL): Settings {
  return {
    "storage.operation": route.operation,
    // The service deletes blobs along with rows, so `storage.protect_delete()` lets it.
    "storage.allow_delete_query": "true",
    "request.method": method,
    "request.path": pathname.slice(PREFIX.length),
    "request.headers": JSON.stringify(Object.fromEntries(headers)),
  };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

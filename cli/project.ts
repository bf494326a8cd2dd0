import { z } from "zod";
import { AccordError, RefusedError } from "../shared/platform/errors.ts";
import type { Rpc } from "../shared/platform/rpc.ts";
import { UsageError } from "./usage-error.ts";

/** The stack of `npm start`, whose secret key is no secret: it is the one of every `supabase start`. */
export const LOCAL_URL = "http://127.0.0.1:54321";
export const LOCAL_SECRET_KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";

/** How long one request may take before the command gives up: as long as the platform lets a function work. */
const TIMEOUT_MS = 160_000;

/** A Supabase project, local or hosted, seen with a secret key. */
export interface Project {
  url: string;
  rpc: Rpc;
  /** All rows of a table or view of the API. */
  rows(table: string): Promise<unknown>;
  /** How many rows of a table a filter of the API lets through, such as `status=eq.failed`. */
  count(table: string, filter: string): Promise<number>;
  /** One request to an Edge Function; an answer that is no success is an error with the function's own words. */
  callFunction(name: string, options?: { method?: "GET" | "POST"; body?: unknown }): Promise<unknown>;
}

const ErrorAnswer = z.union([
  z.object({ error: z.object({ code: z.string(), message: z.string() }) }).transform(({ error }) => error),
  z.object({ code: z.coerce.string().default("error"), message: z.string(), hint: z.string().nullish() }),
  z.object({ code: z.coerce.string().default("error"), msg: z.string() }).transform(({ code, msg }) => ({
    code,
    message: msg,
  })),
]);

/** The project that `--url` or SUPABASE_URL names, with the key in SUPABASE_SECRET_KEY; else the local stack. */
export function openProject(options: { url: string | undefined; environment: NodeJS.ProcessEnv }): Project {
  const url = (options.url ?? options.environment.SUPABASE_URL ?? LOCAL_URL).replace(/\/+$/, "");
  const { hostname } = parseUrl(url);
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
  const key = options.environment.SUPABASE_SECRET_KEY ?? (isLocal ? LOCAL_SECRET_KEY : undefined);
  if (key === undefined) {
    throw new UsageError(`${url} needs a key: put a secret key (sb_secret_…) of the project into SUPABASE_SECRET_KEY.`);
  }

  async function send(path: string, init: RequestInit): Promise<{ response: Response; text: string }> {
    const headers = { apikey: key ?? "", "content-type": "application/json", ...init.headers };
    let response: Response;
    try {
      response = await fetch(url + path, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    } catch (cause) {
      throw new AccordError("unreachable", `${url} does not answer (${reasonOf(cause)}). ${wayTo(isLocal)}`, { cause });
    }
    const text = await response.text();
    if (!response.ok) throw errorOf(response, text, path);
    return { response, text };
  }

  async function request(path: string, init: RequestInit): Promise<unknown> {
    const { text } = await send(path, init);
    return text === "" ? null : JSON.parse(text);
  }

  return {
    url,
    rpc: (name, args = {}) => request(`/rest/v1/rpc/${name}`, { method: "POST", body: JSON.stringify(args) }),
    rows: (table) => request(`/rest/v1/${table}?select=*`, { method: "GET" }),
    count: async (table, filter) => {
      const path = `/rest/v1/${table}?${filter}`;
      const { response } = await send(path, { method: "HEAD", headers: { prefer: "count=exact" } });
      // Such as */24.
      return z.coerce.number().int().parse(response.headers.get("content-range")?.split("/")[1]);
    },
    callFunction: (name, { method = "POST", body = {} } = {}) =>
      request(`/functions/v1/${name}`, method === "GET" ? { method } : { method, body: JSON.stringify(body) }),
  };
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw new UsageError(
      `"${url}" is not the URL of a project; it looks like https://abcdefghijklmnopqrst.supabase.co.`,
      {
        cause,
      },
    );
  }
}

function wayTo(isLocal: boolean): string {
  return isLocal ? "Start the stack with npm start, or name another with --url." : "Check --url and the network.";
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  if (cause instanceof Error) return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
  return error.message;
}

function errorOf(response: Response, text: string, path: string): AccordError {
  const answer = ErrorAnswer.safeParse(jsonOf(text));
  const told = { code: "error", message: text.slice(0, 200) || response.statusText, hint: null, ...answer.data };
  const said = `${path}: ${response.status} ${told.message}`;
  if (response.status === 401) return new RefusedError("unauthorized", `${said}. Check SUPABASE_SECRET_KEY.`);
  const wayOut = told.hint ? `${said.replace(/\.$/, "")}. ${told.hint}` : said;
  return new AccordError(told.code, wayOut, { status: response.status });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not every answer comes from Accord: a proxy may answer in HTML. The caller shows its text instead.
    return undefined;
  }
}

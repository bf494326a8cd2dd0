import type { Log } from "../log.ts";
import {
  type ApiKeys,
  authorize,
  type Identify,
  isSecretInBrowser,
  keyOf,
  keyring,
  refusals,
  STANDARD_KEYS,
} from "./api-keys.ts";
import { openToAllOrigins, preflightResponse } from "./cors.ts";
import { isLocalHost } from "./local-hosts.ts";
import { isOpen } from "./open-routes.ts";
import { gatewayAnswer, type Service } from "./service.ts";

export interface Services {
  rest: Service;
  auth: Service;
  storage: Service;
  functions: Service;
}

export interface GatewayOptions {
  services: Services;
  log: Log;
  /** Default: the keys of `supabase start`. */
  apiKeys?: ApiKeys;
}

/** The one door to all services: it knows keys, origins and hosts, so that they need not. */
export function createGateway({ services, log, apiKeys = STANDARD_KEYS }: GatewayOptions): Service {
  const identify = keyring(apiKeys);

  async function answer(request: Request, url: URL): Promise<Response> {
    if (!isLocalHost(url.hostname)) return openToAllOrigins(foreignHost(url.hostname));
    if (url.pathname === "/" && request.method === "GET") return welcome(url.origin, apiKeys);
    const name = serviceOf(url.pathname);
    const isFunction = name === "functions";
    // A function answers preflights itself, as on the platform: its own headers decide which origins may call it.
    if (request.method === "OPTIONS" && !isFunction) return preflightResponse(request);
    if (name === undefined) return openToAllOrigins(noRoute());
    if (isSecretInBrowser(request, keyOf(request, url))) return openToAllOrigins(refusals.secretInBrowser());
    if (isFunction) return await services.functions.fetch(request);
    const admitted = await admit(request, url, identify);
    return openToAllOrigins(admitted instanceof Response ? admitted : await services[name].fetch(admitted));
  }

  return {
    async fetch(request) {
      const startedAt = performance.now();
      const url = new URL(request.url);
      const response = await answer(request, url).catch((error) => failure(error, request, url, log));
      const duration = Math.round(performance.now() - startedAt);
      // The path alone: a query may hold keys and signed tokens.
      log.detail(`${request.method} ${url.pathname} ${response.status} ${duration} ms`);
      return response;
    },
  };
}

function serviceOf(path: string): keyof Services | undefined {
  if (path.startsWith("/rest/v1/")) return "rest";
  if (path.startsWith("/auth/v1/")) return "auth";
  if (path.startsWith("/storage/v1/")) return "storage";
  if (path.startsWith("/functions/v1/")) return "functions";
  return undefined;
}

/** The request as the services shall see it, or the platform's refusal. */
async function admit(request: Request, url: URL, identify: Identify): Promise<Request | Response> {
  const key = keyOf(request, url);
  if (!key) return isOpen(request.method, url) ? request : refusals.missing();
  const holder = await identify(key);
  if (holder === undefined) return refusals.unknown();
  // The root describes every table, which the platform shows to the service role alone.
  if (url.pathname === "/rest/v1/" && holder.role !== "service_role") return refusals.serviceRoleOnly();

  const admitted = url.searchParams.has("apikey") ? withoutKeyInUrl(request, url) : request;
  authorize(admitted.headers, holder);
  return admitted;
}

/** PostgREST would take the parameter for a filter on a column named apikey. */
function withoutKeyInUrl(request: Request, url: URL): Request {
  const bare = new URL(url);
  bare.search = url.search.slice(1).split("&").filter((part) => !/^apikey(=|$)/.test(part)).join("&");
  const { method, headers, body, signal } = request;
  return new Request(bare, { method, headers, body, signal, ...(body === null ? {} : { duplex: "half" }) });
}

function noRoute(): Response {
  return gatewayAnswer(404, { message: "no Route matched with those values" });
}

/** A page that made its own name point to this machine must not be taken for a local client (DNS rebinding). */
function foreignHost(hostname: string): Response {
  return gatewayAnswer(403, {
    message: `This development stack does not answer as host "${hostname}"`,
    hint: "Call it as 127.0.0.1 or localhost.",
  });
}

function failure(error: unknown, request: Request, url: URL, log: Log): Response {
  // Whoever went away gets no answer, and their leaving is no failure of ours.
  if (!request.signal.aborted) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error(`${request.method} ${url.pathname} failed: ${reason}`);
    if (error instanceof Error && error.stack !== undefined) log.detail(error.stack);
  }
  return openToAllOrigins(
    gatewayAnswer(500, { message: "An unexpected error occurred", hint: "See the stack's log." }),
  );
}

function welcome(origin: string, { publishable }: ApiKeys): Response {
  return new Response(
    `Accord's embedded Supabase: a development stack, for this machine alone.

REST       ${origin}/rest/v1
Auth       ${origin}/auth/v1
Storage    ${origin}/storage/v1
Functions  ${origin}/functions/v1

createClient("${origin}", "${publishable[0] ?? "<publishable key>"}")
`,
    { headers: { "content-type": "text/plain; charset=utf-8" } },
  );
}

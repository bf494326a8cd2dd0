import { createServer } from "node:net";
import { once } from "node:events";
import { createGateway, type Services } from "../../local/gateway/gateway.ts";
import { listen, type Listening } from "../../local/gateway/listen.ts";
import type { Log } from "../../local/log.ts";

/** A gateway before services that say what reached them. */
export interface Stand extends Listening {
  url: string;
  log: MemoryLog;
}

export async function startStand(services: Partial<Services> = {}): Promise<Stand> {
  const log = new MemoryLog();
  const echo = (name: string) => ({ fetch: (request: Request) => Promise.resolve(describe(name, request)) });
  const gateway = createGateway({
    services: {
      rest: echo("rest"),
      auth: echo("auth"),
      storage: echo("storage"),
      functions: echo("functions"),
      ...services,
    },
    log,
  });
  const listening = await listen(gateway, { port: 0 });
  return { ...listening, url: `http://127.0.0.1:${listening.port}`, log };
}

/** What a service was given. */
export interface Seen {
  service: string;
  method: string;
  path: string;
  query: string;
  apikey: string | null;
  authorization: string | null;
}

function describe(service: string, request: Request): Response {
  const { pathname, search } = new URL(request.url);
  const seen: Seen = {
    service,
    method: request.method,
    path: pathname,
    query: search,
    apikey: request.headers.get("apikey"),
    authorization: request.headers.get("authorization"),
  };
  return Response.json(seen);
}

export class MemoryLog implements Log {
  readonly lines: string[] = [];
  info = (line: string): void => this.#add("info", line);
  warn = (line: string): void => this.#add("warn", line);
  error = (line: string): void => this.#add("error", line);
  detail = (line: string): void => this.#add("detail", line);

  #add(level: string, line: string): void {
    this.lines.push(`${level}: ${line}`);
  }
}

/** A port that somebody else listens on until it is released. */
export async function takenPort(): Promise<{ port: number; release: () => void }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was taken");
  return { port: address.port, release: () => server.close() };
}

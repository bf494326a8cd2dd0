import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { StartError } from "../errors.ts";
import type { Service } from "./service.ts";

export interface Listening {
  port: number;
  close(): Promise<void>;
}

/** Serves on one port of this machine; port 0 takes any free one. */
export async function listen(service: Service, options: { port: number; host?: string }): Promise<Listening> {
  const { port, host = "127.0.0.1" } = options;
  const server = createServer(getRequestListener((request) => service.fetch(request)));
  // An upload takes as long as it takes; nobody but this machine could hold a connection open to harm.
  server.requestTimeout = 0;
  await started(server, port, host);
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

function started(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(startErrorOf(cause, port, host)));
    server.listen(port, host, resolve);
  });
}

function startErrorOf(cause: NodeJS.ErrnoException, port: number, host: string): StartError {
  const complaint = cause.code === "EADDRINUSE"
    ? `Port ${port} is in use. Stop what holds it, or choose another with --port.`
    : cause.code === "EACCES"
    ? `Port ${port} is reserved for the system. Choose one above 1023 with --port.`
    : `The stack cannot listen on ${host}:${port}: ${cause.message}`;
  return new StartError(complaint, { cause });
}

/** Does not wait for open connections: a client that keeps one alive would keep the stack alive. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => error ? reject(error) : resolve());
    server.closeAllConnections();
  });
}

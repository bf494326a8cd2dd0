import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface HeardRequest {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Listener {
  url: string;
  /** All requests so far, in the order in which they came. */
  heard: HeardRequest[];
}

/** An HTTP server that remembers what it was asked; it lives as long as the test. */
export async function listen(
  answer: (request: HeardRequest, response: ServerResponse) => void = (_, response) => void response.end("heard"),
): Promise<Listener> {
  const heard: HeardRequest[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const request = { method: incoming.method, url: incoming.url, headers: incoming.headers, body };
    heard.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { pipeline, Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";

/** Headers that belong to one connection, not to the message. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
const BODILESS = new Set([204, 205, 304]);

export interface Answer {
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
  /** When the last byte has passed, or the caller has lost interest. */
  ended: Promise<void>;
}

/** Nothing was sent: the request is as good as new. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** The caller's own upload broke off. */
export class UploadError extends Error {
  override readonly name = "UploadError";
}

/**
 * Sends a request on to a local port and hands back the answer as it comes: neither body is held back, decoded or
 * followed anywhere, which is why this is not `fetch`.
 */
export async function forward(
  request: Request,
  to: { port: number; path: string; headers: Headers },
  signal: AbortSignal,
): Promise<Answer> {
  const socket = await connectTo(to.port);
  const outgoing = httpRequest({
    createConnection: () => socket,
    method: request.method,
    path: to.path,
    headers: Object.fromEntries(withoutHops(to.headers)),
    signal,
  });
  const incoming = answerTo(outgoing);
  if (request.body === null) outgoing.end();
  else upload(request.body, outgoing);
  return toAnswer(await incoming, request.method);
}

function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once("response", resolve);
    // Stays for the life of the request: an error after the answer began shows in the body of the answer.
    outgoing.on("error", reject);
  });
}

function upload(body: ReadableStream<Uint8Array>, outgoing: ClientRequest): void {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* Readable.fromWeb(body as NodeReadableStream);
    } catch (cause) {
      // `pipeline` would end the request without saying why.
      outgoing.destroy(new UploadError("The request's body broke off", { cause }));
    }
  }
  // The function is called before the first chunk comes: it may have something to say that decides what is sent.
  outgoing.flushHeaders();
  // Errors of either side reach the "error" event of `outgoing`, so there is nothing to do with them here.
  pipeline(chunks(), outgoing, () => {});
}

function toAnswer(incoming: IncomingMessage, method: string): Answer {
  const status = incoming.statusCode ?? 502;
  const ended = new Promise<void>((resolve) => incoming.once("close", resolve));
  const isBodiless = method === "HEAD" || BODILESS.has(status);
  if (isBodiless) incoming.resume();
  return {
    status,
    headers: withoutHops(headersOf(incoming)),
    body: isBodiless ? null : Readable.toWeb(incoming) as ReadableStream<Uint8Array>,
    ended,
  };
}

/** From the raw list, in which each Set-Cookie is still one of its own. */
function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i] ?? "", rawHeaders[i + 1] ?? "");
  return headers;
}

function withoutHops(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of HOP_BY_HOP) kept.delete(name);
  return kept;
}

function connectTo(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const refuse = (cause: Error) => reject(new UnreachableError(`Nothing listens on port ${port}`, { cause }));
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      resolve(socket);
    });
  });
}

import { Buffer } from "node:buffer";
import { z } from "zod";
import { refusals, StorageError } from "./errors.ts";
import { MAX_JSON_BODY } from "./limits.ts";

/**
 * The bytes of a request's body, as they come.
 * A body that is not wanted to its end is let go of, never cancelled: cancelling closes the connection under the
 * refusal that the client is about to read. The server discards what still arrives.
 */
export async function* bytesOf(request: Request): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

const REQUIRED = "is required";

/** For zod: the words in which the storage server refuses a value that is missing or of another type. */
export function needs(type: string): { error: (issue: { input: unknown }) => string } {
  return { error: ({ input }) => input === undefined ? REQUIRED : `must be ${type}` };
}

/** The JSON body of a request in the given shape. */
export async function jsonBody<T>(request: Request, shape: z.ZodType<T>): Promise<T> {
  const parsed = shape.safeParse(parse(await text(request)));
  if (parsed.success) return parsed.data;
  throw refusals.invalidRequest(wordsOf("body", parsed.error));
}

/** The query of a request in the given shape. */
export function queryOf<T>(request: Request, shape: z.ZodType<T>): T {
  const parsed = shape.safeParse(Object.fromEntries(new URL(request.url).searchParams));
  if (parsed.success) return parsed.data;
  throw refusals.invalidRequest(wordsOf("querystring", parsed.error));
}

async function text(request: Request): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytesOf(request)) {
    size += chunk.length;
    if (size > MAX_JSON_BODY) {
      throw new StorageError(413, "EntityTooLarge", "Request body is too large", "FastifyError");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(body: string): unknown {
  if (body === "") return {};
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new StorageError(
      400,
      "InvalidRequest",
      "Body is not valid JSON but content-type is set to 'application/json'",
      "SyntaxError",
      { cause },
    );
  }
}

function wordsOf(place: string, error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return `${place} is invalid`;
  const path = [place, ...issue.path.map(String)];
  return issue.message === REQUIRED
    ? `${path.slice(0, -1).join("/")} must have required property '${path.at(-1)}'`
    : `${path.join("/")} ${issue.message}`;
}

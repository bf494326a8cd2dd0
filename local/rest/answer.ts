import { responseHeadersRefused, responseStatusRefused } from "./errors.ts";
import type { Result } from "./sql/result.ts";
import type { Answer } from "./statement.ts";

const WITHOUT_BODY = new Set([204, 205, 304]);

/** The answer over HTTP, with the status and headers that a function set by itself. */
export function respond(answer: Answer, result: Result): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) headers.set(name, value);

  const own = headersSet(result.responseHeaders);
  for (const [name] of own) headers.delete(name);
  for (const [name, value] of own) headers.append(name, value);

  const status = statusSet(result.responseStatus) ?? answer.status;
  return new Response(WITHOUT_BODY.has(status) ? null : answer.body, { status, headers });
}

/** `set_config('response.headers', '[{"X-One": "1"}]', true)`; a name may come several times. */
function headersSet(json: string | null): [name: string, value: string][] {
  if (json === null) return [];
  const listed = parsed(json);
  if (!Array.isArray(listed)) throw responseHeadersRefused();
  return listed.map((each: unknown) => {
    const [header, ...others] = typeof each === "object" && each !== null ? Object.entries(each) : [];
    if (header === undefined || others.length > 0 || typeof header[1] !== "string") throw responseHeadersRefused();
    return [header[0], header[1]];
  });
}

function statusSet(text: string | null): number | undefined {
  if (text === null) return undefined;
  const status = Number(/^\d+/.exec(text)?.[0]);
  if (!(status >= 200 && status <= 599)) throw responseStatusRefused();
  return status;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

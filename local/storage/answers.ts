import { StorageError } from "./errors.ts";

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json; charset=utf-8" } });
}

export function errorAnswer(error: unknown): Response {
  if (error instanceof StorageError) {
    const { statusCode, label, message, code } = error;
    return json({ statusCode: String(statusCode), error: label, message, code }, error.httpStatus);
  }
  // Among others: a row whose blob is gone, which the file backend of the storage server answers in the same way.
  return json({ statusCode: "500", error: "Internal", message: "Internal Server Error", code: "InternalError" }, 500);
}

export function noSuchRoute(method: string, path: string): Response {
  return json({ message: `Route ${method}:${path} not found`, error: "Not Found", statusCode: 404 }, 404);
}

/** What scripts of other origins may read of an answer: what the platform's services expose, together. */
const EXPOSED = [
  "content-encoding",
  "content-location",
  "content-range",
  "content-type",
  "date",
  "etag",
  "link",
  "location",
  "preference-applied",
  "range-unit",
  "sb-error-code",
  "server",
  "x-supabase-api-version",
  "x-total-count",
].join(", ");

export function openToAllOrigins(response: Response): Response {
  response.headers.set("access-control-allow-origin", "*");
  response.headers.set("access-control-expose-headers", EXPOSED);
  return response;
}

/** The platform allows every method, and every header that the script asks for. */
export function preflightResponse(request: Request): Response {
  return new Response(null, {
    status: 200,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ??
        "accept-profile,apikey,authorization,content-profile,content-type,prefer,range,x-client-info",
      "access-control-max-age": "3600",
    },
  });
}

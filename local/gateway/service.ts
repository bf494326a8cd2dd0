/** Anything that answers a request: each service of the stack, and the gateway before them. */
export interface Service {
  fetch(request: Request): Promise<Response>;
}

/** An answer that the platform's own gateway gives, in its form. */
export function gatewayAnswer(
  status: number,
  body: { message: string; hint?: string },
  errorCode?: string,
): Response {
  const headers: HeadersInit = errorCode === undefined ? {} : { "sb-error-code": errorCode };
  return Response.json(body, { status, headers });
}

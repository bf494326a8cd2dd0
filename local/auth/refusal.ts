/** GoTrue's way to say no: a status, a stable code and a sentence for people. */
export class AuthRefusal extends Error {
  override readonly name = "AuthRefusal";
  readonly status: number;
  readonly code: string;
  /** What some refusals tell besides, such as why a password is weak. */
  readonly details: Record<string, unknown>;

  constructor(
    status: number,
    code: string,
    message: string,
    options: ErrorOptions & { details?: Record<string, unknown> } = {},
  ) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.details = options.details ?? {};
  }
}

const VERSION_HEADER = "x-supabase-api-version";
const CODES_AS_TEXT = "2024-01-01";

/**
 * The answer to a refused request. GoTrue has two forms: clients that name API version 2024-01-01 or later, as
 * supabase-js does, find the code in `code`; all others find the status there and the code in `error_code`.
 */
export function refusalResponse(refusal: AuthRefusal, request: Request): Response {
  const { status, code, message, details } = refusal;
  const version = request.headers.get(VERSION_HEADER) ?? "";
  if (/^\d{4}-\d{2}-\d{2}$/.test(version) && version >= CODES_AS_TEXT) {
    return Response.json({ code, message, ...details }, { status, headers: { [VERSION_HEADER]: CODES_AS_TEXT } });
  }
  return Response.json({ code: status, error_code: code, msg: message, ...details }, { status });
}

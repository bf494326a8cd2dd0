/**
 * What Accord tells its callers when it cannot do what they ask: a stable `code`, a message that names the value and
 * the way out, and details for programs. Nothing in it may be a secret.
 */
export class AccordError extends Error {
  override readonly name: string = "AccordError";
  readonly code: string;
  readonly status: number;
  readonly details: unknown;

  constructor(
    code: string,
    message: string,
    options: ErrorOptions & { status?: number; details?: unknown } = {},
  ) {
    super(message, options);
    this.code = code;
    this.status = options.status ?? 500;
    this.details = options.details ?? null;
  }
}

/** The caller asked for something that cannot be: nothing was changed. */
export class InvalidRequestError extends AccordError {
  override readonly name = "InvalidRequestError";

  constructor(message: string, options: ErrorOptions & { details?: unknown; status?: number; code?: string } = {}) {
    super(options.code ?? "invalid_request", message, { status: 400, ...options });
  }
}

/** The caller is nobody we know, or may not do this. */
export class RefusedError extends AccordError {
  override readonly name = "RefusedError";

  constructor(code: "unauthorized" | "forbidden", message: string, options: ErrorOptions = {}) {
    super(code, message, { status: code === "unauthorized" ? 401 : 403, ...options });
  }
}

/** The database refused or could not be reached; its own code and hint are kept. */
export class DatabaseError extends AccordError {
  override readonly name = "DatabaseError";

  constructor(message: string, options: ErrorOptions & { status?: number; details?: unknown } = {}) {
    super("database_error", message, { status: 502, ...options });
  }
}

/** The body that every door answers with when it fails. */
export interface ErrorBody {
  error: { code: string; message: string; details: unknown };
}

export function errorBodyOf(error: AccordError): ErrorBody {
  return { error: { code: error.code, message: error.message, details: error.details } };
}

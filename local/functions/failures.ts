/**
 * What the platform itself answers when no function can: status, code and words are those of hosted Edge Functions.
 * A 401 says which check refused; see access.ts.
 */
const FAILURES = {
  NOT_FOUND: [404, "Requested function was not found"],
  BOOT_ERROR: [503, "Function failed to start (please check logs)"],
  WORKER_ERROR: [500, "Function exited due to an error (please check logs)"],
  WORKER_LIMIT: [546, "Function failed due to not having enough compute resources (please check logs)"],
  IDLE_TIMEOUT: [504, "Request idle timeout limit reached"],
  UNAUTHORIZED_NO_AUTH_HEADER: [401, "Missing authorization header"],
  UNAUTHORIZED_INVALID_JWT_FORMAT: [401, "Invalid JWT"],
  UNAUTHORIZED_LEGACY_JWT: [401, "Invalid JWT"],
  UNAUTHORIZED_ASYMMETRIC_JWT: [401, "Invalid JWT"],
  UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM: [401, "Unsupported JWT algorithm"],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type FailureCode = keyof typeof FAILURES;

export class FunctionFailure extends Error {
  override readonly name = "FunctionFailure";
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string = FAILURES[code][1], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  toResponse(): Response {
    return Response.json({ code: this.code, message: this.message }, {
      status: FAILURES[this.code][0],
      headers: { "sb-error-code": this.code, "access-control-expose-headers": "sb-error-code" },
    });
  }
}

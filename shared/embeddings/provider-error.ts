import { AccordError } from "../platform/errors.ts";

/**
 * Whose failure it is decides what happens next. `provider`: every other request would fail as well, so the queue
 * pauses and charges no row. `input`: one of the texts of this request is at fault, and the others can be saved.
 */
export type FailureScope = "provider" | "input";

const CODES = {
  rate_limited: { scope: "provider", status: 503 },
  quota_exhausted: { scope: "provider", status: 503 },
  unauthorized: { scope: "provider", status: 502 },
  misconfigured: { scope: "provider", status: 502 },
  unavailable: { scope: "provider", status: 503 },
  timed_out: { scope: "provider", status: 504 },
  connection_failed: { scope: "provider", status: 502 },
  bad_response: { scope: "provider", status: 502 },
  /** The provider takes it for an answer, but no search could use it: not finite, or all zeros. */
  unusable_vector: { scope: "input", status: 502 },
  input_rejected: { scope: "input", status: 400 },
} as const satisfies Record<string, { scope: FailureScope; status: number }>;

export type ProviderErrorCode = keyof typeof CODES;

/** An embedder could not do its work. */
export class ProviderError extends AccordError {
  override readonly name = "ProviderError";
  declare readonly code: ProviderErrorCode;
  readonly scope: FailureScope;
  /** How long the provider asks to be left alone, where it says so. */
  readonly retryAfterMs: number | null;

  constructor(
    code: ProviderErrorCode,
    message: string,
    { retryAfterMs = null, ...options }: ErrorOptions & { details?: unknown; retryAfterMs?: number | null } = {},
  ) {
    super(code, message, { status: CODES[code].status, ...options });
    this.scope = CODES[code].scope;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What an answer with an error status says of itself. */
export interface Refusal {
  status: number;
  /** The provider's own code or type, such as "insufficient_quota". */
  code: string | null;
  message: string;
  headers: Headers;
}

const QUOTA_CODES = new Set(["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]);

/** What an error status means for the queue, and what a person can do about it. */
export function refusalError(
  who: string,
  { status, code, message, headers }: Refusal,
  now = Date.now(),
): ProviderError {
  const kind = kindOf(status, code);
  // Providers repeat part of the key when they refuse it, so that message is not passed on.
  const said = kind === "unauthorized" || message === "" ? code ?? "" : shortened(message);
  const text = `${who} answered ${status}${said === "" ? "" : ` (${said})`}. ${WAYS_OUT[kind]}`;
  return new ProviderError(kind, text, {
    details: { status, code, requestId: headers.get("x-request-id") },
    retryAfterMs: retryAfterMs(headers, now),
  });
}

function kindOf(status: number, code: string | null): keyof typeof WAYS_OUT {
  if (status === 402 || (code !== null && QUOTA_CODES.has(code))) return "quota_exhausted";
  if (status === 429) return "rate_limited";
  if (status === 401 || status === 403) return "unauthorized";
  if (status >= 500 || status === 408 || status === 409) return "unavailable";
  if (status === 400 || status === 413 || status === 422) return "input_rejected";
  return "misconfigured";
}

const WAYS_OUT = {
  quota_exhausted: "Its account has no credit left: add some, and the queue goes on by itself.",
  rate_limited: "The queue waits and goes on by itself.",
  unauthorized: "Set OPENAI_API_KEY to a key that may use this model.",
  unavailable: "The queue waits and tries again.",
  input_rejected: "It does not take a text of this request.",
  misconfigured: "See OPENAI_BASE_URL, ACCORD_MODEL and ACCORD_DIMENSIONS.",
} satisfies Partial<Record<ProviderErrorCode, string>>;

/** Some servers repeat the whole input in what they say. */
function shortened(message: string): string {
  return message.length > 300 ? `${message.slice(0, 299)}…` : message;
}

/** So long a piece of a row's text is nobody else's words. */
const REPEATED_CHARACTERS = 24;

/** A failure that becomes an alert and leaves the house with it: what it repeats of these texts is cut out. */
export function withoutTexts(error: ProviderError, texts: string[]): ProviderError {
  let told = "";
  let cutUntil = 0;
  for (let i = 0; i < error.message.length; i++) {
    const piece = error.message.slice(i, i + REPEATED_CHARACTERS);
    if (piece.length === REPEATED_CHARACTERS && texts.some((text) => text.includes(piece))) {
      if (i >= cutUntil) told += "…";
      cutUntil = i + REPEATED_CHARACTERS;
    }
    if (i >= cutUntil) told += error.message[i];
  }
  if (cutUntil === 0) return error;
  const { code, details, retryAfterMs } = error;
  return new ProviderError(code, told, { cause: error, details, retryAfterMs });
}

/** A server that asks for more than a day is mistaken: nobody would notice that the queue still waits. */
const LONGEST_WAIT_MS = 24 * 60 * 60 * 1000;

/** `retry-after-ms`, or `Retry-After` in seconds or as a date. */
export function retryAfterMs(headers: Headers, now = Date.now()): number | null {
  const milliseconds = headers.get("retry-after-ms");
  const seconds = headers.get("retry-after");
  const asked = [
    milliseconds === null ? Number.NaN : Number.parseFloat(milliseconds),
    seconds === null ? Number.NaN : Number(seconds) * 1000,
    seconds === null ? Number.NaN : Date.parse(seconds) - now,
  ].find((wait) => !Number.isNaN(wait));
  return asked === undefined ? null : Math.min(Math.max(0, Math.ceil(asked)), LONGEST_WAIT_MS);
}

import { describe, expect, it } from "vitest";
import { refusalError, retryAfterMs } from "../../../shared/embeddings/provider-error.ts";

const NOW = Date.parse("2026-11-01T12:00:00Z");

describe("how long a provider asks to be left alone", () => {
  it.each([
    [{ "retry-after": "20" }, 20_000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": "Sun, 01 Nov 2026 12:01:00 GMT" }, 60_000],
    [{ "retry-after": "Sun, 01 Nov 2026 11:59:00 GMT" }, 0],
    [{ "retry-after-ms": "1234.5", "retry-after": "20" }, 1_235],
    [{ "retry-after-ms": "soon", "retry-after": "20" }, 20_000],
    [{ "retry-after": "-5" }, 0],
    [{ "retry-after": "later" }, null],
    [{}, null],
  ])("is read from %j", (headers, milliseconds) => {
    expect(retryAfterMs(new Headers(headers), NOW)).toBe(milliseconds);
  });

  it("is never more than a day, whatever it says", () => {
    expect(retryAfterMs(new Headers({ "retry-after": "99999999" }), NOW)).toBe(86_400_000);
  });
});

describe("a refusal", () => {
  const refusal = (status: number, code: string | null = null, message = "") =>
    refusalError("the provider", { status, code, message, headers: new Headers({ "x-request-id": "req_1" }) });

  it.each([
    [429, null, "rate_limited", "provider", 503],
    [429, "insufficient_quota", "quota_exhausted", "provider", 503],
    [400, "billing_hard_limit_reached", "quota_exhausted", "provider", 503],
    [401, "invalid_api_key", "unauthorized", "provider", 502],
    [408, null, "unavailable", "provider", 503],
    [529, null, "unavailable", "provider", 503],
    [404, "model_not_found", "misconfigured", "provider", 502],
    [405, null, "misconfigured", "provider", 502],
    [400, null, "input_rejected", "input", 400],
    [413, null, "input_rejected", "input", 400],
  ])("with %s %s is %s, the fault of the %s, and %s to whoever asked", (given, own, code, scope, status) => {
    expect(refusal(given, own)).toMatchObject({ code, scope, status });
  });

  it("says who refused, what it said, and the way out; support can find it by its id", () => {
    const error = refusal(403, "country_not_supported", "Key sk-abcd is not for your country");
    expect(error.message).toBe(
      "the provider answered 403 (country_not_supported). Set OPENAI_API_KEY to a key that may use this model.",
    );
    expect(error.details).toEqual({ status: 403, code: "country_not_supported", requestId: "req_1" });
    expect(refusal(503, null, "Overloaded").message).toBe(
      "the provider answered 503 (Overloaded). The queue waits and tries again.",
    );
    expect(refusal(503).message).toBe("the provider answered 503. The queue waits and tries again.");
  });
});

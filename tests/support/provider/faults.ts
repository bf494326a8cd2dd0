import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { decoded, type Embedding, encoded } from "./embedding.ts";
import type { Answer, Refusal } from "./rules.ts";

/** What goes wrong with one request. */
export type Fault =
  | { kind: "refused" } & Refusal
  /** The connection stays open, and nothing ever comes. */
  | { kind: "silent" }
  /** Half of the body, then nothing more. */
  | { kind: "stalled" }
  /** Half of the body, then the connection breaks. */
  | { kind: "cut" }
  /** Half of the body, then the other half after a while. */
  | { kind: "slow"; milliseconds: number }
  /** A right answer, spoilt. */
  | { kind: "spoilt"; spoil: (answer: Answer) => unknown; isIntact?: boolean }
  /** Status 200, and no answer at all. */
  | { kind: "gibberish"; body: string; type: string };

/** The ways in which providers are known to fail. */
export const faults = {
  status: (status: number): Fault => ({
    kind: "refused",
    status,
    code: null,
    message: `Status ${status}, as scripted.`,
  }),
  rateLimited: (headers: Record<string, string> = {}): Fault => {
    return { kind: "refused", status: 429, code: "rate_limit_exceeded", message: "Rate limit reached.", headers };
  },
  quotaExhausted: (): Fault => {
    return { kind: "refused", status: 429, code: "insufficient_quota", message: "You exceeded your current quota." };
  },
  silent: (): Fault => ({ kind: "silent" }),
  stalled: (): Fault => ({ kind: "stalled" }),
  cut: (): Fault => ({ kind: "cut" }),
  slow: (milliseconds: number): Fault => ({ kind: "slow", milliseconds }),
  brokenJson: (): Fault => ({ kind: "gibberish", body: '{"object":"list","data":[{"obj', type: "application/json" }),
  webPage: (): Fault => ({ kind: "gibberish", body: "<html>Sign in to the network</html>", type: "text/html" }),
  fewerVectors: (): Fault => spoilt((answer) => ({ ...answer, data: answer.data.slice(1) })),
  wrongDimensions: (): Fault => everyEntry({ embedding: [0.6, 0.8] }),
  sameIndexTwice: (): Fault => everyEntry({ index: 0 }),
  /** What a model gives for a text that it cannot cope with. */
  zeros: (dimensions = 1536): Fault => everyEntry({ embedding: new Array<number>(dimensions).fill(0) }),
  notFinite: (dimensions = 1536): Fault =>
    everyEntry({ embedding: encoded(new Float32Array(dimensions).fill(Number.NaN), "base64") }),
  /** No fault: an index is promised, an order is not. */
  backwards: (): Fault => asGood((answer) => ({ ...answer, data: answer.data.toReversed() })),
  /** No fault: servers that do not know base64 answer with numbers. */
  numbers: (): Fault =>
    asGood((answer) => ({
      ...answer,
      data: answer.data.map((entry) => ({ ...entry, embedding: decoded(entry.embedding) })),
    })),
  /** No fault: some servers do not count. */
  withoutUsage: (): Fault => asGood(({ usage: _, ...answer }) => answer),
};

function spoilt(spoil: (answer: Answer) => unknown): Fault {
  return { kind: "spoilt", spoil };
}

function asGood(spoil: (answer: Answer) => unknown): Fault {
  return { kind: "spoilt", spoil, isIntact: true };
}

/** Whether what is answered is all that was asked for, however it is answered. */
export function isIntact(fault: Fault | null): boolean {
  return fault === null || fault.kind === "slow" || (fault.kind === "spoilt" && fault.isIntact === true);
}

function everyEntry(change: { index?: number; embedding?: Embedding }): Fault {
  return spoilt((answer) => ({ ...answer, data: answer.data.map((entry) => ({ ...entry, ...change })) }));
}

export function send(response: ServerResponse, answer: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

export function sendRefusal(response: ServerResponse, { status, headers = {}, ...error }: Refusal): void {
  const { code, message, param = null, type = "invalid_request_error" } = error;
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ error: { message, type, param, code } }));
}

/** Answers with the fault; refusals have their own way. */
export async function misbehave(response: ServerResponse, answer: Answer, fault: Fault): Promise<void> {
  const body = JSON.stringify(answer);
  const half = Math.floor(body.length / 2);
  const sendHalf = () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    return new Promise<void>((resolve) => response.write(body.slice(0, half), () => resolve()));
  };
  switch (fault.kind) {
    case "refused":
      return sendRefusal(response, fault);
    case "silent":
      return;
    case "stalled":
      return await sendHalf();
    case "cut":
      await sendHalf();
      return void response.destroy();
    case "slow":
      await sendHalf();
      await wait(fault.milliseconds);
      return void response.end(body.slice(half));
    case "spoilt":
      return send(response, fault.spoil(answer));
    case "gibberish":
      return void response.writeHead(200, { "content-type": fault.type }).end(fault.body);
  }
}

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { type Fault, isIntact, misbehave, send, sendRefusal } from "./faults.ts";
import { answerTo, judge, modelNames, type Refusal, unknownModel, wrongKey } from "./rules.ts";

export interface ProviderOptions {
  /** Default: any free one. */
  port?: number;
  /** The one key that it takes. */
  key?: string;
  /** How long every answer takes. */
  latencyMs?: number;
  /** A request with a text that holds this is refused, like one with a text that a model does not take. */
  poison?: string;
}

export interface LoggedRequest {
  inputs: string[];
  /** What is to be paid: nothing for a refusal. */
  tokens: number;
  /** Whether the answer was whole; one that was spoilt is to be paid all the same. Null until there is one. */
  outcome: "answered" | "refused" | "spoilt" | null;
}

export interface Held {
  /** The texts of the request, once it is there and waits. */
  arrived: Promise<string[]>;
  /** Lets it be answered. */
  release(): void;
}

/** An embeddings provider on this machine, with the rules and limits of OpenAI's, that misbehaves when told to. */
export interface Provider {
  /** For OPENAI_BASE_URL. */
  baseUrl: string;
  key: string;
  poison: string;
  latencyMs: number;
  /** All that was asked, oldest first. */
  requests: LoggedRequest[];
  totals(): { requests: number; inputs: number; tokens: number };
  /** What goes wrong with the next requests, one after the other. */
  failNext(...faults: Fault[]): void;
  /** What goes wrong with every request from now on; null ends it. */
  failAlways(fault: Fault | null): void;
  /** What goes wrong with each request by itself, asked as it arrives; null ends it. */
  failAs(script: (() => Fault | null) | null): void;
  /** Keeps the next request waiting, for what must happen meanwhile. */
  holdNext(): Held;
  close(): Promise<void>;
}

export async function startProvider(options: ProviderOptions = {}): Promise<Provider> {
  const { key = "sk-local-0123456789abcdef", poison = "☠" } = options;
  const coming: Fault[] = [];
  let always: Fault | null = null;
  let script: (() => Fault | null) | null = null;
  const holds: { arrive: (inputs: string[]) => void; released: Promise<void> }[] = [];

  async function embed(body: unknown, response: ServerResponse): Promise<void> {
    const verdict = judge(body, { poison });
    const logged: LoggedRequest = { inputs: inputsOf(body), tokens: 0, outcome: null };
    provider.requests.push(logged);
    const fault = coming.shift() ?? script?.() ?? always;
    const hold = holds.shift();
    hold?.arrive(logged.inputs);
    await hold?.released;
    if (provider.latencyMs > 0) await wait(provider.latencyMs);
    // As the real one: who may not ask, or asks too much, is told so before the question is looked at.
    const taken = fault?.kind === "refused" ? fault : verdict;
    if ("status" in taken) {
      logged.outcome = "refused";
      return sendRefusal(response, taken);
    }
    logged.tokens = taken.tokens;
    logged.outcome = isIntact(fault) ? "answered" : "spoilt";
    await (fault === null ? send(response, answerTo(taken)) : misbehave(response, answerTo(taken), fault));
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await jsonOf(request);
    const given = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    const route = `${request.method} ${request.url}`;
    const model = /^GET \/v1\/models\/(.+)$/.exec(route)?.[1];
    if (route === "GET /totals") send(response, provider.totals());
    else if (given !== key) sendRefusal(response, wrongKey(given));
    else if (route === "POST /v1/embeddings") await embed(body, response);
    else if (route === "GET /v1/models") send(response, { object: "list", data: modelNames().map((id) => ({ id })) });
    else if (model !== undefined && modelNames().includes(model)) send(response, { id: model, object: "model" });
    else sendRefusal(response, model === undefined ? unknownRoute(route) : unknownModel(model));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      console.error("The provider failed in a way nobody asked for:", error);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });

  const provider: Provider = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    key,
    poison,
    latencyMs: options.latencyMs ?? 0,
    requests: [],
    totals: () => ({
      requests: provider.requests.length,
      inputs: provider.requests.reduce((sum, { inputs }) => sum + inputs.length, 0),
      tokens: provider.requests.reduce((sum, { tokens }) => sum + tokens, 0),
    }),
    failNext: (...faults) => void coming.push(...faults),
    failAlways: (fault) => void (always = fault),
    failAs: (asked) => void (script = asked),
    holdNext: () => {
      let release = () => {};
      const released = new Promise<void>((resolve) => (release = resolve));
      const arrived = new Promise<string[]>((arrive) => holds.push({ arrive, released }));
      return { arrived, release };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return provider;
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const body = await text(request);
  try {
    return JSON.parse(body) as unknown;
  } catch {
    // Whatever it is, the rules have a word for it.
    return null;
  }
}

function inputsOf(body: unknown): string[] {
  const input = typeof body === "object" && body !== null && "input" in body ? body.input : [];
  return [input].flat().map(String);
}

function unknownRoute(route: string): Refusal {
  return { status: 404, code: "unknown_url", message: `Unknown request URL: ${route}.` };
}

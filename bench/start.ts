import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { type Figure, median, timed } from "./report.ts";

/** The publishable key of every `supabase start`. */
const KEY = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
const PORT = 54_391;
const DATABASE_PORT = 54_392;
const ROUNDS = 300;
const headers = { apikey: KEY, "content-type": "application/json" };
const api = `http://127.0.0.1:${PORT}/rest/v1`;

/**
 * How long a developer waits: from `npm start` to the first answered request, with nothing there yet (cold) and with
 * state (warm); and what the HTTP layer costs over the same query on the database's own socket.
 */
export async function start(): Promise<Figure[]> {
  const data = mkdtempSync(join(tmpdir(), "accord-bench-"));
  try {
    const cold = await timeToFirstAnswer(data, () => Promise.resolve());
    let read = Number.NaN;
    let call = Number.NaN;
    const warm = await timeToFirstAnswer(data, async () => {
      [read, call] = await overTheSocket();
    });
    return [
      { name: "start.cold_seconds", value: cold / 1000, aim: { operator: "<=", value: 10 } },
      { name: "start.warm_seconds", value: warm / 1000, aim: { operator: "<=", value: 4 } },
      { name: "start.row_read_ms_over_socket", value: read, aim: { operator: "<=", value: 5 } },
      { name: "start.rpc_ms_over_socket", value: call, aim: { operator: "<=", value: 5 } },
    ];
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

async function timeToFirstAnswer(data: string, then: () => Promise<void>): Promise<number> {
  const options = ["--port", `${PORT}`, "--db-port", `${DATABASE_PORT}`, "--data", data];
  const startedAt = performance.now();
  const stack = spawn("npm", ["start", "--silent", "--", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => stack.once("close", () => resolve()));
  stack.stdout.resume();
  try {
    while (!await answers()) {
      if (stack.exitCode !== null) throw new Error(`npm start ended with exit code ${stack.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const elapsed = performance.now() - startedAt;
    await then();
    return elapsed;
  } finally {
    if (stack.pid !== undefined && stack.exitCode === null) process.kill(-stack.pid, "SIGINT");
    await ended;
  }
}

async function answers(): Promise<boolean> {
  try {
    const response = await fetch(`${api}/faq_items?select=id&limit=1`, { headers });
    await response.text();
    return response.ok;
  } catch {
    // Refused: the stack is not there yet. The caller asks again.
    return false;
  }
}

/** What a row and an RPC cost through /rest/v1 beyond the same query on the socket, p50, interleaved. */
async function overTheSocket(): Promise<[number, number]> {
  const socket = new pg.Client({ connectionString: `postgresql://postgres@127.0.0.1:${DATABASE_PORT}/postgres` });
  await socket.connect();
  const { rows: [item] } = await socket.query<{ id: string }>(
    "select id from public.faq_items where is_published limit 1",
  );
  const id = item?.id ?? "";
  const samples = {
    read: [] as number[],
    readSocket: [] as number[],
    call: [] as number[],
    callSocket: [] as number[],
  };
  const body = (response: Response) => response.text();
  for (let i = 0; i < ROUNDS; i++) {
    samples.read.push(await timed(() => fetch(`${api}/faq_items?id=eq.${id}`, { headers }).then(body)));
    samples.readSocket.push(await timed(() => socket.query("select * from public.faq_items where id = $1", [id])));
    samples.call.push(
      await timed(() => fetch(`${api}/rpc/is_admin`, { method: "POST", headers, body: "{}" }).then(body)),
    );
    samples.callSocket.push(await timed(() => socket.query("select public.is_admin()")));
  }
  await socket.end();
  const p50 = Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)]));
  console.log(Object.entries(p50).map(([name, value]) => `${name} p50 ${value.toFixed(2)} ms`).join(", "));
  return [median(samples.read) - median(samples.readSocket), median(samples.call) - median(samples.callSocket)];
}

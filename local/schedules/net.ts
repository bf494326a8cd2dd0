import pg from "pg";
import { connect } from "../database/connect.ts";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Schedules } from "./cron.ts";
import { Buffer } from "node:buffer";

interface QueuedRequest {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string> | null;
  body: Buffer | null;
  timeout_milliseconds: number;
}

interface Outcome {
  status: number | null;
  contentType: string | null;
  headers: Record<string, string> | null;
  content: string | null;
  timedOut: boolean;
  error: string | null;
}

/** As pg_net: so many requests are taken from the queue at a time, and answers are kept so long. */
const BATCH_SIZE = 200;
const KEEP_RESPONSES = "6 hours";

/**
 * pg_net's background worker, for a database that has none. A request leaves the queue before it is sent, so it is
 * sent at most once; nothing is tried again.
 */
export async function startNet(url: string, log: Log): Promise<Schedules> {
  const pool = new pg.Pool({ connectionString: url, max: 2, application_name: "accord-net" });
  const listener = await connect(url, "accord-net");
  const sending = new Set<Promise<void>>();
  const stop = new AbortController();
  let draining = false;
  let again = false;

  const complain = (error: Error) => {
    if (!stop.signal.aborted) log.warn(`queued requests stopped: ${error.message}`);
  };
  pool.on("error", complain);
  listener.on("error", complain);

  async function drain(): Promise<void> {
    if (draining) return void (again = true);
    draining = true;
    do {
      again = false;
      const { rows } = await pool.query<QueuedRequest>(
        `delete from net.http_request_queue
         where id in (select id from net.http_request_queue order by id limit ${BATCH_SIZE} for update skip locked)
         returning *`,
      );
      again ||= rows.length === BATCH_SIZE;
      for (const request of rows) {
        const sent = deliver(request)
          .catch((error: unknown) => log.warn(`request ${request.id} could not be sent: ${messageOf(error)}`))
          .finally(() => sending.delete(sent));
        sending.add(sent);
      }
    } while (again && !stop.signal.aborted);
    draining = false;
  }

  async function deliver(request: QueuedRequest): Promise<void> {
    const outcome = await send(request, stop.signal);
    if (stop.signal.aborted) return;
    await pool.query(
      `with expired as (delete from net._http_response where created < now() - interval '${KEEP_RESPONSES}')
       insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        request.id,
        outcome.status,
        outcome.contentType,
        outcome.headers === null ? null : JSON.stringify(outcome.headers),
        outcome.content,
        outcome.timedOut,
        outcome.error,
      ],
    ).catch((error: unknown) => log.warn(`the answer to request ${request.id} could not be kept: ${messageOf(error)}`));
  }

  const wake = () => {
    drain().catch((error: unknown) => {
      draining = false;
      if (!stop.signal.aborted) log.warn(`queued requests could not be read: ${messageOf(error)}`);
    });
  };
  listener.on("notification", wake);
  await listener.query("listen net_queue");
  wake();

  return {
    close: async () => {
      stop.abort();
      await Promise.all(sending);
      await listener.end();
      await pool.end();
    },
  };
}

async function send(request: QueuedRequest, stop: AbortSignal): Promise<Outcome> {
  const timeout = AbortSignal.timeout(Math.max(0, request.timeout_milliseconds));
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers ?? {},
      body: request.body === null ? null : new Uint8Array(request.body),
      redirect: "manual",
      signal: AbortSignal.any([timeout, stop]),
    });
    return {
      status: response.status,
      contentType: response.headers.get("content-type"),
      headers: Object.fromEntries(response.headers),
      // Postgres text holds no zero byte.
      content: (await response.text()).replaceAll("\u0000", ""),
      timedOut: false,
      error: null,
    };
  } catch (error) {
    const timedOut = timeout.aborted;
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
    return {
      status: null,
      contentType: null,
      headers: null,
      content: null,
      timedOut,
      error: timedOut ? `Timeout of ${request.timeout_milliseconds} ms reached` : cause,
    };
  }
}

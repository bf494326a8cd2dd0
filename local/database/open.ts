import { Worker } from "node:worker_threads";
import { codeOf, messageOf, StartError } from "../errors.ts";
import { connect } from "./connect.ts";
import type { EmbeddedReport, EmbeddedRequest } from "./embedded.ts";

/** A database that answers, and how to reach it. */
export interface OpenDatabase {
  kind: "embedded" | "external";
  /** For people and their tools: the role `postgres`, as on a hosted project. */
  url: string;
  /** For the stack itself: a superuser where there is one. */
  stackUrl: string;
  close(): Promise<void>;
}

/** PGlite, in a thread of its own, behind a port. `onBroken` hears of it when the database dies later on. */
export async function openEmbedded(
  request: EmbeddedRequest,
  onBroken: (message: string) => void,
): Promise<OpenDatabase> {
  const worker = new Worker(new URL("./embedded-thread.mjs", import.meta.url), {
    workerData: request,
  });
  const closed = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    // What goes wrong before the first answer is the start's own failure; afterwards somebody must be told.
    let fail = (report: { code?: string; message: string }) => reject(startErrorOf(report, request.port));
    worker.on("message", (report: EmbeddedReport) => {
      if (report.kind === "failed") fail(report);
      if (report.kind !== "listening") return;
      fail = ({ message }) => onBroken(message);
      resolve(report.port);
    });
    worker.on("error", (error) => fail({ message: `The embedded database has stopped: ${error.message}` }));
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  return {
    kind: "embedded",
    url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`,
    stackUrl: `postgresql://supabase_admin:postgres@127.0.0.1:${port}/postgres`,
    close: async () => {
      worker.postMessage("close");
      await closed;
    },
  };
}

function startErrorOf(report: { code?: string; message: string }, port: number): StartError {
  return report.code === "EADDRINUSE"
    ? new StartError(`Port ${port} is in use. Stop what holds it, or choose another with --db-port.`)
    : new StartError(report.message);
}

const OLDEST_SUPPORTED = 150_000;

/** Any Postgres that answers at `url`; nothing in it is touched here. */
export async function openExternal(url: string): Promise<OpenDatabase> {
  const shown = withoutPassword(url);
  const client = await connect(url, "accord-start", { connectionTimeoutMillis: 5_000 }).catch((cause: unknown) => {
    const reason = codeOf(cause) ?? messageOf(cause);
    throw new StartError(`The database at ${shown} cannot be reached: ${reason}. Check --database-url.`, { cause });
  });
  try {
    const { rows: [version] } = await client.query<{ number: number; name: string }>(
      "select current_setting('server_version_num')::int as number, current_setting('server_version') as name",
    );
    if ((version?.number ?? 0) < OLDEST_SUPPORTED) {
      throw new StartError(`The database at ${shown} is Postgres ${version?.name}; 15 or newer is needed, 17 is best.`);
    }
  } finally {
    await client.end();
  }
  return { kind: "external", url, stackUrl: url, close: () => Promise.resolve() };
}

export function withoutPassword(url: string): string {
  try {
    const { protocol, username, host, pathname } = new URL(url);
    return `${protocol}//${username}${username === "" ? "" : "@"}${host}${pathname}`;
  } catch (cause) {
    throw new StartError("--database-url is not a URL; it looks like postgresql://user:password@host:5432/database.", {
      cause,
    });
  }
}

import type { Clock } from "../platform/clock.ts";
import { DatabaseError } from "../platform/errors.ts";
import type { FileOutcome, FileQueue, FileResult } from "./queue.ts";

/** An edit is over in a moment; one that is not is not waited for. */
const BUSY_PAUSES_MS = [20, 50, 100, 200, 400, 800];

interface Ports {
  queue: FileQueue;
  clock: Clock;
}

/** Hands in results and tells what became of each. */
export async function finishFiles(ports: Ports, results: FileResult[]): Promise<Map<string, FileOutcome>> {
  if (results.length === 0) return new Map();
  const outcomes = await write(ports.queue, results);
  for (const result of results) {
    if (outcomes.get(result.token) === "busy") outcomes.set(result.token, await writeBusy(ports, result));
  }
  return outcomes;
}

/** A file that cannot be written is found by writing each alone, and is charged for it; the others are kept. */
async function write(queue: FileQueue, results: FileResult[]): Promise<Map<string, FileOutcome>> {
  try {
    return await queue.finish(results);
  } catch (error) {
    if (!(error instanceof DatabaseError && areToBlame(results, error))) throw error;
    const [{ token } = { token: "" }] = results;
    const failure = { message: `Its text cannot be written. ${error.message}`, permanent: false };
    if (results.length === 1) return await queue.finish([{ token, failure }]);
    const outcomes = new Map<string, FileOutcome>();
    for (const result of results) {
      for (const [token, outcome] of await write(queue, [result])) outcomes.set(token, outcome);
    }
    return outcomes;
  }
}

/** A row that an upload had locked is asked for again. The one it is left to in the end finds its lease run out. */
async function writeBusy({ queue, clock }: Ports, result: FileResult): Promise<FileOutcome> {
  for (const pause of BUSY_PAUSES_MS) {
    await clock.wait(pause);
    const outcome = (await write(queue, [result])).get(result.token);
    if (outcome !== "busy") return outcome ?? "lost_lease";
  }
  return "busy";
}

/** Data, constraints, limits: the texts are to blame. */
const TEXTS_FAULTS = /^(22|23|54)...$/;
/** Whoever waits for a lock is out of time as well: only of a long text is it said that it takes too long. */
const OUT_OF_TIME = "57014";
const LONG_TEXT = 1_000_000;

function areToBlame(results: FileResult[], { details }: DatabaseError): boolean {
  const code = typeof details === "object" && details !== null && "code" in details ? details.code : null;
  if (code === OUT_OF_TIME) return results.length === 1 && charactersOf(results) > LONG_TEXT;
  return typeof code === "string" && TEXTS_FAULTS.test(code);
}

function charactersOf(results: FileResult[]): number {
  const parts = results.flatMap((result) => "parts" in result ? result.parts : []);
  return parts.reduce((sum, { content }) => sum + content.length, 0);
}

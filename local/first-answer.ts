import { z } from "zod";
import { PUBLISHABLE_KEY, SECRET_KEY } from "./keys.ts";
import type { Log } from "./log.ts";

const QUESTION = "À quelle fréquence faire accorder mon piano ?";

const Processed = z.object({
  completed: z.number(),
  unchanged: z.number(),
  failed: z.number(),
  durationMs: z.number(),
  stopped: z.object({ message: z.string() }).nullable(),
});
const Found = z.object({ results: z.array(z.object({ content: z.string(), score: z.number() })) });

/**
 * What a newcomer came for: the demo content embedded through the real queue and function, and a question answered.
 * The functions are called as any client would call them; a failure is told and ends nothing.
 * A stack that ends meanwhile is no failure.
 */
export async function showFirstAnswer(url: string, log: Log, ending: AbortSignal): Promise<void> {
  const call = async (name: string, key: string, body: unknown) => {
    const response = await fetch(`${url}/functions/v1/${name}`, {
      method: "POST",
      headers: { apikey: key, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: ending,
    });
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${await response.text()}`);
    return await response.json() as unknown;
  };
  try {
    const { completed, failed, durationMs, stopped } = Processed.parse(
      await call("process-embedding-queue", SECRET_KEY, { action: "process" }),
    );
    if (stopped !== null) log.warn(`embedding has stopped: ${stopped.message}`);
    if (failed > 0) log.warn(`${failed} rows could not be embedded; npm run accord -- status says more`);
    const embedded = completed === 0
      ? "All rows agree with their embeddings"
      : `Embedded ${completed} rows in ${durationMs} ms`;
    const { results: [best] } = Found.parse(await call("search", PUBLISHABLE_KEY, { query: QUESTION, limit: 1 }));
    log.info(`\n${embedded}. Asked: “${QUESTION}”`);
    log.info(
      best === undefined ? "  Nothing found." : `  ${best.score.toFixed(2)}  ${best.content.replace(/\s+/g, " ")}`,
    );
  } catch (error) {
    if (ending.aborted) return;
    log.warn(`the first question could not be answered: ${error instanceof Error ? error.message : String(error)}`);
  }
}

import { performance } from "node:perf_hooks";
import { type Session, valueOf } from "./session.ts";

/** Asks whether a request of so many tokens may go to the provider `test` now. */
export const take = (tx: Session, tokens: number, knownFailures = 0): Promise<{ waitMs: number; isPaused: boolean }> =>
  valueOf<{ waitMs: number; isPaused: boolean }>(tx, "select public.take_embedding_rate('test', $1, $2)", [
    knownFailures,
    tokens,
  ]);

/** So much time goes by. */
export async function letPass(tx: Session, milliseconds: number): Promise<void> {
  await tx.query("update private.embedding_providers set refilled_at = refilled_at - make_interval(secs => $1)", [
    milliseconds / 1000,
  ]);
}

/** For so many minutes asks for as much as it gets; gives the seconds at which a request went. */
export async function drain(tx: Session, minutes: number, tokens: number): Promise<number[]> {
  const went: number[] = [];
  const began = performance.now();
  let passed = 0;
  // The time that goes by while it asks counts as well.
  const now = () => (passed + performance.now() - began) / 1000;
  while (now() < minutes * 60) {
    const { waitMs } = await take(tx, tokens);
    if (waitMs === 0) went.push(now());
    await letPass(tx, waitMs);
    passed += waitMs;
  }
  return went;
}

export const busiestMinute = (went: number[]): number =>
  Math.max(...went.map((from) => went.filter((at) => at >= from && at < from + 60).length));

import { randomUUID } from "node:crypto";
import type { Session } from "./session.ts";

export interface Channel {
  name: string;
  /** The payload of the next notification, or of one that nobody has taken yet. */
  next(): Promise<string>;
  /** How many notifications have come so far. */
  count(): number;
}

/** A channel of the test's own, heard by this session. */
export async function listenOn(session: Session): Promise<Channel> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const untaken: string[] = [];
  const waiting: ((payload: string) => void)[] = [];
  let count = 0;
  session.on("notification", ({ channel, payload = "" }) => {
    if (channel !== name) return;
    count++;
    const taker = waiting.shift();
    if (taker === undefined) untaken.push(payload);
    else taker(payload);
  });
  await session.query(`listen ${name}`);
  return {
    name,
    count: () => count,
    next: () => {
      const payload = untaken.shift();
      return payload === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(payload);
    },
  };
}

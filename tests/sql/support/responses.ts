import { expect } from "vitest";
import type { Session } from "./session.ts";

export interface StoredResponse {
  id: string;
  status_code: number | null;
  content_type: string | null;
  headers: Record<string, string> | null;
  content: string | null;
  timed_out: boolean | null;
  error_msg: string | null;
}

/** What came of queued requests, once it has come of all of them. */
export async function responsesTo(session: Session, ids: unknown[], timeout = 30_000): Promise<StoredResponse[]> {
  let rows: StoredResponse[] = [];
  await expect.poll(async () => {
    ({ rows } = await session.query<StoredResponse>(
      "select * from net._http_response where id = any ($1) order by id",
      [ids],
    ));
    return rows.length;
  }, { timeout, interval: 50, message: `pg_net has answers to ${ids.length} requests` }).toBe(ids.length);
  return rows;
}

export async function responseTo(session: Session, id: unknown): Promise<StoredResponse> {
  const [response] = await responsesTo(session, [id]);
  if (response === undefined) throw new Error(`No answer to request ${id}`);
  return response;
}

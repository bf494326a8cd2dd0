import pg from "pg";

export interface TapResult {
  /** How many tests the file announced. */
  planned: number;
  passed: string[];
  /** Each with what pgTAP says of it. */
  failed: string[];
}

/** Runs a file of pgTAP tests, which begins and rolls back its own transaction, and reads what it says. */
export async function runTap(databaseUrl: string, sql: string): Promise<TapResult> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const answer: pg.QueryResult | pg.QueryResult[] = await client.query({ text: sql, rowMode: "array" });
    const rows = [answer].flat().flatMap((result) => result.rows as unknown[][]);
    return readTap(rows.map(([line]) => String(line)));
  } finally {
    await client.end();
  }
}

/** One result per test line; the comment lines that follow it tell why it failed. */
function readTap(answers: string[]): TapResult {
  const result: TapResult = { planned: -1, passed: [], failed: [] };
  for (const line of answers.flatMap((answer) => answer.split("\n"))) {
    const [, planned] = /^1\.\.(\d+)$/.exec(line) ?? [];
    const [, verdict, name = ""] = /^(ok|not ok) \d+(?: - (.*))?$/.exec(line) ?? [];
    if (planned !== undefined) result.planned = Number(planned);
    else if (verdict === "ok") result.passed.push(name);
    else if (verdict === "not ok") result.failed.push(name);
    else if (line.startsWith("#") && result.failed.length > 0) result.failed.push(`${result.failed.pop()}\n${line}`);
  }
  return result;
}

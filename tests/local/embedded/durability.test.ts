import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { afterAll, expect, it } from "vitest";
import { SECRET_KEY } from "../../../local/keys.ts";
import { launch, type Launched } from "../../support/launch.ts";
import { noRealtime } from "../../support/client.ts";

const ROUNDS = 20;
const data = mkdtempSync(join(tmpdir(), "accord-durability-"));
afterAll(() => rmSync(data, { recursive: true, force: true }));

const clientOf = (stack: Launched) => createClient(stack.url, SECRET_KEY, noRealtime);
const contentOf = (round: number, n: number) => `${round}.${n} `.repeat(2_000);
const hash = (text: string) => createHash("sha256").update(text).digest("hex");

/** Writes rows and files until the stack is gone; gives back what was acknowledged. */
async function writeUntilKilled(client: SupabaseClient, round: number, onProgress: (written: number) => void) {
  const rows: string[] = [];
  /** Each file with the last content that was acknowledged. */
  const files = new Map<string, number>();
  for (let n = 0;; n++) {
    const question = `round ${round} row ${n}`;
    const [row, file] = await Promise.all([
      client.from("faq_items").insert({ question, answer: contentOf(round, n) }),
      // Every other file overwrites the one before: the old bytes or the new, never something between.
      client.storage.from("durable").upload(`r${round}/f${n - (n % 2)}.txt`, contentOf(round, n), { upsert: true }),
    ]);
    if (row.error === null) rows.push(question);
    if (file.error === null) files.set(file.data.path, n);
    if (row.error !== null && file.error !== null) return { rows, files };
    onProgress(n);
  }
}

it(`what was acknowledged is there after kill -9, ${ROUNDS} times over, while rows and files are written`, async () => {
  const rows: string[] = [];
  const files = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const stack = await launch(["--data", data]);
    const client = clientOf(stack);
    if (round === 0) await client.storage.createBucket("durable");
    // Killed at another depth of the work each time, never by the clock.
    const killAfter = 1 + (round * 7) % 11;
    let killed: Promise<void> | undefined;
    const written = await writeUntilKilled(client, round, (n) => {
      if (n >= killAfter) killed ??= stack.kill();
    });
    await killed;
    expect(written.rows.length).toBeGreaterThan(0);
    rows.push(...written.rows);
    for (const [path, n] of written.files) files.set(path, n);
  }

  const stack = await launch(["--data", data]);
  const client = clientOf(stack);
  const found = await client.from("faq_items").select("question, answer").like("question", "round %").limit(1000);
  expect(found.error).toBeNull();
  const answers = new Map((found.data ?? []).map(({ question, answer }) => [question, answer]));
  for (const question of rows) {
    const [, round, n] = question.split(/round | row /);
    expect(answers.get(question)).toBe(contentOf(Number(round), Number(n)));
  }
  for (const [path, n] of files) {
    const round = Number(/^r(\d+)\//.exec(path)?.[1]);
    const { data: blob, error } = await client.storage.from("durable").download(path);
    expect(error, path).toBeNull();
    // What came after it may have been on its way when the end came, and may be there or not.
    expect([n, n + 1].map((m) => hash(contentOf(round, m)))).toContain(hash(await blob?.text() ?? ""));
  }
  expect(await stack.stop()).toBe(0);
}, 300_000);

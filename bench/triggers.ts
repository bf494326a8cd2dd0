import type pg from "pg";
import { type Figure, median, timed } from "./report.ts";
import { rowsOr } from "./support/arguments.ts";
import { onOwnDatabase } from "./support/database.ts";
import { GUIDE_SQL, guideTriggersSql } from "./support/guide.ts";
import { textsSql } from "./support/texts.ts";

const ROUNDS = 5;
const SINGLE_INSERTS = 200;
/** Without a trigger, with ours, and with those of Supabase's guide. */
const VARIANTS = ["plain", "ours", "guide"] as const;
type Variant = typeof VARIANTS[number];

/** What an editor does to a table; each case finds the rows that the one before left. */
const BULK_CASES = {
  bulk_insert: (table: string) => `insert into ${table} (id, title, content) select * from bench.texts`,
  noop_update: (table: string) => `update ${table} set title = title, content = content`,
  unrelated_update: (table: string) => `update ${table} set client_id = 'conservatoire-lyon'`,
  content_update: (table: string) => `update ${table} set content = content || ' More.'`,
  delete: (table: string) => `delete from ${table}`,
};
type Case = keyof typeof BULK_CASES | "one_row_insert";
type Samples = Record<Case, Record<Variant, number[]>>;

/** What the triggers of a registered table cost whoever writes to it. */
export async function triggers(): Promise<Figure[]> {
  const rows = rowsOr(50_000);
  const samples = await onOwnDatabase(async ({ connect }) => {
    const client = await connect();
    await prepare(client, rows);
    const samples = noSamples();
    for (let round = 0; round < ROUNDS; round++) await measure(client, samples, round);
    return samples;
  });
  const p50 = (name: Case, variant: Variant) => median(samples[name][variant]);
  for (const name of Object.keys(samples) as Case[]) {
    const parts = VARIANTS.map((variant) => {
      const ratio = (p50(name, variant) / p50(name, "plain")).toFixed(2);
      return `${variant} ${p50(name, variant).toFixed(2)} ms` + (variant === "plain" ? "" : ` (${ratio})`);
    });
    console.log(`${name}${name === "one_row_insert" ? "" : ` of ${rows} rows`}: ${parts.join(", ")}`);
  }
  const overPlain = (name: Case, aim: number): Figure => ({
    name: `triggers.${name}`,
    value: p50(name, "ours") / p50(name, "plain"),
    aim: { operator: "<=", value: aim },
  });
  return [
    overPlain("bulk_insert", 2.2),
    overPlain("unrelated_update", 1.1),
    overPlain("noop_update", 1.1),
    overPlain("one_row_insert", 1.2),
    {
      name: "triggers.guide_over_ours_bulk_insert",
      value: p50("bulk_insert", "guide") / p50("bulk_insert", "ours"),
      aim: { operator: ">=", value: 3 },
    },
  ];
}

async function prepare(client: pg.Client, rows: number): Promise<void> {
  await client.query(textsSql(rows));
  await client.query(GUIDE_SQL);
  for (const variant of VARIANTS) {
    await client.query(`create table ${tableOf(variant)} (like public.documents including all)`);
  }
  await client.query(
    "select public.register_embedding_source($1, $2, 'is_published')",
    [tableOf("ours"), "concat_ws(E'\\n\\n', title, content)"],
  );
  await client.query(guideTriggersSql(tableOf("guide")));
}

/** One round; the variants take turns at being first. */
async function measure(client: pg.Client, samples: Samples, round: number): Promise<void> {
  const turns = VARIANTS.map((_, i) => VARIANTS[(i + round) % VARIANTS.length] ?? "plain");
  for (const [name, sqlFor] of Object.entries(BULK_CASES) as [keyof typeof BULK_CASES, (table: string) => string][]) {
    if (name === "delete") await measureSingleInserts(client, samples, turns);
    for (const variant of turns) {
      await tidy(client, variant);
      samples[name][variant].push(await timed(() => client.query(sqlFor(tableOf(variant)))));
    }
  }
  for (const variant of turns) await tidy(client, variant);
}

async function measureSingleInserts(client: pg.Client, samples: Samples, turns: Variant[]): Promise<void> {
  const { rows } = await client.query<{ title: string; content: string }>(
    `select title, content from bench.texts order by id limit ${SINGLE_INSERTS}`,
  );
  for (const { title, content } of rows) {
    for (const variant of turns) {
      const sql = `insert into ${tableOf(variant)} (title, content) values ($1, $2)`;
      samples.one_row_insert[variant].push(await timed(() => client.query(sql, [title, content])));
    }
  }
}

/** As if workers had emptied both queues long ago, and nothing waited to be cleaned or written. */
async function tidy(client: pg.Client, variant: Variant): Promise<void> {
  await client.query("truncate public.embedding_sync_queue, bench.q_embedding_jobs");
  await client.query(`vacuum (analyze) ${tableOf(variant)}`);
  await client.query("checkpoint");
}

function tableOf(variant: Variant): string {
  return `bench.documents_${variant}`;
}

function noSamples(): Samples {
  const none = () =>
    Object.fromEntries(VARIANTS.map((variant) => [variant, []])) as unknown as Record<Variant, number[]>;
  return {
    bulk_insert: none(),
    noop_update: none(),
    unrelated_update: none(),
    content_update: none(),
    one_row_insert: none(),
    delete: none(),
  };
}

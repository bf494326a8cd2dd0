import type pg from "pg";
import { type Figure, median, timed } from "./report.ts";
import { rowsOr } from "./support/arguments.ts";
import { onOwnDatabase } from "./support/database.ts";

const ROUNDS = 5;
const CHUNKS_PER_ROW = 4;
const SOURCE = "bench.documents";
const CONTENT = "concat_ws(E'\\n\\n', title, content)";
const PROFILE = {
  name: "bench:8",
  provider: "openai",
  model: "bench",
  dimensions: 8,
  chunk_tokens: 256,
  chunk_overlap: 0,
  template: "{headings}\n\n{chunk}",
  usd_per_million_tokens: 0,
};

/** Of each kind so many, made by statements that are given the ids. */
const PROBLEMS_OF_A_KIND = 10;
const PROBLEMS: { is: string; made: string }[] = [
  { is: "missing", made: "delete from private.embedded_rows where source_id = any ($1)" },
  {
    is: "missing",
    made: "delete from public.documentation_embeddings where chunk_index = 1 and source_id = any ($1)",
  },
  { is: "stale", made: "update private.embedded_rows set fingerprint = gen_random_uuid() where source_id = any ($1)" },
  { is: "orphan", made: `delete from ${SOURCE} where id::text = any ($1)` },
  {
    is: "duplicate",
    made: `insert into public.documentation_embeddings
      select (jsonb_populate_record(e, '{"chunk_index": ${CHUNKS_PER_ROW}, "occurrence": 1}')).*
      from public.documentation_embeddings as e where e.chunk_index = 1 and e.source_id = any ($1)`,
  },
];

/** The proof that rows and embeddings agree, over the cheapest question that could be asked in its place. */
export async function verify(): Promise<Figure[]> {
  const rows = rowsOr(250_000);
  const { proof, antiJoin } = await onOwnDatabase(async ({ connect }) => {
    const client = await connect();
    await prepare(client, rows);
    await requireProof(client);
    const antiJoinOf = await antiJoinSql(client);
    const samples: { proof: number[]; antiJoin: number[] } = { proof: [], antiJoin: [] };
    for (let round = 0; round < ROUNDS; round++) {
      samples.antiJoin.push(await timed(() => requireNone(client, antiJoinOf)));
      samples.proof.push(await timed(() => requireNone(client, "select count(*) from public.verify_embeddings()")));
    }
    return { proof: median(samples.proof), antiJoin: median(samples.antiJoin) };
  });
  console.log(
    `${rows} rows with ${rows * CHUNKS_PER_ROW} chunks: verify_embeddings() ${proof.toFixed(0)} ms, ` +
      `a join of rows and copies by hand, chunks not counted, ${antiJoin.toFixed(0)} ms (medians of ${ROUNDS})`,
  );
  return [{ name: "verify.over_anti_join", value: proof / antiJoin, aim: { operator: "<=", value: 2 } }];
}

/** Rows and their copies, as a worker would have left them long ago. */
async function prepare(client: pg.Client, rows: number): Promise<void> {
  await client.query("select private.use_default_profile($1)", [JSON.stringify(PROFILE)]);
  await client.query(`
    create schema bench;
    create table ${SOURCE} (like public.documents including all);
    insert into ${SOURCE} (id, title, content)
    select md5(n::text)::uuid, 'Document ' || n, repeat(md5(n::text) || ' ', 18) from generate_series(1, ${rows}) as n;
    select public.register_embedding_source('${SOURCE}', $$${CONTENT}$$, 'is_published');
    truncate public.embedding_sync_queue, private.embedding_backfills;
  `);
  await client.query(`
    insert into private.embedded_rows (profile, source_table, source_id, fingerprint, chunk_count, token_count)
    select '${PROFILE.name}', '${SOURCE}', id::text, ${await fingerprintSql(client)}, ${CHUNKS_PER_ROW}, 480
    from ${SOURCE}, (select * from private.embedding_profiles) as profile
  `);
  await client.query(`
    insert into public.documentation_embeddings (
      source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding
    )
    select '${SOURCE}', id::text, '${PROFILE.name}', place, substr(content, 1 + place * 149, 149),
      encode(sha256(convert_to(id::text || place, 'UTF8')), 'hex'), 120,
      array[sin(place), cos(place), 0, 0, 0, 0, 0, 1]::extensions.halfvec
    from ${SOURCE}, generate_series(0, ${CHUNKS_PER_ROW - 1}) as place
  `);
  for (const table of [SOURCE, "private.embedded_rows", "public.documentation_embeddings"]) {
    await client.query(`vacuum (analyze) ${table}`);
  }
  await client.query("checkpoint");
}

/** The fingerprint of a row of the source, where the columns of `profile` are beside its own. */
async function fingerprintSql(client: pg.Client): Promise<string> {
  const { rows: [row] } = await client.query<{ sql: string }>(
    `select private.fingerprint_sql(private.recipe_sql(s, 'profile'), 'null', format('coalesce((%s)::text, '''')', s.content)) as sql
     from private.embedding_sources as s where s.source_table = $1`,
    [SOURCE],
  );
  return row?.sql ?? "null";
}

/** Problems of every kind are planted and found, each as what it is; then all is as it was. */
async function requireProof(client: pg.Client): Promise<void> {
  await requireNone(client, "select count(*) from public.verify_embeddings()");
  const { rows: ids } = await client.query<{ id: string }>(
    `select id from ${SOURCE} order by id limit ${PROBLEMS.length * PROBLEMS_OF_A_KIND}`,
  );
  const planted = new Map<string, string>();
  await client.query("begin");
  for (const [i, { is, made }] of PROBLEMS.entries()) {
    const own = ids.slice(i * PROBLEMS_OF_A_KIND, (i + 1) * PROBLEMS_OF_A_KIND).map(({ id }) => id);
    for (const id of own) planted.set(id, is);
    await client.query(made, [own]);
  }
  const { rows: found } = await client.query<{ source_id: string; problem: string }>(
    "select source_id, problem from public.verify_embeddings()",
  );
  await client.query("rollback");
  const wrong = found.filter(({ source_id, problem }) => planted.get(source_id) !== problem);
  if (found.length !== planted.size || wrong.length > 0) {
    throw new Error(`${found.length} of ${planted.size} problems were found; not as planted: ${JSON.stringify(wrong)}`);
  }
  console.log(`${planted.size} planted problems, all of them found and nothing else`);
  await requireNone(client, "select count(*) from public.verify_embeddings()");
}

/** What nobody can do without: each row's key and text, compared with its copy's. */
async function antiJoinSql(client: pg.Client): Promise<string> {
  const { rows: [known] } = await client.query<{ recipe: string }>(
    `select md5(concat_ws(' ', 1, chunk_tokens, chunk_overlap, template)) as recipe from private.embedding_profiles`,
  );
  return `
    select count(*)
    from (
      select id::text collate "C" as id, md5(concat('${known?.recipe}', E'\\n', null, E'\\n', ${CONTENT}))::uuid as fingerprint
      from ${SOURCE}
      where is_published
    ) as wanted
    full join (
      select source_id, fingerprint from private.embedded_rows
      where profile = '${PROFILE.name}' and source_table = '${SOURCE}'
    ) as copy on copy.source_id = wanted.id
    where copy.fingerprint is distinct from wanted.fingerprint
  `;
}

async function requireNone(client: pg.Client, sql: string): Promise<void> {
  const { rows: [row] } = await client.query<{ count: string }>(sql);
  if (row?.count !== "0") throw new Error(`${row?.count} rows differ that ought not to: ${sql}`);
}

import type pg from "pg";
import { type Figure, median, timed } from "./report.ts";
import { rowsOr } from "./support/arguments.ts";
import { onOwnDatabase } from "./support/database.ts";

const ROUNDS = 5;
const BATCH = 50_000;
const BUCKET = "bench";

/** As storage is filled that a team has had for years: in no order of the names. */
const OBJECTS = `
  insert into storage.objects (bucket_id, name, version, owner_id, metadata, created_at, updated_at)
  select
    '${BUCKET}', format('clients/%s/%s/document %s.pdf', n % 997, 2020 + n % 6, md5(n::text)), md5('version ' || n),
    md5('owner ' || n % 5000)::uuid::text,
    jsonb_build_object(
      'eTag', '"' || md5('bytes ' || n) || '"', 'size', 1000 + n % 90000, 'mimetype', 'application/pdf', 'cacheControl', 'max-age=3600',
      'lastModified', now(), 'contentLength', 1000 + n % 90000, 'httpStatusCode', 200
    ),
    now() - interval '1 year' + n * interval '20 seconds', now() - interval '1 year' + n * interval '20 seconds'
  from generate_series(1, $1::int) as n`;

/** What somebody at psql would ask, one side and then the other, where nothing but the names counts. */
const BY_HAND = `
  select
    (
      select count(*) from storage.objects as o
      where o.bucket_id = '${BUCKET}'
        and not exists (select from public.files_queue as q where q.bucket_id = '${BUCKET}' and q.file_path = o.name)
    ) + (
      select count(*) from public.files_queue as q
      where q.bucket_id = '${BUCKET}'
        and not exists (select from storage.objects as o where o.bucket_id = '${BUCKET}' and o.name = q.file_path)
    ) as count`;

/** The batches that teams write today, such as for their own table of files to be read. */
const offsetBatch = (order: string, offset: number) => `
  insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
  select bucket_id, name, version, metadata ->> 'eTag', (metadata ->> 'size')::bigint, metadata ->> 'mimetype', 1
  from storage.objects
  where bucket_id = '${BUCKET}'
  order by ${order}
  limit ${BATCH} offset ${offset}
  on conflict do nothing`;

/** Storage and queue at their full size: the check beside the cheapest question, and the batches beside those of today. */
export async function coherence(): Promise<Figure[]> {
  const rows = rowsOr(1_000_000);
  return await onOwnDatabase(async ({ connect }) => {
    const client = await connect();
    await prepare(client, rows);
    const checks = await measureCheck(client, rows);
    await measureAutoSync(client, rows);
    const batches = await measureBatches(client, rows);
    return [
      {
        name: "coherence.check_over_anti_join",
        value: checks.check / checks.byHand,
        aim: { operator: "<=", value: 1.5 },
      },
      {
        name: "coherence.offset_over_keyset_batches",
        value: batches.offset / batches.keyset,
        aim: { operator: ">=", value: 3 },
      },
      {
        // What finding the rows costs, without what both pay for writing them.
        name: "coherence.offset_over_keyset_batches_beyond_the_insert",
        value: (batches.offset - batches.insert) / (batches.keyset - batches.insert),
        aim: { operator: ">=", value: 3 },
      },
      {
        name: "coherence.offset_over_keyset_batches_6_percent_missing",
        value: batches.offsetOfPart / batches.keysetOfPart,
        aim: { operator: ">=", value: 3 },
      },
    ];
  });
}

async function prepare(client: pg.Client, rows: number): Promise<void> {
  await client.query(`
    insert into storage.buckets (id, name) values ('${BUCKET}', '${BUCKET}');
    select public.watch_bucket('${BUCKET}');
    alter table storage.objects disable trigger accord_files`);
  await client.query(OBJECTS, [rows]);
  // What is told is what differs, and not the trigger that is missing.
  await client.query("alter table storage.objects enable trigger accord_files");
  await client.query("vacuum (analyze) storage.objects");
}

/** Everything is queued, as a worker would find it. */
async function fillQueue(client: pg.Client): Promise<void> {
  await emptyQueue(client);
  await client.query(`
    insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type)
    select bucket_id, file_path, object_version, content_tag, file_size, mime_type
    from private.eligible_objects where bucket_id = '${BUCKET}'`);
  await settled(client);
}

async function emptyQueue(client: pg.Client): Promise<void> {
  await client.query("truncate public.files_queue cascade");
  await settled(client);
}

async function settled(client: pg.Client): Promise<void> {
  await client.query("vacuum (analyze) public.files_queue");
  await client.query("checkpoint");
}

async function measureCheck(client: pg.Client, rows: number): Promise<{ check: number; byHand: number }> {
  await fillQueue(client);
  const samples: Record<"check" | "byHand" | "report", number[]> = { check: [], byHand: [], report: [] };
  for (let round = 0; round < ROUNDS; round++) {
    samples.byHand.push(await timed(() => requireDifferences(client, 0, BY_HAND)));
    samples.check.push(
      await timed(() =>
        requireDifferences(
          client,
          0,
          `select missing + stale + orphan as count from private.compare_queue('${BUCKET}')`,
        )
      ),
    );
    samples.report.push(await timed(() => client.query("select public.coherence_report()")));
  }
  // A swap that leaves both counts as they were, and one version.
  await client.query("begin");
  await client.query(`
    delete from public.files_queue where file_path = (select min(file_path) from public.files_queue);
    insert into public.files_queue (bucket_id, file_path, object_version, content_tag) values ('${BUCKET}', 'never was', 'v', 't');
    update public.files_queue set object_version = 'other' where file_path = (select max(file_path) from public.files_queue where file_path <> 'never was')`);
  const { rows: [found] } = await client.query<{ found: string }>(
    `select format('%s missing, %s stale, %s orphans', missing, stale, orphan) as found from private.compare_queue('${BUCKET}')`,
  );
  await client.query("rollback");
  if (found?.found !== "1 missing, 1 stale, 1 orphans") {
    throw new Error(`A planted swap was not found: ${found?.found}`);
  }
  const ms = { check: median(samples.check), byHand: median(samples.byHand), report: median(samples.report) };
  console.log(
    `${rows} objects: the check of storage and queue ${
      ms.check.toFixed(0)
    } ms, an anti-join both ways by hand, versions not ` +
      `compared, ${ms.byHand.toFixed(0)} ms; coherence_report() of the whole house ${
        ms.report.toFixed(0)
      } ms (medians of ${ROUNDS})`,
  );
  return ms;
}

/** What the schedule does when a part is missing, and what it costs whoever wants it at once. */
async function measureAutoSync(client: pg.Client, rows: number): Promise<void> {
  const missing = await loseSome(client, rows);
  const checkMs = await timed(() => client.query("select private.watch_coherence()"));
  const batches: number[] = [];
  do {
    batches.push(await timed(() => client.query("select private.advance_syncs()")));
  } while (await countOf(client, "private.bucket_syncs") > 0);
  await requireDifferences(client, 0, BY_HAND);
  console.log(
    `${missing} missing: the schedule's check ${
      checkMs.toFixed(0)
    } ms, then ${batches.length} batches by themselves, of ` +
      `${batches.map((ms) => ms.toFixed(0)).join(", ")} ms`,
  );
}

/** A full queue that lacks six of a hundred; gives how many those are. */
async function loseSome(client: pg.Client, rows: number): Promise<number> {
  await fillQueue(client);
  const missing = Math.ceil(rows * 0.06);
  await client.query(
    `delete from public.files_queue where file_path in (
       select file_path from public.files_queue order by md5(file_path) limit ${missing})`,
  );
  await settled(client);
  return missing;
}

/** The whole table by hand, from an empty queue and from one that lacks a part. */
async function measureBatches(
  client: pg.Client,
  rows: number,
): Promise<Record<"keyset" | "offset" | "insert" | "keysetOfPart" | "offsetOfPart", number>> {
  const offsets = Array.from({ length: Math.ceil(rows / BATCH) }, (_, i) => i * BATCH);
  const byOffset = async (order: string) => {
    const ms = await timed(async () => {
      for (const offset of offsets) await client.query(offsetBatch(order, offset));
    });
    await requireDifferences(client, 0, BY_HAND);
    return ms;
  };
  const byKeyset = async () => {
    const batches: number[] = [];
    for (let isDone = false; !isDone;) {
      batches.push(
        await timed(async () => {
          const { rows: [row] } = await client.query<{ state: { isDone: boolean } }>(
            `select public.sync_bucket('${BUCKET}') as state`,
          );
          isDone = row?.state.isDone ?? false;
        }),
      );
    }
    await requireDifferences(client, 0, BY_HAND);
    return { ms: batches.reduce((sum, ms) => sum + ms, 0), calls: batches.length, slowest: Math.max(...batches) };
  };
  const insert = await measureInsert(client, offsets.length);
  await emptyQueue(client);
  const keyset = await byKeyset();
  await emptyQueue(client);
  const offset = await byOffset("created_at");
  console.log(
    `all ${rows} by hand in batches of ${BATCH}: by keyset ${seconds(keyset.ms)} (${keyset.calls} calls, the slowest ` +
      `${seconds(keyset.slowest)}), by OFFSET ${seconds(offset)}; to insert the same rows, found before, ${
        seconds(insert)
      }`,
  );
  const missing = await loseSome(client, rows);
  const keysetOfPart = await byKeyset();
  await loseSome(client, rows);
  const offsetOfPart = await byOffset("created_at");
  console.log(
    `${missing} missing of ${rows}, by hand: by keyset ${
      seconds(keysetOfPart.ms)
    } (${keysetOfPart.calls} calls), by OFFSET over ` +
      `the whole table ${seconds(offsetOfPart)}`,
  );
  return { keyset: keyset.ms, offset, insert, keysetOfPart: keysetOfPart.ms, offsetOfPart };
}

/** The least that any batches cost: the rows that they write, in their order, when nobody has to look for them. */
async function measureInsert(client: pg.Client, batches: number): Promise<number> {
  await client.query(`
    create temporary table found as
    select row_number() over (order by file_path) as place, bucket_id, file_path, object_version, content_tag, file_size, mime_type
    from private.eligible_objects where bucket_id = '${BUCKET}'`);
  await client.query("create index on found (place); analyze found");
  await emptyQueue(client);
  return await timed(async () => {
    for (let batch = 0; batch < batches; batch++) {
      await client.query(
        `insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
         select bucket_id, file_path, object_version, content_tag, file_size, mime_type, 1 from found
         where place > ${batch * BATCH} and place <= ${(batch + 1) * BATCH} order by place
         on conflict do nothing`,
      );
    }
  });
}

async function requireDifferences(client: pg.Client, expected: number, sql: string): Promise<void> {
  const found = await client.query<{ count: string }>(sql);
  if (Number(found.rows[0]?.count) !== expected) {
    throw new Error(`${found.rows[0]?.count} differ, not ${expected}: ${sql}`);
  }
}

async function countOf(client: pg.Client, table: string): Promise<number> {
  const { rows: [row] } = await client.query<{ count: string }>(`select count(*) from ${table}`);
  return Number(row?.count);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

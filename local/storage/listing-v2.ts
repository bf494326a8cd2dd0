import { Buffer } from "node:buffer";
import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs } from "./body.ts";
import type { Call } from "./call.ts";
import { refusals } from "./errors.ts";
import { mustBeValidBucketName } from "./names.ts";

const sortColumn = z.enum(["name", "updated_at", "created_at"], "must be equal to one of the allowed values");
const order = z.enum(["asc", "desc"], "must be equal to one of the allowed values");
const shape = z.object({
  prefix: z.string(needs("string")).nullish(),
  limit: z.int(needs("integer")).min(1, "must be >= 1").nullish(),
  cursor: z.string(needs("string")).nullish(),
  with_delimiter: z.boolean(needs("boolean")).nullish(),
  sortBy: z.object({ column: sortColumn, order: order.default("asc") }).nullish(),
});
/** Where a page ended: the name and the date of its last entry, and the order that the next page goes on with. */
const cursorShape = z.object({ l: z.string(), o: order, c: sortColumn, a: z.string() });

const MAX_LIMIT = 1000;

interface Entry {
  id: string | null;
  /** The whole key; a folder's ends in a slash. */
  name: string;
  updated_at: Date;
  created_at: Date;
  last_accessed_at: Date | null;
  metadata: unknown;
}

/** Pages by cursor through all that begins with a prefix; with a delimiter, through one level of the tree. */
export async function listV2(call: Call, bucket: string): Promise<Response> {
  const body = await jsonBody(call.request, shape);
  mustBeValidBucketName(bucket);
  const limit = Math.min(body.limit ?? MAX_LIMIT, MAX_LIMIT);
  const cursor = typeof body.cursor === "string" && body.cursor !== "" ? decode(body.cursor) : undefined;
  const sort = cursor === undefined
    ? body.sortBy ?? { column: "name", order: "asc" }
    : { column: cursor.c, order: cursor.o };
  const date = sort.column === "name" ? "'epoch'::timestamptz" : `date_trunc('milliseconds', ${sort.column})`;
  const after = sort.order === "asc" ? ">" : "<";
  const prefix = body.prefix ?? "";

  const found = await call.session.run(async (tx) => {
    const { rows } = await tx.query<Entry>(
      `with matching as (
        select objects.*, substr(name, length($2) + 1) as rest
        from storage.objects
        where bucket_id = $1 and starts_with(name, $2)
      ), entries as (
        select null::uuid as id, left(name, length($2) + strpos(rest, '/')) as name, min(updated_at) as updated_at,
          min(created_at) as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
        from matching where $3::boolean and strpos(rest, '/') > 0
        group by 2
        union all
        select id, name, updated_at, created_at, last_accessed_at, metadata
        from matching where not $3::boolean or strpos(rest, '/') = 0
      )
      select * from entries
      where $4::text is null or (${date}, name collate "C") ${after} ($5::timestamptz, $4)
      order by ${date} ${sort.order}, name collate "C" ${sort.order}
      limit $6`,
      [bucket, prefix, body.with_delimiter === true, cursor?.l ?? null, cursor?.a ?? null, limit + 1],
    );
    return rows;
  });

  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  return json({
    hasNext: last !== undefined,
    nextCursor: last && encode(last, sort),
    nextCursorKey: last?.name,
    folders: page.filter(({ id }) => id === null).map((entry) => shown(entry, body.with_delimiter, prefix)),
    objects: page.filter(({ id }) => id !== null).map((entry) => shown(entry, body.with_delimiter, prefix)),
  });
}

function shown(entry: Entry, delimited: boolean | null | undefined, prefix: string): object {
  if (delimited !== true) return entry;
  return { ...entry, key: entry.name.slice(prefix.lastIndexOf("/") + 1).replace(/\/$/, "") };
}

function encode(last: Entry, { column, order }: { column: z.infer<typeof sortColumn>; order: string }): string {
  const date = column === "name" ? new Date(0) : last[column];
  return Buffer.from(JSON.stringify({ l: last.name, o: order, c: column, a: date.toISOString() })).toString(
    "base64",
  );
}

function decode(cursor: string): z.infer<typeof cursorShape> {
  try {
    return cursorShape.parse(JSON.parse(Buffer.from(cursor, "base64").toString()));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      throw refusals.invalidParameter("continuation token");
    }
    throw error;
  }
}

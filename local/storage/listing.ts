import { z } from "zod";
import { json } from "./answers.ts";
import { jsonBody, needs } from "./body.ts";
import type { Call } from "./call.ts";
import { mustBeValidBucketName } from "./names.ts";

const shape = z.object({
  prefix: z.string(needs("string")),
  limit: z.int(needs("integer")).min(1, "must be >= 1").nullish(),
  offset: z.int(needs("integer")).min(0, "must be >= 0").nullish(),
  search: z.string(needs("string")).nullish(),
  sortBy: z.object({
    column: z.enum(
      ["name", "updated_at", "created_at", "last_accessed_at"],
      "must be equal to one of the allowed values",
    ),
    order: z.enum(["asc", "desc"], "must be equal to one of the allowed values").default("asc"),
  }).nullish(),
});

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1500;

/**
 * One level of the tree: files, and folders with nothing but a name. Upper and lower case count as the same.
 * By name, files and folders mix; by a date, which folders have not, folders come first.
 */
export async function list(call: Call, bucket: string): Promise<Response> {
  const { prefix, search, limit, offset, sortBy } = await jsonBody(call.request, shape);
  mustBeValidBucketName(bucket);
  const folder = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`;
  const { column, order } = sortBy ?? { column: "name", order: "asc" };
  const sort = column === "name"
    ? `place collate "C" ${order}`
    : `id is not null, case when id is null then place collate "C" end ${order}, ${column} ${order}`;
  const rows = await call.session.run(async (tx) => {
    const { rows } = await tx.query(
      `with matching as (
        select objects.*, substr(name, length($2 || $3) + 1) as rest
        from storage.objects
        where bucket_id = $1 and starts_with(lower(name), lower($2 || $3))
      ), folders as (
        select distinct on (lower(folder)) folder
        from (
          select left(name, length($2 || $3) + strpos(rest, '/') - 1) as folder
          from matching where strpos(rest, '/') > 0
        ) as nested
        order by lower(folder), folder collate "C"
      ), entries as (
        select substr(folder, length($2) + 1) as name, null::uuid as id, null::timestamptz as updated_at,
          null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata,
          lower(folder) || '/' as place
        from folders
        union all
        select substr(name, length($2) + 1), id, updated_at, created_at, last_accessed_at, metadata, lower(name)
        from matching where strpos(rest, '/') = 0
      )
      select name, id, updated_at, created_at, last_accessed_at, metadata from entries
      order by ${sort} limit $4 offset $5`,
      [bucket, folder, search ?? "", Math.min(limit ?? DEFAULT_LIMIT, MAX_LIMIT), offset ?? 0],
    );
    return rows;
  });
  return json(rows);
}

import { duplicateAs, refusals } from "./errors.ts";
import { uuidOrNull } from "./names.ts";
import type { Transaction } from "./session.ts";

export interface BucketRow {
  id: string;
  name: string;
  owner: string | null;
  owner_id: string | null;
  public: boolean;
  type: string;
  /** A bigint, which the driver gives as text. */
  file_size_limit: string | null;
  allowed_mime_types: string[] | null;
  created_at: Date;
  updated_at: Date;
}

/** The settings of a bucket that its maker chooses. What is undefined stays as it was. */
export interface BucketSettings {
  public?: boolean | undefined;
  file_size_limit?: number | null | undefined;
  allowed_mime_types?: string[] | null | undefined;
}

export interface BucketPage {
  limit?: number | undefined;
  offset?: number | undefined;
  search?: string | undefined;
  sortColumn?: "id" | "name" | "created_at" | "updated_at" | undefined;
  sortOrder?: "asc" | "desc" | undefined;
}

export async function findBucket(tx: Transaction, id: string, lock: "" | "for update" = ""): Promise<BucketRow> {
  const { rows: [row] } = await tx.query<BucketRow>(`select * from storage.buckets where id = $1 ${lock}`, [id]);
  if (row === undefined) throw refusals.noSuchBucket();
  return row;
}

export async function listBuckets(tx: Transaction, page: BucketPage): Promise<BucketRow[]> {
  const order = page.sortColumn === undefined ? "" : `order by ${page.sortColumn} ${page.sortOrder ?? "asc"}`;
  const { rows } = await tx.query<BucketRow>(
    `select * from storage.buckets
      where strpos(lower(name), lower($1)) > 0 ${order} limit $2 offset $3`,
    [page.search ?? "", page.limit ?? null, page.offset ?? null],
  );
  return rows;
}

export async function createBucket(
  tx: Transaction,
  bucket: { id: string; name: string; owner: string | undefined },
  settings: BucketSettings,
): Promise<void> {
  await tx.query(
    `insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
      values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      bucket.id,
      bucket.name,
      uuidOrNull(bucket.owner),
      bucket.owner ?? null,
      settings.public ?? false,
      settings.file_size_limit ?? null,
      settings.allowed_mime_types ?? null,
    ],
  ).catch(duplicateAs(refusals.bucketAlreadyExists));
}

export async function updateBucket(tx: Transaction, id: string, settings: BucketSettings): Promise<void> {
  const changes = Object.entries(settings).filter(([, value]) => value !== undefined);
  if (changes.length === 0) return;
  const assignments = changes.map(([column], i) => `${column} = $${i + 2}`).join(", ");
  const { rowCount } = await tx.query(
    `update storage.buckets set ${assignments} where id = $1`,
    [id, ...changes.map(([, value]) => value)],
  );
  if (rowCount === 0) throw refusals.noSuchBucket();
}

export async function holdsObjects(tx: Transaction, id: string): Promise<boolean> {
  const { rowCount } = await tx.query("select from storage.objects where bucket_id = $1 limit 1", [id]);
  return rowCount !== 0;
}

export async function deleteBucket(tx: Transaction, id: string): Promise<void> {
  const { rowCount } = await tx.query("delete from storage.buckets where id = $1", [id]);
  if (rowCount === 0) throw refusals.noSuchBucket();
}

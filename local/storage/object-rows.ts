import { duplicateAs, refusals } from "./errors.ts";
import { uuidOrNull } from "./names.ts";
import type { Transaction } from "./session.ts";

export interface ObjectMetadata {
  eTag: string;
  size: number;
  mimetype: string;
  cacheControl: string;
  lastModified: string;
  contentLength: number;
  httpStatusCode: number;
}

/** As much of it as is known: a row written in SQL says anything, or nothing. */
export type KnownMetadata = { [Fact in keyof ObjectMetadata]?: ObjectMetadata[Fact] | undefined };

export interface ObjectRow {
  id: string;
  bucket_id: string;
  name: string;
  owner: string | null;
  owner_id: string | null;
  version: string | null;
  created_at: Date;
  updated_at: Date;
  last_accessed_at: Date;
  metadata: KnownMetadata | null;
  user_metadata: Record<string, unknown> | null;
}

/** What a write says of an object. What is left out stays as it was. */
export interface ObjectWrite {
  bucket: string;
  key: string;
  version: string;
  owner: string | undefined;
  metadata?: KnownMetadata | undefined;
  userMetadata?: Record<string, unknown> | undefined;
}

/** How long a write waits for another write of the same object. */
const LOCK_TIMEOUT = "5s";

export async function findObject(tx: Transaction, bucket: string, key: string): Promise<ObjectRow> {
  const { rows: [row] } = await tx.query<ObjectRow>(
    "select * from storage.objects where bucket_id = $1 and name = $2",
    [bucket, key],
  );
  if (row === undefined) throw refusals.noSuchKey();
  return row;
}

/**
 * Keeps other writes of these keys waiting until this transaction ends, also where there are no rows to lock yet.
 * Always in the same order, so that two moves in opposite directions do not wait for each other.
 */
export async function lockKeys(tx: Transaction, ...keys: { bucket: string; key: string }[]): Promise<void> {
  await tx.query("select set_config('lock_timeout', $1, true)", [LOCK_TIMEOUT]);
  for (const name of keys.map(({ bucket, key }) => `${bucket}/${key}`).sort()) {
    await tx.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [name]);
  }
}

/** The row as it will stay until this transaction ends; undefined where there is none. */
export async function holdObject(tx: Transaction, bucket: string, key: string): Promise<ObjectRow | undefined> {
  const { rows } = await tx.query<ObjectRow>(
    "select * from storage.objects where bucket_id = $1 and name = $2 for update",
    [bucket, key],
  );
  return rows[0];
}

/** No `returning` here: a caller that may insert need not be able to read. */
export async function insertObject(tx: Transaction, write: ObjectWrite): Promise<void> {
  await tx.query(
    `insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values ($1, $2, $3, $4, $5, $6, $7)`,
    valuesOf(write),
  ).catch(duplicateAs(refusals.keyAlreadyExists));
}

export async function upsertObject(tx: Transaction, write: ObjectWrite): Promise<ObjectRow> {
  const { rows: [row] } = await tx.query<ObjectRow>(
    `insert into storage.objects as current (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values ($1, $2, $3, $4, $5, $6, $7)
      on conflict (bucket_id, name) do update set
        version = excluded.version,
        owner = coalesce(excluded.owner, current.owner),
        owner_id = coalesce(excluded.owner_id, current.owner_id),
        metadata = coalesce(excluded.metadata, current.metadata),
        user_metadata = coalesce(excluded.user_metadata, current.user_metadata)
      returning *`,
    valuesOf(write),
  );
  // A user's BEFORE trigger may have kept the row out; without a row there is no object.
  if (row === undefined) throw refusals.noSuchKey();
  return row;
}

/** Gives the row at `bucket` and `key` the name, bucket and version of `write`. */
export async function moveObject(tx: Transaction, bucket: string, key: string, write: ObjectWrite): Promise<ObjectRow> {
  const { rows: [row] } = await tx.query<ObjectRow>(
    `update storage.objects as current set
        bucket_id = $1,
        name = $2,
        owner = coalesce($3, current.owner),
        owner_id = coalesce($4, current.owner_id),
        version = $5,
        metadata = coalesce($6, current.metadata),
        user_metadata = coalesce($7, current.user_metadata)
      where bucket_id = $8 and name = $9
      returning *`,
    [...valuesOf(write), bucket, key],
  );
  if (row === undefined) throw refusals.noSuchKey();
  return row;
}

export async function deleteObjects(tx: Transaction, bucket: string, keys: string[]): Promise<ObjectRow[]> {
  const { rows } = await tx.query<ObjectRow>(
    "delete from storage.objects where bucket_id = $1 and name = any($2) returning *",
    [bucket, keys],
  );
  return rows;
}

function valuesOf({ bucket, key, owner, version, metadata, userMetadata }: ObjectWrite): (string | null)[] {
  return [
    bucket,
    key,
    uuidOrNull(owner),
    owner ?? null,
    version,
    metadata === undefined ? null : JSON.stringify(metadata),
    userMetadata === undefined ? null : JSON.stringify(userMetadata),
  ];
}

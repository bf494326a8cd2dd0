import type { SupabaseClient } from "@supabase/supabase-js";
import pg from "pg";
import { expect, vi } from "vitest";
import { PUBLISHABLE_KEY } from "../../local/keys.ts";
import type { FilesReport } from "../../shared/files/report.ts";
import { connectClient } from "../support/client.ts";
import { type House, openHouse, settings } from "./embedding-support.ts";

/** The bucket that is there and watched from the beginning. */
export const BUCKET = "documents";

export interface DocumentRow {
  id: string;
  title: string;
  content: string;
  locale: string;
  mime_type: string | null;
  bucket_id: string;
  file_path: string;
  client_id: string | null;
  owner_id: string | null;
  metadata: Record<string, unknown>;
  updated_at: string;
}

export interface QueueRow {
  status: string;
  retry_count: number;
  last_error: string | null;
  object_version: string | null;
}

export interface FilesHouse extends House {
  /** One run of the worker of files. */
  readFiles(body?: Record<string, unknown>): Promise<FilesReport>;
  /** Runs of it until nothing is due. */
  readAll(): Promise<void>;
  upload(path: string, body: string | Blob | Uint8Array, options?: UploadOptions): Promise<void>;
  document(path: string, bucket?: string): Promise<DocumentRow | null>;
  queued(path: string, bucket?: string): Promise<QueueRow | null>;
  /** As the owner of the database. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
}

interface UploadOptions {
  bucket?: string;
  upsert?: boolean;
  contentType?: string;
  metadata?: Record<string, unknown>;
}

/** A stack on which nobody reads a file but whoever is asked to. */
export async function openFilesHouse(): Promise<FilesHouse> {
  const house = await openHouse();
  const { client } = house;
  const database = new pg.Client({ connectionString: house.stack.databaseUrl });
  await database.connect();
  const row = async <Row>(table: string, path: string, bucket: string): Promise<Row | null> => {
    const { data, error } = await client.from(table).select().eq("bucket_id", bucket).eq("file_path", path)
      .maybeSingle<Row>();
    expect(error).toBeNull();
    return data;
  };
  const files: FilesHouse = {
    ...house,
    readFiles: (body = {}) => invoke<FilesReport>(client, "process-files-queue", { action: "process", ...body }),
    readAll: async () => {
      await vi.waitUntil(async () => {
        await files.readFiles();
        const { count } = await client.from("files_queue").select("*", { count: "exact", head: true })
          .in("status", ["pending", "processing"]);
        return count === 0;
      }, { timeout: 60_000, interval: 20 });
    },
    upload: async (path, body, { bucket = BUCKET, ...options } = {}) => {
      const content = typeof body === "string" ? new Blob([body], { type: "text/plain" }) : body;
      const { error } = await client.storage.from(bucket).upload(path, content, options);
      expect(error).toBeNull();
    },
    document: (path, bucket = BUCKET) => row<DocumentRow>("documents", path, bucket),
    queued: (path, bucket = BUCKET) => row<QueueRow>("files_queue", path, bucket),
    sql: async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
      (await database.query<Row>(text, values)).rows,
    close: async () => {
      await database.end();
      await house.close();
    },
  };
  await settings(house, { files_wake: "manual", files_retry_seconds: 0 });
  return files;
}

export async function invoke<Answer>(
  client: SupabaseClient,
  name: string,
  body: Record<string, unknown>,
): Promise<Answer> {
  const { data, error } = await client.functions.invoke<Answer>(name, { body });
  if (error !== null) throw new Error(await error.context?.text?.() ?? error.message, { cause: error });
  return data as Answer;
}

/** Somebody of the seed, signed in. */
export async function signIn(house: House, email: string): Promise<SupabaseClient> {
  const client = connectClient(house.stack.url, PUBLISHABLE_KEY);
  const { error } = await client.auth.signInWithPassword({ email, password: "accord-dev" });
  expect(error).toBeNull();
  return client;
}

/** What must hold at any time when nothing is due: each object of the bucket has its row and its document, and no others. */
export async function expectFilesToAgree(house: FilesHouse, bucket = BUCKET): Promise<void> {
  const disagreeing = await house.sql(
    `select o.name, o.version, o.etag, q.file_path, q.status, q.object_version, d.metadata ->> 'contentTag' as content_tag
    from (select *, metadata ->> 'eTag' as etag from storage.objects where bucket_id = $1) as o
    full join (select * from public.files_queue where bucket_id = $1) as q on q.file_path = o.name
    full join (select * from public.documents where bucket_id = $1) as d on d.file_path = coalesce(o.name, q.file_path)
    where o.version is distinct from q.object_version
      or q.status is distinct from 'completed'
      or q.content_tag is distinct from d.metadata ->> 'contentTag'
      or not starts_with(q.content_tag, o.etag)`,
    [bucket],
  );
  expect(disagreeing).toEqual([]);
}

import { randomUUID } from "node:crypto";
import { inVain, type Session, valueOf } from "./session.ts";

/** Two watched buckets of their own, and nothing in the queue; all of it is taken back. */
export const onBuckets = (work: (tx: Session) => Promise<void>, url?: string): () => Promise<void> => () =>
  inVain(async (tx) => {
    await tx.query("select set_config('storage.allow_delete_query', 'true', true)");
    await tx.query("delete from public.files_queue; delete from private.workers; delete from private.missed_objects");
    await tx.query(
      "insert into storage.buckets (id, name, public) values ('test-a', 'test-a', false), ('test-b', 'test-b', true), ('test-c', 'test-c', false)",
    );
    await tx.query("select public.watch_bucket('test-a'), public.watch_bucket('test-b')");
    await work(tx);
  }, url);

interface Upload {
  bucket?: string;
  tag?: string;
  type?: string;
  owner?: string;
  version?: string;
}

/** As the storage server writes the row of an upload; the same name again is an overwrite. */
export async function upload(tx: Session, name: string, chosen: Upload = {}): Promise<string> {
  const { bucket = "test-a", tag = randomUUID(), type = "text/plain", owner = null, version = randomUUID() } = chosen;
  await tx.query(
    `insert into storage.objects (bucket_id, name, version, owner_id, metadata)
     values ($1, $2, $3, $4, jsonb_build_object('eTag', $5::text, 'size', 10, 'mimetype', $6::text))
     on conflict (bucket_id, name) do update
     set version = excluded.version, metadata = excluded.metadata, owner_id = coalesce(excluded.owner_id, storage.objects.owner_id)`,
    [bucket, name, version, owner, tag, type],
  );
  return tag;
}

/** What is in the queue, as `bucket/path status revision`. */
export async function queue(tx: Session): Promise<string[]> {
  const { rows } = await tx.query<{ job: string }>(
    "select format('%s/%s %s %s', bucket_id, file_path, status, revision) as job from public.files_queue order by bucket_id, file_path",
  );
  return rows.map(({ job }) => job);
}

/** The documents made of files, as `bucket/path title: content`. */
export async function documents(tx: Session): Promise<string[]> {
  const { rows } = await tx.query<{ document: string }>(
    `select format('%s/%s %s: %s', bucket_id, file_path, title, content) as document from public.documents
     where bucket_id like 'test-%' order by bucket_id, file_path`,
  );
  return rows.map(({ document }) => document);
}

export interface FileJob {
  token: string;
  bucketId: string;
  filePath: string;
  objectVersion: string;
  mimeType: string | null;
  progress: unknown;
  isGone: boolean;
}

/** A worker that speaks SQL. */
export class FileWorker {
  readonly #tx: Session;
  readonly id = randomUUID();

  constructor(tx: Session) {
    this.#tx = tx;
  }

  async claim(batch = 10): Promise<FileJob[]> {
    const { tokens } = await valueOf<{ tokens: string[] }>(this.#tx, "select public.claim_file_jobs($1, $2)", [
      this.id,
      batch,
    ]);
    return await valueOf(this.#tx, "select public.read_file_jobs($1)", [tokens]);
  }

  async finish(job: FileJob, result: Record<string, unknown> = {}): Promise<string | undefined> {
    const whole = {
      token: job.token,
      objectVersion: job.objectVersion,
      parts: [{ page: null, content: `text of ${job.filePath}` }],
      title: "A title",
      locale: null,
      mimeType: "text/plain",
      metadata: {},
      ...result,
    };
    const outcomes = await valueOf<Record<string, string>>(this.#tx, "select public.finish_file_jobs($1)", [
      JSON.stringify([whole]),
    ]);
    return outcomes[job.token];
  }

  save(job: FileJob, progress: unknown, parts: { page: number | null; content: string }[]): Promise<boolean> {
    return valueOf(this.#tx, "select public.save_file_progress($1, $2, $3, $4)", [
      job.token,
      job.objectVersion,
      JSON.stringify(progress),
      JSON.stringify(parts),
    ]);
  }

  async emptyQueue(): Promise<void> {
    for (const job of await this.claim(100)) await this.finish(job);
  }
}

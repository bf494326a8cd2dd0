import { randomUUID } from "node:crypto";
import type pg from "pg";
import type { CopiedChunk, Copy, Job, Outcome, Result } from "../../shared/embeddings/queue.ts";

/** A profile of two dimensions, as a worker's environment might ask for it. */
export function smallProfile(name: string, chosen: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    provider: "test",
    model: name,
    dimensions: 2,
    chunk_tokens: 400,
    chunk_overlap: 0,
    template: "{chunk}",
    usd_per_million_tokens: 1,
    ...chosen,
  };
}

/** From here on the next worker's profile is the only one that is kept up to date. */
export async function forgetProfiles(session: pg.Client): Promise<void> {
  await session.query("update private.embedding_profiles set state = 'kept'; delete from private.embedding_default");
}

/** A worker that speaks SQL, and whose provider is an expression. */
export class SqlWorker {
  readonly #session: pg.Client;
  readonly #profile: Record<string, unknown>;
  readonly id = randomUUID();
  /** Why the last claim gave nothing, if it said so. */
  idle: string | null = null;

  constructor(session: pg.Client, profile: Record<string, unknown>) {
    this.#session = session;
    this.#profile = profile;
  }

  async tokens(batch: number): Promise<string[]> {
    interface Claimed {
      tokens: string[];
      idle: string | null;
    }
    const { tokens, idle } = await this.#call<Claimed>(
      "public.claim_embedding_jobs($1, $2, $3)",
      [this.id, batch, JSON.stringify(this.#profile)],
    );
    this.idle = idle;
    return tokens;
  }

  async read(tokens: string[]): Promise<Job[]> {
    const jobs = await this.#call<Job[]>("public.read_embedding_jobs($1)", [tokens]);
    return jobs.sort((a, b) => a.sourceId.localeCompare(b.sourceId));
  }

  async claim(batch = 10): Promise<Job[]> {
    return await this.read(await this.tokens(batch));
  }

  async finish(results: Result[]): Promise<Record<string, Outcome>> {
    return await this.#call("public.finish_embedding_jobs($1)", [JSON.stringify(results)]);
  }

  async end(): Promise<number> {
    return Number(await this.#call("public.end_embedding_worker($1)", [this.id]));
  }

  async #call<Value>(call: string, values: unknown[]): Promise<Value> {
    const { rows: [row] } = await this.#session.query<{ value: Value }>(`select ${call} as value`, values);
    return row?.value as Value;
  }
}

/** What a worker hands in for a job, its text cut by `cut`; in all profiles, or in those named. */
export function embedded(job: Job, cut = (text: string) => [text], profiles?: string[]): Result {
  const copies = job.targets
    .filter(({ profile }) => profiles === undefined || profiles.includes(profile))
    .map(({ profile, fingerprint, isUnchanged }): Copy => ({
      profile,
      fingerprint,
      isUnchanged,
      chunks: isUnchanged || job.content === null ? [] : chunksOf(cut(job.content)),
    }));
  return { token: job.token, copies };
}

/** Each with its vector, unless the text says that it was paid for before: `=text`. */
export function chunksOf(texts: string[]): CopiedChunk[] {
  const seen = new Map<string, number>();
  return texts.map((text) => {
    const isKnown = text.startsWith("=");
    const content = isKnown ? text.slice(1) : text;
    const occurrence = seen.get(content) ?? 0;
    seen.set(content, occurrence + 1);
    const metadata = { start: 0, end: content.length, headings: [] };
    return {
      content,
      hash: `hash of ${content}`,
      occurrence,
      tokens: content.length,
      metadata,
      ...(isKnown ? {} : { embedding: "[1,0]" }),
    };
  });
}

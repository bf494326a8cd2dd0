import type { EmbeddingUsage } from "./embedder.ts";
import type { Plan } from "./plan.ts";
import type { LedgerEntry } from "./queue.ts";
import type { DrainReport } from "./report.ts";

/** What a portion of work has cost, source by source, and added to the report of the run. */
export class Accounts {
  readonly #report: DrainReport["usage"];
  readonly #entries = new Map<string, LedgerEntry>();

  constructor(report: DrainReport["usage"]) {
    this.#report = report;
  }

  /** Where it was asked for its own sake. */
  asked(sourceTable: string, usage: EmbeddingUsage): void {
    this.#add(usage);
    if (usage.requests === 0) return;
    const entry = this.#entryOf(sourceTable);
    entry.requests += usage.requests;
    entry.tokens += usage.tokens;
  }

  /** A request is for whoever asks: its tokens are shared out as their texts are long. */
  paid(plans: Plan[], { vectors, usage }: { vectors: Map<string, unknown>; usage: EmbeddingUsage }): void {
    this.#add(usage);
    if (usage.requests === 0) return;
    const paid = new Set<string>();
    const bySource = new Map<string, number>();
    for (const { job, missing } of plans) {
      for (const { input, tokens } of missing) {
        if (!vectors.has(input) || paid.has(input)) continue;
        paid.add(input);
        bySource.set(job.sourceTable, (bySource.get(job.sourceTable) ?? 0) + tokens);
      }
    }
    // Requests that brought nothing were asked for all of them.
    if (bySource.size === 0) { for (const { job } of plans) bySource.set(job.sourceTable, 1); }
    const total = [...bySource.values()].reduce((sum, tokens) => sum + tokens, 0);
    let share = 0;
    let [requests, tokens] = [0, 0];
    for (const [sourceTable, own] of bySource) {
      share += own / total;
      const entry = this.#entryOf(sourceTable);
      const [upToRequests, upToTokens] = [Math.round(usage.requests * share), Math.round(usage.tokens * share)];
      entry.requests += upToRequests - requests;
      entry.tokens += upToTokens - tokens;
      [requests, tokens] = [upToRequests, upToTokens];
    }
  }

  /** What has come together since this was last asked for. */
  take(): LedgerEntry[] {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    return entries;
  }

  #add({ requests, tokens, costUsd }: EmbeddingUsage): void {
    this.#report.requests += requests;
    this.#report.tokens += tokens;
    this.#report.costUsd += costUsd;
  }

  #entryOf(sourceTable: string): LedgerEntry {
    const entry = this.#entries.get(sourceTable) ?? { sourceTable, requests: 0, tokens: 0 };
    this.#entries.set(sourceTable, entry);
    return entry;
  }
}

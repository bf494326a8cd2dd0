import { z } from "zod";
import { ProfileStatus, SourceStatus, Spending } from "../../shared/embeddings/status.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readFilesStatus } from "../files.ts";
import { age, table } from "../output.ts";

const Status = z.object({
  content: z.array(z.object({ table: z.string(), rows: z.number(), published: z.number() })),
  schedules: z.array(z.object({
    name: z.string(),
    schedule: z.string(),
    active: z.boolean(),
    last_start: z.string().nullable(),
    last_status: z.string().nullable(),
  })),
  alerts: z.array(z.object({
    kind: z.string(),
    subject: z.string(),
    message: z.string(),
    count: z.number(),
    first_seen_at: z.string(),
    last_seen_at: z.string(),
  })),
});

/** The house at a glance: what is in it, what runs by itself, and what needs a person. */
export const status: Command = {
  name: "status",
  summary: "content, files, embeddings, schedules and open alerts",
  async run({ project, output, now }) {
    const { content, schedules, alerts } = Status.parse(await project.rpc("system_status"));
    const files = await readFilesStatus(project);
    const embeddings = z.array(SourceStatus).parse(await project.rows("embedding_sync_status"));
    const profiles = z.array(ProfileStatus).parse(await project.rows("embedding_profile_status"));
    const spending = z.array(Spending).parse(await project.rpc("embedding_spending"));
    const show = (title: string, lines: string[]) => {
      output.line(output.bold(title));
      for (const line of lines) output.line(`  ${line}`);
      output.line();
    };
    show("Content", table(["table", "rows", "published"], content.map((c) => [c.table, c.rows, c.published])));
    if (files !== null) {
      show(
        "Files",
        table(
          ["bucket", "pending", "processing", "completed", "failed", "oldest", "files/min", "ready in"],
          files.map((f) => [
            f.bucket_id,
            f.pending,
            f.processing,
            f.completed,
            f.failed,
            f.oldest_pending === null ? "" : age(f.oldest_pending, now),
            f.rate,
            f.pending + f.processing === 0 ? "" : f.eta ?? "",
          ]),
        ),
      );
    }
    show(
      "Embeddings",
      table(
        ["source", "embedded", "of", "pending", "processing", "failed", "oldest", "rows/min", "ready in"],
        embeddings.map((e) => [
          e.source_table,
          e.coverage === null ? "unknown" : share(e.coverage),
          e.eligible ?? "unreadable or locked",
          e.pending + (e.is_catching_up ? "+" : ""),
          e.processing,
          e.failed,
          e.oldest_pending === null ? "" : age(e.oldest_pending, now),
          e.rate,
          e.pending + e.processing === 0 ? "" : e.eta ?? "",
        ]),
      ),
    );
    show(
      "Profiles",
      table(
        ["profile", "state", "embedded", "index"],
        profiles.map((p) => [p.name, p.state, share(p.coverage), p.is_indexed ? "built" : "not yet"]),
      ),
    );
    show(
      "Costs",
      table(
        ["", "requests", "tokens", "saved", "cost", "budget"],
        spending.map((s) => [
          s.period === "daily" ? "today" : "this month",
          s.requests,
          s.tokens,
          s.tokensSaved,
          `$${s.costUsd.toFixed(4)}`,
          s.budgetUsd === null ? "none" : `$${s.budgetUsd}`,
        ]),
      ),
    );
    show(
      "Schedules",
      table(
        ["name", "schedule", "last run", "outcome"],
        schedules.map((s) => [
          s.name,
          s.active ? s.schedule : "switched off",
          age(s.last_start, now),
          s.last_status ?? "",
        ]),
      ),
    );
    show(
      alerts.length === 0 ? output.good("No open alerts") : output.bad(`Open alerts: ${alerts.length}`),
      alerts.flatMap((a) => [
        `${a.kind}${a.subject === "" ? "" : ` (${a.subject})`}, ${a.count}×, last ${age(a.last_seen_at, now)}`,
        output.dim(`  ${a.message}`),
      ]),
    );
    return { code: EXIT.agree, json: { content, files, embeddings, profiles, spending, schedules, alerts } };
  },
};

/** Rounded down: 100 % is said of nothing less. */
function share(coverage: number): string {
  return `${Math.floor(coverage * 1000) / 10} %`;
}

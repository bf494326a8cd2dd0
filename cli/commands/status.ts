import { z } from "zod";
import { SourceStatus } from "../../shared/embeddings/status.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
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
  summary: "content, embeddings, schedules and open alerts",
  async run({ project, output, now }) {
    const { content, schedules, alerts } = Status.parse(await project.rpc("system_status"));
    const embeddings = z.array(SourceStatus).parse(await project.rows("embedding_sync_status"));
    const show = (title: string, lines: string[]) => {
      output.line(output.bold(title));
      for (const line of lines) output.line(`  ${line}`);
      output.line();
    };
    show("Content", table(["table", "rows", "published"], content.map((c) => [c.table, c.rows, c.published])));
    show(
      "Embeddings",
      table(
        ["source", "pending", "processing", "completed", "failed", "oldest", "rows/min", "ready in"],
        embeddings.map((e) => [
          e.source_table,
          e.pending,
          e.processing,
          e.completed,
          e.failed,
          e.oldest_pending === null ? "" : age(e.oldest_pending, now),
          e.rate,
          e.eta ?? "",
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
    return { code: EXIT.agree, json: { content, embeddings, schedules, alerts } };
  },
};

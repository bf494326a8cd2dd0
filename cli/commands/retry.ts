import { z } from "zod";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { readFilesStatus } from "../files.ts";
import type { Project } from "../project.ts";
import { UsageError } from "../usage-error.ts";

const Answer = z.object({ retried: z.number() });

/** Gives failed rows and files all their attempts again: all of them, or those of one table or one bucket. */
export const retry: Command = {
  name: "retry",
  takes: "[table]",
  summary: "give failed rows and files all their attempts again",
  knows: ["bucket"],
  async run({ project, argument, options: { bucket }, output }) {
    if (bucket !== undefined && argument !== "") throw new UsageError("retry takes a table or --bucket, not both.");
    const retried = bucket === undefined ? await retryRows(project, argument === "" ? null : argument) : 0;
    const files = argument === "" ? await retryFiles(project, bucket ?? null) : 0;
    const due = [...retried > 0 ? [`${retried} rows`] : [], ...files > 0 ? [`${files} files`] : []];
    output.line(
      due.length === 0
        ? `No ${bucket === undefined ? "row" : "file"} has failed.`
        : `${due.join(" and ")} are due again. npm run accord -- process takes them now.`,
    );
    return { code: EXIT.agree, json: { retried, files } };
  },
};

async function retryRows(project: Project, sourceTable: string | null): Promise<number> {
  const body = { action: "retry", sourceTable };
  return Answer.parse(await project.callFunction("process-embedding-queue", { body })).retried;
}

async function retryFiles(project: Project, bucketId: string | null): Promise<number> {
  if (await readFilesStatus(project) === null) return 0;
  const body = { action: "retry", bucketId };
  return Answer.parse(await project.callFunction("process-files-queue", { body })).retried;
}

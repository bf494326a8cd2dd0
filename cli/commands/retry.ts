import { z } from "zod";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

const Answer = z.object({ retried: z.number() });

/** Gives failed rows all their attempts again. */
export const retry: Command = {
  name: "retry",
  takes: "[table]",
  summary: "give failed rows all their attempts again",
  async run({ project, argument, output }) {
    const body = { action: "retry", sourceTable: argument === "" ? null : argument };
    const { retried } = Answer.parse(await project.callFunction("process-embedding-queue", { body }));
    output.line(
      retried === 0 ? "No row has failed." : `${retried} rows are due again. npm run accord -- process takes them now.`,
    );
    return { code: EXIT.agree, json: { retried } };
  },
};

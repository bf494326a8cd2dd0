import { z } from "zod";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

const Answer = z.object({ enqueued: z.number() });

/** Has exactly those rows embedded again that disagree with their embeddings. */
export const resync: Command = {
  name: "resync",
  takes: "[table]",
  summary: "queue the rows that disagree with their embeddings",
  async run({ project, argument, output }) {
    const body = { action: "resync", forceResync: argument === "" ? null : argument };
    const { enqueued } = Answer.parse(await project.callFunction("process-embedding-queue", { body }));
    output.line(
      enqueued === 0
        ? `Every row${argument === "" ? " that can be read" : ""} agrees with its embeddings, or waits already.`
        : `${enqueued} rows disagree and are queued. npm run accord -- process embeds them now.`,
    );
    return { code: EXIT.agree, json: { enqueued } };
  },
};

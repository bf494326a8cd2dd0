import { z } from "zod";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

const Answer = z.object({ enqueued: z.number() });

/** Has every row looked at again; what has not changed costs nothing. */
export const resync: Command = {
  name: "resync",
  takes: "[table]",
  summary: "have every row looked at again; what is unchanged costs nothing",
  async run({ project, argument, output }) {
    const body = { action: "resync", forceResync: argument === "" ? null : argument };
    const { enqueued } = Answer.parse(await project.callFunction("process-embedding-queue", { body }));
    output.line(`${enqueued} rows wait to be looked at. npm run accord -- process does it now.`);
    return { code: EXIT.agree, json: { enqueued } };
  },
};

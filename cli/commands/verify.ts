import { z } from "zod";
import { Problem } from "../../shared/embeddings/status.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { table } from "../output.ts";

/** So many are shown to a person; a program is given all that the API gives at once. */
const MOST_SHOWN = 50;
/** So many rows the API gives at once. */
const MOST_GIVEN = 1_000;

/** Proves from the data itself that every row and its embeddings agree, or lists those that do not. */
export const verify: Command = {
  name: "verify",
  takes: "[table]",
  summary: "prove that rows and embeddings agree, or list those that do not",
  async run({ project, argument, output }) {
    const problems = z.array(Problem).parse(
      await project.rpc("verify_embeddings", argument === "" ? {} : { only_source: argument }),
    );
    if (problems.length === 0) {
      output.line(output.good("Every row and its embeddings agree."));
      return { code: EXIT.agree, json: { problems } };
    }
    const shown = problems.slice(0, MOST_SHOWN);
    const rows = shown.map((p) => [p.source_table, p.source_id, p.problem, p.detail, p.queued ?? "not queued"]);
    for (const line of table(["source", "row", "problem", "", "queue"], rows)) output.line(line);
    const count = problems.length < MOST_GIVEN ? `${problems.length}` : `${MOST_GIVEN} or more`;
    output.line(
      output.bad(`${count} rows disagree. What is pending is on its way; npm run accord -- resync queues the rest.`),
    );
    return { code: EXIT.differences, json: { problems } };
  },
};

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
    // Tables that could not be examined first: of their rows nothing is known.
    const tables = problems.filter((p) => p.source_id === null);
    const differing = problems.filter((p) => p.source_id !== null);
    const rows = [...tables, ...differing].slice(0, MOST_SHOWN).map((p) => [
      p.source_table,
      p.source_id ?? "all",
      p.problem,
      p.detail,
      p.source_id === null ? "" : p.queued ?? "not queued",
    ]);
    for (const line of table(["source", "row", "problem", "", "queue"], rows)) output.line(line);
    if (tables.length > 0) {
      const names = tables.map((p) => p.source_table).join(", ");
      output.line(output.bad(`Not proven: ${names}. npm run accord -- doctor says how to mend what is unreadable.`));
    }
    if (differing.length > 0) {
      const count = problems.length < MOST_GIVEN ? `${differing.length}` : `${MOST_GIVEN} or more`;
      output.line(
        output.bad(`${count} rows disagree. What is pending is on its way; npm run accord -- resync queues the rest.`),
      );
    }
    return { code: EXIT.differences, json: { problems } };
  },
};

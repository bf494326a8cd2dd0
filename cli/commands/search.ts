import { SearchAnswer } from "../../shared/search/search.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

/** How much of a text is shown. */
const SHOWN_CHARACTERS = 160;

/** Asks as the site would, with the rights of the key. */
export const search: Command = {
  name: "search",
  takes: "<question>",
  summary: "what fits a question best",
  async run({ project, argument, output }) {
    const { results } = SearchAnswer.parse(
      await project.callFunction("search", { body: { query: argument, limit: 5 } }),
    );
    if (results.length === 0) output.line("Nothing is embedded yet, or nothing that this key may see.");
    for (const { sourceTable, sourceId, content, score } of results) {
      const text = content.replace(/\s+/g, " ");
      output.line(
        `${output.bold(score.toFixed(3))}  ${text.slice(0, SHOWN_CHARACTERS)}${
          text.length > SHOWN_CHARACTERS ? "…" : ""
        }`,
      );
      output.line(`       ${output.dim(`${sourceTable} ${sourceId}`)}`);
    }
    return { code: EXIT.agree, json: { results } };
  },
};

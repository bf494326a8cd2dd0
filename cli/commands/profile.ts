import { z } from "zod";
import { ProfileStatus } from "../../shared/embeddings/status.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { table } from "../output.ts";
import { UsageError } from "../usage-error.ts";

const Prepared = z.object({ name: z.string(), state: z.string() });
const Activated = Prepared.extend({ enqueued: z.number() });

type Answer = { code: ExitCode; json: unknown };

/** Another model without a minute of worse search: built beside the active one, switched, and gone back from. */
export const profile: Command = {
  name: "profile",
  takes: "[verb …]",
  knows: ["name", "chunk-tokens", "overlap", "template", "force"],
  summary: "list; prepare <provider[:model[:dimensions]]>, activate <name>, rollback, retire <name>",
  async run(context) {
    const [verb = "list", name, ...rest] = context.argument.split(/\s+/).filter((word) => word !== "");
    if (rest.length > 0) throw new UsageError(`profile ${verb} takes no "${rest.join(" ")}".`);
    if (verb === "list") return await list(context);
    if (verb === "rollback") return await switched(context, "rollback_embedding_profile", {});
    if (!["prepare", "activate", "retire"].includes(verb)) {
      throw new UsageError(`profile knows list, prepare, activate, rollback and retire, not "${verb}".`);
    }
    if (name === undefined) throw new UsageError(`profile ${verb} needs ${verb === "prepare" ? "a model" : "a name"}.`);
    if (verb === "prepare") return await prepare(context, name);
    if (verb === "activate") {
      return await switched(context, "activate_embedding_profile", { name, force: context.force });
    }
    const json = Prepared.parse(await context.project.rpc("retire_embedding_profile", { name }));
    context.output.line(`${name} and its embeddings are gone.`);
    return { code: EXIT.agree, json };
  },
};

async function list({ project, output }: CommandContext): Promise<Answer> {
  const profiles = z.array(ProfileStatus).parse(await project.rows("embedding_profile_status"));
  const rows = profiles.map((
    p,
  ) => [p.name, p.state, `${p.embedded} of ${p.eligible}`, p.is_indexed ? "built" : "not yet"]);
  for (const line of table(["profile", "state", "rows", "index"], rows)) output.line(line);
  return { code: EXIT.agree, json: { profiles } };
}

async function prepare({ project, output, options }: CommandContext, wanted: string): Promise<Answer> {
  const [provider, model, dimensions] = wanted.split(":");
  const body = {
    action: "prepare",
    provider,
    ...model === undefined ? {} : { model },
    ...dimensions === undefined ? {} : { dimensions: wholeNumber("the dimensions", dimensions) },
    ...options.name === undefined ? {} : { name: options.name },
    ...options["chunk-tokens"] === undefined
      ? {}
      : { chunkTokens: wholeNumber("--chunk-tokens", options["chunk-tokens"]) },
    ...options.overlap === undefined ? {} : { chunkOverlap: wholeNumber("--overlap", options.overlap) },
    ...options.template === undefined ? {} : { template: options.template },
  };
  const json = Prepared.parse(await project.callFunction("process-embedding-queue", { body }));
  output.line(
    json.state === "active"
      ? `${json.name} is the active profile.`
      : `${json.name} is being built, behind every edit. npm run accord -- profile shows how far it is; then: profile activate ${json.name}`,
  );
  return { code: EXIT.agree, json };
}

async function switched(
  { project, output }: CommandContext,
  name: "activate_embedding_profile" | "rollback_embedding_profile",
  args: Record<string, unknown>,
): Promise<Answer> {
  const json = Activated.parse(await project.rpc(name, args));
  output.line(`Search uses ${json.name} from now on.`);
  if (json.enqueued > 0) output.line(`${json.enqueued} rows differ and are queued: npm run accord -- process.`);
  return { code: json.enqueued > 0 ? EXIT.differences : EXIT.agree, json };
}

function wholeNumber(what: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`${what} must be a whole number, not "${text}".`);
}

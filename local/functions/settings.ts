import { parse, TomlError } from "smol-toml";
import { z } from "zod";

/** What `[functions.<name>]` of config.toml says of one function. */
export interface FunctionSettings {
  enabled: boolean;
  verifyJwt: boolean;
  /** A deno.json or an import map, relative to the folder of config.toml. */
  importMap: string | undefined;
  /** The main file, relative to the folder of config.toml. */
  entrypoint: string | undefined;
}

/** A function that config.toml does not mention is served, and its callers are verified. */
export const UNDECLARED: FunctionSettings = {
  enabled: true,
  verifyJwt: true,
  importMap: undefined,
  entrypoint: undefined,
};

const Config = z.object({
  functions: z.record(
    z.string(),
    z.object({
      enabled: z.boolean().default(UNDECLARED.enabled),
      verify_jwt: z.boolean().default(UNDECLARED.verifyJwt),
      import_map: z.string().optional(),
      entrypoint: z.string().optional(),
    }),
  ).default({}),
});

export function readFunctionSettings(configToml: string): Map<string, FunctionSettings> {
  const { functions } = Config.parse(parse(configToml), { reportInput: true });
  return new Map(
    Object.entries(functions).map(([name, declared]) => [name, {
      enabled: declared.enabled,
      verifyJwt: declared.verify_jwt,
      // An empty string is what `supabase init` writes for "none".
      importMap: declared.import_map || undefined,
      entrypoint: declared.entrypoint || undefined,
    }]),
  );
}

/** One line that says where in config.toml to look. */
export function describeSettingsError(error: unknown): string {
  if (error instanceof TomlError) return `line ${error.line}, column ${error.column}: ${error.message.split("\n")[0]}`;
  if (error instanceof z.ZodError) {
    return error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message} ${JSON.stringify(issue.input)}`).join(
      "; ",
    );
  }
  return error instanceof Error ? error.message : String(error);
}

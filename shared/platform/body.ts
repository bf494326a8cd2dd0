import { z } from "zod";
import { InvalidRequestError } from "./errors.ts";

/** The body of a request as the schema has it; otherwise an error that names what was given and what would do. */
export async function readBody<Schema extends z.ZodType>(request: Request, schema: Schema): Promise<z.output<Schema>> {
  const text = await request.text();
  let given: unknown;
  try {
    given = text.trim() === "" ? {} : JSON.parse(text);
  } catch (cause) {
    throw new InvalidRequestError(`The body is not JSON: ${shown(text)}`, { cause });
  }
  const parsed = schema.safeParse(given, { error: sayWhatWasGiven });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
  throw new InvalidRequestError(faults.join("; "), { details: { given } });
}

const sayWhatWasGiven: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "invalid_value") return `must be one of ${issue.values.join(", ")}, not ${shown(issue.input)}`;
  if (issue.code === "invalid_union") {
    return `must be one of ${Array.isArray(issue.options) ? issue.options.join(", ") : "the known forms"}, not ${
      shown(valueAt(issue.input, issue.discriminator))
    }`;
  }
  if (issue.code === "too_small") return `must be at least ${issue.minimum}, not ${shown(issue.input)}`;
  if (issue.code === "too_big") return `must be at most ${issue.maximum}, not ${shown(issue.input)}`;
  return undefined;
};

function valueAt(input: unknown, key: string | undefined): unknown {
  return key !== undefined && typeof input === "object" && input !== null ? Reflect.get(input, key) : input;
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

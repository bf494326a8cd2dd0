import { z } from "zod";
import { AuthRefusal } from "./refusal.ts";

/** Fields as GoTrue reads them: absent and null are the empty value, a wrong type is bad JSON. */
export const text = z.string().nullish().transform((value) => value ?? "");
export const flag = z.boolean().nullish().transform((value) => value ?? false);
export const metadata = z.record(z.string(), z.unknown()).nullish().transform((value) => value ?? undefined);
export const optionalText = z.string().nullish().transform((value) => value ?? undefined);

export async function readBody<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  options: { mayBeEmpty: boolean } = { mayBeEmpty: false },
): Promise<z.output<Schema>> {
  const body = await request.text();
  const parsed = schema.safeParse(options.mayBeEmpty && body === "" ? {} : parseJson(body) ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".");
  throw badJson(field ? `field "${field}": ${issue?.message}` : issue?.message ?? "not an object");
}

function parseJson(body: string): unknown {
  if (body.trim() === "") throw badJson("unexpected end of JSON input");
  try {
    return JSON.parse(body);
  } catch (error) {
    throw badJson(error instanceof Error ? error.message : String(error));
  }
}

function badJson(reason: string): AuthRefusal {
  return new AuthRefusal(400, "bad_json", `Could not parse request body as JSON: ${reason}`);
}

/** The address in lower case, as it is stored; the form is that of HTML's own email field. */
export function requireEmail(email: string): string {
  if (email.length > 255) throw new AuthRefusal(400, "validation_failed", "An email address is too long");
  if (!z.regexes.html5Email.test(email)) {
    throw new AuthRefusal(400, "validation_failed", "Unable to validate email address: invalid format");
  }
  return email.toLowerCase();
}

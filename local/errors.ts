/** A reason not to start, in one line a person can act on: shown without a stack, exit code 1. */
export class StartError extends Error {
  override readonly name = "StartError";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

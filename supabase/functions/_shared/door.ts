import { createSupabaseContext, type SupabaseContext } from "@supabase/server";
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { Database } from "../../../shared/platform/database.types.ts";
import { AccordError, errorBodyOf, InvalidRequestError, RefusedError } from "../../../shared/platform/errors.ts";

/** Who calls and what they may reach, with the tables and functions that the migrations make. */
export type Context = SupabaseContext<Database>;

/**
 * A door for staff: machines with a secret key, and people whose token says role admin in app_metadata. It does what
 * every door does before and after its own work: origins, methods, callers, and failures in one form.
 */
export function staffDoor(
  { methods }: { methods: string[] },
  work: (request: Request, context: Context) => Promise<unknown>,
): (request: Request) => Promise<Response> {
  async function answer(request: Request): Promise<Response> {
    if (!methods.includes(request.method)) {
      const message = `${request.method} is not answered here; use ${methods.join(" or ")}.`;
      throw new InvalidRequestError(message, { code: "method_not_allowed", status: 405 });
    }
    const result = await work(request, await staffContextOf(request));
    return result instanceof Response ? result : Response.json(result);
  }

  return async (request) => {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: corsHeaders });
    const response = await answer(request).catch(failureResponse);
    for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value);
    return response;
  };
}

async function staffContextOf(request: Request): Promise<Context> {
  const { data: context, error } = await createSupabaseContext<Database>(request, {
    auth: ["secret:automations", "secret", "user"],
  });
  if (error !== null) {
    const way = "Send a secret key in the header apikey, or the token of an administrator.";
    if (error.status < 500) throw new RefusedError("unauthorized", `The request names no caller known here. ${way}`);
    throw new AccordError("misconfigured", error.message, { cause: error });
  }
  const role = (context.jwtClaims?.app_metadata as { role?: unknown } | undefined)?.role;
  if (context.authMode === "user" && role !== "admin") {
    throw new RefusedError("forbidden", "Only an administrator may do this: app_metadata.role must be admin.");
  }
  return context;
}

function failureResponse(error: unknown): Response {
  if (error instanceof AccordError) return Response.json(errorBodyOf(error), { status: error.status });
  console.error(error);
  const unexpected = new AccordError(
    "internal_error",
    "Something failed that should not; the function's log says what.",
  );
  return Response.json(errorBodyOf(unexpected), { status: 500 });
}

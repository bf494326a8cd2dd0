import { type AuthModeWithKey, createSupabaseContext, type SupabaseContext } from "@supabase/server";
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { Database } from "../../../shared/platform/database.types.ts";
import { AccordError, errorBodyOf, InvalidRequestError, RefusedError } from "../../../shared/platform/errors.ts";

/** Who calls and what they may reach, with the tables and functions that the migrations make. */
export type Context = SupabaseContext<Database>;

type Work = (request: Request, context: Context) => Promise<unknown>;

interface DoorOptions {
  methods: string[];
}

/** A door for staff: machines with a secret key, and people whose token says role admin in app_metadata. */
export function staffDoor(options: DoorOptions, work: Work): (request: Request) => Promise<Response> {
  return door(options, async (request) => {
    const context = await contextOf(request, STAFF);
    const role = (context.jwtClaims?.app_metadata as { role?: unknown } | undefined)?.role;
    if (context.authMode === "user" && role !== "admin") {
      throw new RefusedError("forbidden", "Only an administrator may do this: app_metadata.role must be admin.");
    }
    return await work(request, context);
  });
}

/** A door for everybody: visitors with the publishable key, people with a token, machines with a secret key. */
export function publicDoor(options: DoorOptions, work: Work): (request: Request) => Promise<Response> {
  return door(options, async (request) => work(request, await contextOf(request, EVERYBODY)));
}

const STAFF = {
  auth: ["secret:automations", "secret", "user"],
  way: "Send a secret key in the header apikey, or the token of an administrator.",
} satisfies Callers;

const EVERYBODY = {
  auth: ["secret:automations", "secret", "user", "publishable:*"],
  way: "Send a publishable key in the header apikey.",
} satisfies Callers;

interface Callers {
  auth: AuthModeWithKey[];
  way: string;
}

/** What every door does before and after its own work: origins, methods, and failures in one form. */
function door(
  { methods }: DoorOptions,
  work: (request: Request) => Promise<unknown>,
): (request: Request) => Promise<Response> {
  async function answer(request: Request): Promise<Response> {
    if (!methods.includes(request.method)) {
      const message = `${request.method} is not answered here; use ${methods.join(" or ")}.`;
      throw new InvalidRequestError(message, { code: "method_not_allowed", status: 405 });
    }
    const result = await work(request);
    return result instanceof Response ? result : Response.json(result);
  }

  return async (request) => {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: corsHeaders });
    const response = await answer(request).catch(failureResponse);
    for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value);
    return response;
  };
}

async function contextOf(request: Request, { auth, way }: Callers): Promise<Context> {
  const { data: context, error } = await createSupabaseContext<Database>(request, { auth });
  if (error === null) return context;
  if (error.status < 500) throw new RefusedError("unauthorized", `The request names no caller known here. ${way}`);
  throw new AccordError("misconfigured", error.message, { cause: error });
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

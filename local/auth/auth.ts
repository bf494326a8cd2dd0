import { Hono } from "hono";
import type { Database } from "../database/database.ts";
import { ISSUER_PATH } from "../keys.ts";
import type { Log } from "../log.ts";
import { changeUser, needsMail, showUser, signOut } from "./account.ts";
import {
  adminChangeUser,
  adminCreateUser,
  adminDeleteUser,
  adminListUsers,
  adminShowUser,
  requireAdmin,
} from "./admin.ts";
import { type AuthContext, transactionsOf } from "./context.ts";
import { AuthRefusal, refusalResponse } from "./refusal.ts";
import { settingsResponse } from "./settings.ts";
import { issueToken, signUp } from "./sign-in.ts";
import { PUBLIC_JWKS } from "./tokens.ts";

type Handler = (context: AuthContext, request: Request, id: string) => Promise<Response> | Response;

const routes: [method: string, path: string, handler: Handler][] = [
  ["GET", "/health", health],
  ["GET", "/settings", settingsResponse],
  ["GET", "/.well-known/jwks.json", jwks],
  ["POST", "/token", issueToken],
  ["POST", "/signup", signUp],
  ["GET", "/user", showUser],
  ["PUT", "/user", changeUser],
  ["POST", "/logout", signOut],
  ["GET", "/admin/users", admin(adminListUsers)],
  ["POST", "/admin/users", admin(adminCreateUser)],
  ["GET", "/admin/users/:id", admin(adminShowUser)],
  ["PUT", "/admin/users/:id", admin(adminChangeUser)],
  ["DELETE", "/admin/users/:id", admin(adminDeleteUser)],
];

/** GoTrue's routes that begin with a message to the person. */
const BY_MAIL = ["/otp", "/magiclink", "/recover", "/resend", "/verify", "/reauthenticate", "/invite"];

/** `/auth/v1`: what supabase-js asks of GoTrue for people who sign in with a password, and the admin API. */
export function createAuth(
  options: { database: Database; publicUrl: string; log: Log },
): { fetch(request: Request): Promise<Response> } {
  const context: AuthContext = {
    transact: transactionsOf(options.database),
    issuer: options.publicUrl.replace(/\/+$/, "") + ISSUER_PATH,
  };
  const app = new Hono({ strict: false });
  for (const [method, path, handler] of routes) {
    app.on(method, ISSUER_PATH + path, (c) => handler(context, c.req.raw, c.req.param("id") ?? ""));
  }
  for (const path of new Set(routes.map(([, path]) => path))) {
    app.all(ISSUER_PATH + path, () => new Response(null, { status: 405 }));
  }
  for (const path of BY_MAIL) {
    app.all(ISSUER_PATH + path, (c) => refusalResponse(needsMail(`${c.req.method} ${path}`), c.req.raw));
  }
  app.notFound((c) => c.text("404 page not found\n", 404));
  app.onError((error, c) => explain(error, c.req.raw, options.log));
  return { fetch: async (request) => await app.fetch(request) };
}

function admin(handler: Handler): Handler {
  return async (context, request, id) => {
    await requireAdmin(request);
    return await handler(context, request, id);
  };
}

function health(): Response {
  return Response.json({
    version: "embedded",
    name: "GoTrue",
    description: "The embedded stand-in for GoTrue, for development",
  });
}

function jwks(): Response {
  return Response.json(PUBLIC_JWKS, { headers: { "cache-control": "public, max-age=600" } });
}

/** The log names what the database said, never what the client sent: that may be a password or a token. */
function explain(error: Error, request: Request, log: Log): Response {
  const refusal = error instanceof AuthRefusal ? error : new AuthRefusal(
    500,
    "unexpected_failure",
    "Unexpected failure, please check server logs for more information",
    { cause: error },
  );
  if (refusal.status >= 500) {
    const reason = refusal.cause instanceof Error ? refusal.cause.message : "no cause";
    log.error(`${request.method} ${new URL(request.url).pathname}: ${refusal.message}: ${reason}`);
  }
  return refusalResponse(refusal, request);
}

import { callerOf, TokenError } from "../auth/tokens.ts";
import type { Caller, Database } from "../database/database.ts";
import type { Log } from "../log.ts";
import { callStatement } from "./actions/call.ts";
import { readStatement } from "./actions/read.ts";
import { describeApi } from "./actions/root.ts";
import { writeStatement } from "./actions/write.ts";
import { respond } from "./answer.ts";
import { refusalOfDatabase } from "./database-error.ts";
import { RestError } from "./errors.ts";
import { refusalOfToken } from "./jwt-error.ts";
import { type RestRequest, understand } from "./request.ts";
import { SchemaCache } from "./schema/cache.ts";
import type { SchemaFacts } from "./schema/facts.ts";
import { run, settingsOf, type Statement } from "./statement.ts";

export interface Rest {
  fetch(request: Request): Promise<Response>;
  /** Stops listening for changes of the schema. */
  close(): Promise<void>;
}

/** `/rest/v1`: tables, views and functions of the schema `public` over HTTP, as PostgREST serves them. */
export function createRest({ database, log }: { database: Database; log: Log }): Rest {
  const schema = new SchemaCache(database, log);

  async function answer(request: Request, caller: Caller): Promise<Response> {
    const understood = await understand(request);
    const known = await schema.facts();
    try {
      return await answerKnowing(known, understood, caller);
    } catch (error) {
      if (!(error instanceof RestError && error.mayBeStale)) throw error;
      // What is not known may have been created a moment ago. If nothing was, the same refusal follows.
      return await answerKnowing(await schema.factsNewerThan(known), understood, caller);
    }
  }

  async function answerKnowing(facts: SchemaFacts, request: RestRequest, caller: Caller): Promise<Response> {
    if (request.resource.kind === "root") return describeApi(caller, facts);
    const statement = statementFor(request, facts, request.resource);
    const result = await run(database, statement, caller, settingsOf(request, caller, facts, statement));
    return respond(statement.answer(result), result);
  }

  function refusal(error: unknown, request: Request, caller: Caller | undefined): RestError {
    if (error instanceof RestError) return error;
    if (error instanceof TokenError) return refusalOfToken(error, request.headers.get("authorization"));
    const ofDatabase = refusalOfDatabase(error, { isAnonymous: caller?.role === "anon" });
    if (ofDatabase !== undefined) return ofDatabase;
    // The path alone: a query may hold what is nobody's business.
    const { pathname } = new URL(request.url);
    log.error(`rest: ${request.method} ${pathname}: ${error instanceof Error ? error.stack : error}`);
    return new RestError(500, "PGRSTX00", "The REST service failed; its log has the cause.", { cause: error });
  }

  return {
    async fetch(request) {
      let caller: Caller | undefined;
      try {
        caller = await callerOf(request);
        return withoutBodyOnHead(request, await answer(request, caller));
      } catch (error) {
        return withoutBodyOnHead(request, refusal(error, request, caller).toResponse());
      }
    },
    close: () => schema.close(),
  };
}

function statementFor(
  request: RestRequest,
  facts: SchemaFacts,
  resource: Exclude<RestRequest["resource"], { kind: "root" }>,
): Statement {
  if (resource.kind === "function") return callStatement(request, facts, resource.name);
  const isRead = request.method === "GET" || request.method === "HEAD";
  return isRead ? readStatement(request, facts, resource.name) : writeStatement(request, facts, resource.name);
}

function withoutBodyOnHead(request: Request, response: Response): Response {
  if (request.method !== "HEAD") return response;
  const { status, headers } = response;
  return new Response(null, { status, headers });
}

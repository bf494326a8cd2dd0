import type { Caller } from "../../database/database.ts";
import type { SchemaFacts } from "../schema/facts.ts";

/** `GET /rest/v1/`: what is exposed, in brief. As on the platform, for the secret key alone. */
export function describeApi(caller: Caller, facts: SchemaFacts): Response {
  if (caller.role !== "service_role") {
    return Response.json({
      message: "Access to schema is forbidden",
      hint: "Accessing the schema via the Data API is only allowed using a secret API key.",
    }, { status: 401 });
  }
  const tables = [...facts.tables.values()];
  const body = {
    swagger: "2.0",
    info: { title: "standard public schema", description: "", version: "14" },
    basePath: "/rest/v1",
    consumes: ["application/json"],
    produces: ["application/json"],
    paths: Object.fromEntries([
      ...tables.map(({ name }) => [`/${name}`, { get: {}, post: {}, patch: {}, delete: {} }]),
      ...[...facts.routines.keys()].map((name) => [`/rpc/${name}`, { post: {} }]),
    ]),
    definitions: Object.fromEntries(tables.map(({ name, columns, primaryKey }) => [name, {
      type: "object",
      required: [...primaryKey],
      properties: Object.fromEntries([...columns].map(([column, { type }]) => [column, { format: type }])),
    }])),
  };
  return new Response(JSON.stringify(body), {
    headers: { "Content-Type": "application/openapi+json; charset=utf-8" },
  });
}

import { randomUUID } from "node:crypto";
import { bootstrap } from "../../../local/database/bootstrap.ts";
import { openFreshDatabase } from "../../../scripts/fresh-database.ts";
import { valueOf, withSession } from "../../sql/support/session.ts";
import { stack } from "../../support/stack.ts";

/** A database as a hosted project has it before its first `db push`, for a role that is no superuser there. */
export interface ProjectDatabase {
  url: string;
  close(): Promise<void>;
}

export async function newProjectDatabase(): Promise<ProjectDatabase> {
  const version = await withSession((session) => valueOf<string>(session, "select version()"));
  return version.includes("PGlite") ? await openFreshDatabase({ migrated: false }) : await besideTheStack();
}

/** On the lane's real Postgres, where the role `postgres` is the superuser: another one has the rights of a project's. */
async function besideTheStack(): Promise<ProjectDatabase> {
  const name = `accord_push_${randomUUID().slice(0, 8)}`;
  await withSession(async (session) => {
    await session.query(`create role ${name} login createdb createrole bypassrls in role postgres`);
    await session.query(`create database ${name}`);
  });
  const superuser = new URL(stack().databaseUrl);
  superuser.pathname = name;
  await bootstrap(superuser.href);
  // The platform lets a project create pgvector, which only a superuser may do elsewhere.
  await withSession((session) => session.query("create extension vector with schema extensions"), superuser.href);

  const url = new URL(superuser);
  url.username = name;
  return {
    url: url.href,
    close: () =>
      withSession(async (session) => {
        await session.query(`drop database ${name} with (force)`);
        await session.query(`drop role ${name}`);
      }),
  };
}

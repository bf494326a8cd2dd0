import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Job } from "../../shared/embeddings/queue.ts";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { mutate, PROFILE_MUTANTS } from "./support/mutants.ts";
import { interleavings, Stage } from "./support/orders.ts";
import { createOwnDatabase, type OwnDatabase } from "./support/own-database.ts";

/**
 * An editor, a worker, and somebody who prepares another profile and then activates it, in every order in which their
 * steps can follow each other. Search must never use a profile that lacks a row, and in the end both profiles agree.
 */
type Actor = "editor" | "worker" | "owner";
type Act = "edit" | "look" | "claim" | "read" | "finish" | "prepare" | "catchUp" | "activate";
type Step = `${Actor}.${Act}`;

const SEQUENCES: Step[][] = [
  ["editor.edit"],
  ["worker.look", "worker.claim", "worker.read", "worker.finish"],
  ["owner.prepare", "owner.catchUp", "owner.activate"],
];
const ORDERS = [...interleavings(SEQUENCES)];
const FIRST = smallProfile("test:first:2");
const inTwo = (text: string) => ["all alike", text];

let database: OwnDatabase;
let stage: Stage<Actor>;

beforeAll(async () => {
  database = await createOwnDatabase();
  stage = await Stage.on(database, ["editor", "worker", "owner"]);
  await stage.observer.query(`
    create table public.notes (id int primary key, body int not null);
    insert into public.notes values (1, 10);
    select public.register_embedding_source('public.notes', 'body::text');
    select private.use_default_profile('${JSON.stringify(FIRST)}');
  `);
});

afterAll(() => database.drop());

const IN_USE = "select array(select name from private.embedding_profiles where state in ('building', 'active'))";

async function namesOf(session: pg.Client, sql: string): Promise<string[]> {
  const { rows: [row] } = await session.query<[string[]]>({ text: sql, rowMode: "array" });
  return row?.[0] ?? [];
}

/** Does all that is due, and what a worker held that found the row locked by an edit: its time is up. */
async function settle(session: pg.Client): Promise<void> {
  await session.query(
    "update public.embedding_sync_queue set visible_at = clock_timestamp() where status = 'processing'",
  );
  const worker = new SqlWorker(session, FIRST);
  let jobs: Job[];
  while ((jobs = await worker.claim()).length > 0) await worker.finish(jobs.map((job) => embedded(job, inTwo)));
}

/** A profile that is not complete yet is refused, and that is right. */
async function activate(session: pg.Client): Promise<"refused" | "complete" | "incomplete"> {
  try {
    await session.query("select public.activate_embedding_profile('test:second:2')");
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === "PT409") return "refused";
    throw error;
  }
  // The editor only changes texts: a row that lacks a copy lacked it before.
  const { rows: missing } = await session.query("select from public.verify_embeddings() where problem = 'missing'");
  return missing.length === 0 ? "complete" : "incomplete";
}

const activations = { refused: 0, complete: 0, incomplete: 0 };

/** The orders after which something is wrong, up to so many. */
async function faults(atMost: number): Promise<string[]> {
  const found: string[] = [];
  for (const order of ORDERS) {
    await stage.observer.query("update public.notes set body = 10");
    await settle(stage.observer);
    const worker = new SqlWorker(stage.sessionOf("worker"), FIRST);
    let inUse: string[] = [];
    let tokens: string[] = [];
    let jobs: Job[] = [];
    let activated: keyof typeof activations = "refused";
    const acts: Record<Act, () => Promise<unknown>> = {
      edit: () => stage.sessionOf("editor").query("update public.notes set body = 11"),
      // A claim does both, one after the other: which profiles are in use, and which rows are due.
      look: async () => (inUse = await namesOf(stage.sessionOf("worker"), IN_USE)),
      claim: async () => (tokens = await namesOf(stage.sessionOf("worker"), "select private.claim_embeddings(1, 1)")),
      read: async () => (jobs = await worker.read(tokens)),
      finish: () => worker.finish(jobs.map((job) => embedded(job, inTwo, inUse))),
      prepare: () =>
        stage.sessionOf("owner").query(
          "select public.prepare_embedding_profile('test:second:2', 'test', 'second', 2, 400, 0, '{chunk}')",
        ),
      catchUp: () => stage.sessionOf("owner").query("select private.advance_backfills()"),
      activate: async () => (activated = await activate(stage.sessionOf("owner"))),
    };
    await stage.play<Act>(order, (_, act) => acts[act]());
    await settle(stage.observer);
    activations[activated]++;
    const last = activated === "refused" ? await activate(stage.observer) : activated;
    const { rows: problems } = await stage.observer.query(
      `select v.profile_name, v.problem, v.detail, v.queued
       from private.embedding_profiles as p cross join private.embedding_problems(p.name) as v
       where p.state <> 'kept' or p.name = 'test:second:2'`,
    );
    if (last !== "complete" || problems.length > 0) {
      found.push(`${order.join(" ")}: ${last} ${JSON.stringify(problems)}`);
    }
    await stage.observer.query(`
      select public.activate_embedding_profile('test:first:2', true);
      select public.retire_embedding_profile('test:second:2');
      delete from private.workers`);
    if (found.length >= atMost) return found;
  }
  return found;
}

it(
  `in all ${ORDERS.length} orders of an edit, a worker and a change of profile, search misses no row and both profiles agree`,
  async () => {
    expect(ORDERS).toHaveLength(280);
    expect(await faults(3)).toEqual([]);
    // Otherwise the orders would show nothing.
    expect(activations.refused).toBeGreaterThan(0);
    expect(activations.complete).toBeGreaterThan(0);
  },
  900_000,
);

it.each(PROFILE_MUTANTS)("these orders would catch it if $name", async (mutant) => {
  const restore = await mutate(stage.observer, mutant);
  try {
    expect(await faults(1)).not.toEqual([]);
  } finally {
    await restore();
  }
}, 900_000);

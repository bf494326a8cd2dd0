import { expect, test } from "vitest";
import { alerts, count, embedAll, list, onRows, prepare, problems, states, waiting } from "./support/embeddings.ts";
import { refusalOf, type Session, valueOf } from "./support/session.ts";
import type { SqlWorker } from "../support/sql-worker.ts";

/** What may happen to a table after it was registered, the mend, and what is told of it; the row's own words never are. */
const BREAKS = [
  [
    "a column that was renamed",
    "alter table public.test_bad rename column pub to is_pub",
    "alter table public.test_bad rename column is_pub to pub",
    'column "pub" does not exist (SQLSTATE 42703)',
  ],
  [
    "a function that was dropped",
    "alter function public.test_say(text) rename to test_tell",
    "alter function public.test_tell(text) rename to test_say",
    "function public.test_say(text) does not exist (SQLSTATE 42883)",
  ],
  [
    "a row on which an expression fails",
    "insert into public.test_bad values (2, 'secret', true)",
    "delete from public.test_bad where id = 2",
    "an expression fails on a value of a row (SQLSTATE 22P02)",
  ],
] as const;

const ALERT = "embedding_source_broken test_bad";

/** On two sources that are embedded, of which one is broken then; the other one has a row that nobody noticed. */
const onBroken = (breaking: string, work: (tx: Session, worker: SqlWorker) => Promise<void>) =>
  onRows(async (tx, worker) => {
    await tx.query(`
      create function public.test_say(what text) returns text language sql immutable as 'select what';
      create table public.test_bad (id int primary key, num text, pub boolean);
      insert into public.test_bad values (1, '1', true);
      select public.register_embedding_source('public.test_bad', 'public.test_say((num::int)::text)', 'pub')`);
    await embedAll(worker);
    await tx.query("delete from private.embedding_backfills");
    await tx.query(`
      alter table public.test_rows disable trigger user;
      insert into public.test_rows values (9, 'nine', true);
      alter table public.test_rows enable trigger user;
      alter table public.test_bad disable trigger user;
      ${breaking};
      alter table public.test_bad enable trigger user`);
    await work(tx, worker);
  });

const told = (tx: Session) =>
  valueOf<string>(tx, "select message from public.alerts where kind = 'embedding_source_broken'");

const broken = (tx: Session) =>
  list(
    tx,
    "select concat_ws(' ', source_table, source_id, problem, detail) from public.verify_embeddings() order by 1",
  );

test.each(BREAKS)(
  "%s hides nothing of the other tables, and is told until it is mended",
  (_, breaking, mend, reason) =>
    onBroken(breaking, async (tx) => {
      const bad = `test_bad unreadable ${reason}`;
      expect(await broken(tx)).toEqual([bad, "test_rows 9 missing nothing is embedded"]);
      expect(
        await list(tx, "select concat_ws(' ', source_table, eligible, coverage) from public.embedding_sync_status"),
      )
        .toContain("test_rows 4 0.7500");
      expect(await count(tx, "public.embedding_profile_status where eligible >= 4")).toBe(1);
      expect(await valueOf(tx, "select private.verify_and_resync()::int")).toBe(1);
      expect(await waiting(tx)).toEqual(["9 pending"]);
      expect(await alerts(tx)).toEqual([ALERT, "embeddings_differ test_rows"]);
      expect(await told(tx)).toContain(reason);
      expect(await told(tx)).toContain("unregister_embedding_source('public.test_bad')");
      expect(await told(tx)).not.toContain("secret");
      // Told still, however often it is looked at.
      await tx.query("select private.watch_embeddings()");
      expect(await alerts(tx)).toContain(ALERT);
      const health = async () =>
        (await tx.query("select ok, mend from private.embeddings_health() where name = 'source test_bad'")).rows[0];
      expect(await health()).toEqual({ ok: false, mend: expect.stringContaining("register_embedding_source") });
      expect(await refusalOf(tx, "select public.resync_embeddings('test_bad')")).toMatchObject({
        code: "PT409",
        message: `Table "test_bad" cannot be read: ${reason}`,
      });

      await tx.query(`alter table public.test_bad disable trigger user; ${mend}`);
      await tx.query("select private.watch_embeddings()");
      expect(await alerts(tx)).toEqual(["embeddings_differ test_rows"]);
      expect(await health()).toEqual({ ok: true, mend: null });
      expect(await problems(tx)).toEqual(["9 missing pending"]);
    })(),
);

test.each(BREAKS)(
  "%s keeps no profile from being forced or gone back to, and is gone through once it is mended",
  (_, breaking, mend, reason) =>
    onBroken(breaking, async (tx, worker) => {
      await prepare(tx, "test:next:2");
      await tx.query("delete from private.embedding_backfills; delete from public.embedding_sync_queue");
      await tx.query("select public.enqueue_embedding('test_rows', id::text) from public.test_rows");
      await embedAll(worker);
      expect(await refusalOf(tx, "select public.activate_embedding_profile('test:next:2')")).toMatchObject({
        code: "PT409",
        message: `Whether profile "test:next:2" is complete cannot be told: table test_bad, ${reason}`,
      });
      await tx.query("delete from public.embedding_sync_queue");
      for (const call of ["activate_embedding_profile('test:next:2', true)", "rollback_embedding_profile()"]) {
        await tx.query("delete from private.embedding_backfills");
        await tx.query(`select public.${call}`);
        expect(await list(tx, "select source_table from private.embedding_backfills")).toEqual(["test_bad"]);
      }
      expect(await states(tx)).toEqual(["test:next:2 kept", "test:small:2 active"]);
      expect(await alerts(tx)).toEqual([ALERT]);
      await tx.query(`alter table public.test_bad disable trigger user; ${mend}`);
      await tx.query("select private.advance_backfills()");
      expect(await waiting(tx)).toEqual(["1 pending"]);
    })(),
);

test("a table that cannot be read keeps no other one from being caught up with", () =>
  onBroken(BREAKS[0][1], async (tx) => {
    await tx.query("delete from public.embedding_sync_queue");
    await tx.query("insert into private.embedding_backfills (source_table) values ('test_bad')");
    await tx.query("insert into private.embedding_backfills (source_table) values ('test_rows')");
    expect(await valueOf(tx, "select private.advance_backfills()::int")).toBe(4);
    expect(await alerts(tx)).toEqual([ALERT]);
    expect(await told(tx)).toContain("no profile takes the active one's place by itself");
  })());

test("a renamed column is told by the schedule's next round, before anybody has proven anything, until the table leaves", () =>
  onBroken(BREAKS[0][1], async (tx) => {
    await tx.query("select private.watch_embeddings()");
    expect(await alerts(tx)).toEqual([ALERT]);
    await tx.query("select public.unregister_embedding_source('public.test_bad')");
    expect(await alerts(tx)).toEqual([]);
  })());

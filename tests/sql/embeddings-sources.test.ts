import { expect, test } from "vitest";
import { embedded, forgetProfiles, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import { inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

const TABLES = `
  create table public.test_notes (id int primary key, title text, body text, rank int, is_public boolean default true);
  create table public.test_pairs (tenant int, "order" text, body json, primary key (tenant, "order"));
`;

const register = (tx: Session, table: string, content: string, published = "true") =>
  valueOf<{ sourceTable: string; enqueued: number }>(tx, "select public.register_embedding_source($1, $2, $3)", [
    table,
    content,
    published,
  ]);

/** What waits for this table, as `id action revision`. */
async function queue(tx: Session, table: string): Promise<string[]> {
  const { rows } = await tx.query<{ job: string }>(
    `select format('%s %s %s', source_id, action, revision) as job from public.embedding_sync_queue
     where source_table = $1 order by source_id`,
    [table],
  );
  return rows.map(({ job }) => job);
}

/** Runs the statement on an empty queue and tells what it queued. */
async function queuedBy(tx: Session, sql: string, table = "test_notes"): Promise<string[]> {
  await tx.query("delete from public.embedding_sync_queue where source_table = $1", [table]);
  await tx.query(sql);
  return await queue(tx, table);
}

const onNotes = (work: (tx: Session) => Promise<void>) => () =>
  inVain(async (tx) => {
    await tx.query(TABLES);
    await tx.query(
      "insert into public.test_notes select n, 'title ' || n, 'body ' || n, n, n <> 3 from generate_series(1, 5) as n",
    );
    await register(tx, "public.test_notes", "concat_ws(' ', title, body)", "is_public");
    await work(tx);
  });

test(
  "a table that joins has its published rows queued, and joining again changes nothing",
  onNotes(async (tx) => {
    expect(await queue(tx, "test_notes")).toEqual(["1 update 1", "2 update 1", "4 update 1", "5 update 1"]);
    expect(await register(tx, "public.test_notes", "concat_ws(' ', title, body)", "is_public"))
      .toEqual({ sourceTable: "test_notes", enqueued: 0 });
    expect(await register(tx, "public.test_notes", "title", "is_public")).toMatchObject({ enqueued: 4 });
  }),
);

test(
  "an insert queues what is published, one row or many",
  onNotes(async (tx) => {
    expect(
      await queuedBy(
        tx,
        "insert into public.test_notes values (6, 'six', '', 1, true), (7, 'seven', '', 1, false), (8, 'eight', '', 1, true)",
      ),
    )
      .toEqual(["6 insert 1", "8 insert 1"]);
  }),
);

test(
  "of many new rows at once, those that wait in the queue already are queued again and the others as well",
  onNotes(async (tx) => {
    const many = "insert into public.test_notes select n, 'many', '', 1, true from generate_series(101, 400) as n";
    expect(await queuedBy(tx, many)).toHaveLength(300);
    await tx.query("delete from public.embedding_sync_queue where source_id <> '250'");
    await tx.query("delete from public.test_notes where id > 100");
    expect((await queue(tx, "test_notes")).filter((row) => row.startsWith("250 "))).toEqual(["250 delete 2"]);
    await tx.query("delete from public.embedding_sync_queue where source_id <> '250'");
    await tx.query(many);
    const again = await queue(tx, "test_notes");
    expect(again).toHaveLength(300);
    expect(again.filter((row) => !row.endsWith(" insert 1"))).toEqual(["250 insert 3"]);
  }),
);

test(
  "an update queues what it changes of what counts, and nothing else",
  onNotes(async (tx) => {
    expect(await queuedBy(tx, "update public.test_notes set title = 'new' where id in (1, 2)")).toEqual([
      "1 update 1",
      "2 update 1",
    ]);
    expect(await queuedBy(tx, "update public.test_notes set title = title, body = body")).toEqual([]);
    expect(await queuedBy(tx, "update public.test_notes set rank = rank + 1")).toEqual([]);
    expect(await queuedBy(tx, "update public.test_notes set title = 'draft' where id = 3")).toEqual([]);
  }),
);

test(
  "unpublishing queues a delete, publishing an update, and a changed key both",
  onNotes(async (tx) => {
    expect(await queuedBy(tx, "update public.test_notes set is_public = false where id = 1")).toEqual(["1 delete 1"]);
    expect(await queuedBy(tx, "update public.test_notes set is_public = true where id = 3")).toEqual(["3 update 1"]);
    expect(await queuedBy(tx, "update public.test_notes set id = 9 where id = 2")).toEqual([
      "2 delete 1",
      "9 update 1",
    ]);
  }),
);

test("a change that a BEFORE trigger makes is seen", () =>
  inVain(async (tx) => {
    await tx.query(TABLES);
    await tx.query(`
      create function pg_temp.shout() returns trigger language plpgsql as 'begin new.title := upper(new.body); return new; end';
      create trigger shout before update on public.test_notes for each row execute function pg_temp.shout();
      insert into public.test_notes values (1, 'a', 'a')`);
    await register(tx, "public.test_notes", "title");
    expect(await queuedBy(tx, "update public.test_notes set rank = 2, body = 'b'")).toEqual(["1 update 1"]);
  }));

test("columns may be called like what a trigger calls its rows", () =>
  inVain(async (tx) => {
    await tx.query("create table public.test_words (id integer primary key, new boolean, old text)");
    await register(tx, "public.test_words", "old", "new");
    expect(await queuedBy(tx, "insert into public.test_words values (1, true, 'a'), (2, false, 'b')", "test_words"))
      .toEqual(["1 insert 1"]);
    expect(await queuedBy(tx, "update public.test_words set new = not new", "test_words"))
      .toEqual(["1 delete 1", "2 update 1"]);
  }));

test(
  "a delete and a TRUNCATE queue a delete for each row that may have a copy",
  onNotes(async (tx) => {
    expect(await queuedBy(tx, "delete from public.test_notes where id < 3")).toEqual(["1 delete 1", "2 delete 1"]);
    await tx.query("update public.test_notes set title = 'x' where id = 4");
    await tx.query("truncate public.test_notes");
    expect(await queue(tx, "test_notes")).toEqual(["1 delete 2", "2 delete 2", "4 delete 2"]);
  }),
);

test(
  "many edits of one row are one job, always with a new revision",
  onNotes(async (tx) => {
    for (const n of [1, 2, 3]) await tx.query("update public.test_notes set title = $1 where id = 1", [`v${n}`]);
    expect(await queue(tx, "test_notes")).toContain("1 update 4");
  }),
);

test("a composite key is a JSON object, and columns without equality are compared as text", () =>
  inVain(async (tx) => {
    await tx.query(TABLES);
    await tx.query(`insert into public.test_pairs values (1, 'a', '{"x": 1}'), (1, 'b', '{}')`);
    expect(await register(tx, "public.test_pairs", "body::text")).toMatchObject({ enqueued: 2 });
    expect(await queuedBy(tx, `update public.test_pairs set body = '{"x": 1}'`, "test_pairs"))
      .toEqual(['{"order": "b", "tenant": 1} update 1']);
  }));

test("a table outside public is named with its schema", () =>
  inVain(async (tx) => {
    await tx.query("create schema test_shop; create table test_shop.wares (id uuid primary key, name text)");
    expect(await register(tx, "test_shop.wares", "name")).toEqual({ sourceTable: "test_shop.wares", enqueued: 0 });
  }));

test(
  "a table that leaves takes its triggers, its jobs and its copies along",
  onNotes(async (tx) => {
    await tx.query("select public.unregister_embedding_source('public.test_notes')");
    expect(await queuedBy(tx, "update public.test_notes set title = 'x'")).toEqual([]);
    expect(await valueOf(tx, "select count(*)::int from pg_proc where proname like 'embed\\_test\\_notes%'")).toBe(0);
    expect((await refusalOf(tx, "select public.unregister_embedding_source('public.test_notes')")).message)
      .toBe("public.test_notes is not registered");
  }),
);

test.each([
  ["public.test_notes", "nowhere", /^The expressions for test_notes do not fit: column "nowhere" does not exist$/],
  ["public.test_notes", "title ||", /do not fit: syntax error/],
  ["public.test_notes", "title)::text; drop table public.test_notes; --", /do not fit: syntax error/],
  ["public.test_notes", null, /^content of public.test_notes must be an SQL expression, not null$/],
  ["public.test_notes", " ", /^content of public.test_notes must be an SQL expression, not ' '$/],
  ["public.test_notes", "random()::text", /may write, change from call to call, or need several rows$/],
  ["public.test_notes", "count(*)::text", /may write, change from call to call, or need several rows$/],
  ["public.test_notes", "(select answer from public.faq_items limit 1)", /read other rows$/],
  ["public.embedding_sync_status", "source_table", /is not a table$/],
  ["public.test_keyless", "body", /^Table public.test_keyless has no primary key$/],
  ["public.test_parted", "body", /is not a table$/],
  ["public.test_part", "body", /is not a table$/],
])("%s with the content %s is refused, and nothing is changed", async (table, content, said) => {
  await inVain(async (tx) => {
    await tx.query(TABLES);
    await tx.query(`
      create table public.test_keyless (body text);
      create table public.test_parted (id int primary key, body text) partition by list (id);
      create table public.test_part partition of public.test_parted for values in (1)`);
    const { message, hint } = await refusalOf(tx, "select public.register_embedding_source($1, $2)", [table, content]);
    expect(message).toMatch(said);
    expect(hint).toBeTruthy();
    expect(await valueOf(tx, "select count(*)::int from private.embedding_sources where source_table like 'test%'"))
      .toBe(0);
    expect(await valueOf(tx, "select to_regclass('public.test_notes') is not null")).toBe(true);
  });
});

test("a table whose name belongs to another one that is still there is refused, and so is a known one under a new name", () =>
  inVain(async (tx) => {
    await tx.query(`
      create schema "test.a"; create schema test;
      create table "test.a".c (id int primary key, body text);
      create table test."a.c" (id int primary key, body text);
      create table public.test_notes (id int primary key, body text)`);
    await register(tx, '"test.a".c', "body");
    const refused = (table: string) => refusalOf(tx, "select public.register_embedding_source($1, 'body')", [table]);
    expect(await refused('test."a.c"')).toMatchObject({
      code: "22023",
      message: 'Table test."a.c" cannot be registered as "test.a.c": "test.a".c is registered as "test.a.c"',
      hint: expect.stringContaining(`select public.unregister_embedding_source('"test.a".c')`),
    });
    await register(tx, "public.test_notes", "body");
    await tx.query(
      "alter table public.test_notes rename to test_old; create table public.test_notes (id int primary key, body text)",
    );
    expect((await refused("public.test_notes")).message)
      .toBe(
        'Table public.test_notes cannot be registered as "test_notes": public.test_old is registered as "test_notes"',
      );
    expect((await refused("public.test_old")).message)
      .toBe('Table public.test_old cannot be registered as "test_old": public.test_old is registered as "test_notes"');
    await tx.query("select public.unregister_embedding_source('public.test_old')");
    expect(await register(tx, "public.test_notes", "body")).toMatchObject({ sourceTable: "test_notes" });
    expect(await register(tx, "public.test_old", "body")).toMatchObject({ sourceTable: "test_old" });
  }));

test(
  "a table that is dropped breaks nothing for the others, and its embeddings go with the next round",
  onNotes(async (tx) => {
    await tx.query("create table public.test_others (id int primary key, body text)");
    await tx.query("insert into public.test_others values (1, 'other')");
    await register(tx, "public.test_others", "body");
    await forgetProfiles(tx);
    const worker = new SqlWorker(tx, smallProfile("test:sources:2"));
    const left = () =>
      valueOf<string>(
        tx,
        `select concat_ws(' ',
           (select count(*) from private.embedding_sources where source_table like 'test_%'),
           (select count(*) from public.documentation_embeddings where source_table like 'test_%'),
           (select count(*) from public.embedding_sync_queue where source_table like 'test_%'))`,
      );
    const mine =
      "select source_id, problem from public.verify_embeddings() where source_table like 'test_%' order by 1, 2";
    for (let jobs = await worker.claim(100); jobs.length > 0; jobs = await worker.claim(100)) {
      await worker.finish(jobs.map((job) => embedded(job)));
    }
    expect(await left()).toBe("2 5 5");
    await tx.query("update public.test_notes set title = 'waits' where id = 1");
    await tx.query("drop table public.test_notes");
    await tx.query("update public.test_others set body = 'changed'");

    expect((await tx.query(mine)).rows).toEqual([
      { source_id: "1", problem: "orphan" },
      { source_id: "1", problem: "stale" },
      { source_id: "2", problem: "orphan" },
      { source_id: "4", problem: "orphan" },
      { source_id: "5", problem: "orphan" },
    ]);
    const status =
      "select source_table, eligible::int from public.embedding_sync_status where source_table like 'test_%' order by 1";
    expect((await tx.query(status)).rows).toEqual([
      { source_table: "test_notes", eligible: 0 },
      { source_table: "test_others", eligible: 1 },
    ]);
    expect(JSON.stringify(await valueOf(tx, "select public.health_checks()"))).toContain("triggers of test_others");
    await tx.query("select public.search_documentation('[1,0]', 'test:sources:2')");

    await tx.query("select private.dispatch_embeddings()");
    expect(await left()).toBe("1 1 1");
    expect((await worker.claim(100)).map(({ content }) => content)).toEqual(["changed"]);
    // Made anew, it is another table of the same name.
    await tx.query(TABLES.split("\n")[1] ?? "");
    await tx.query("insert into public.test_notes values (9, 'nine', 'new')");
    expect(await register(tx, "public.test_notes", "title")).toMatchObject({ enqueued: 1 });
  }),
);

test(
  "a BEFORE trigger that was added later is noticed, and registering again has its changes seen",
  onNotes(async (tx) => {
    const told = () =>
      valueOf<{ ok: boolean; mend: string | null }>(
        tx,
        "select to_jsonb(c) from jsonb_to_recordset(public.health_checks()) as c (name text, ok boolean, mend text) where name = 'triggers of test_notes'",
      );
    expect(await told()).toMatchObject({ ok: true, mend: null });
    await tx.query(`
      create function public.test_shout() returns trigger language plpgsql as 'begin new.title := upper(new.title) || new.rank; return new; end';
      create trigger test_shout before update on public.test_notes for each row execute function public.test_shout()`);
    expect(await queuedBy(tx, "update public.test_notes set rank = 9 where id = 1")).toEqual([]);
    const { ok, mend } = await told();
    expect(ok).toBe(false);
    await tx.query(mend?.replace(/^Run: /, "") ?? "");
    expect(await told()).toMatchObject({ ok: true, mend: null });
    expect(await queuedBy(tx, "update public.test_notes set rank = 10 where id = 1")).toEqual(["1 update 1"]);
  }),
);

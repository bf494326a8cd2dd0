import { expect, test } from "vitest";
import { embedded, smallProfile, SqlWorker } from "../support/sql-worker.ts";
import {
  claimOne,
  copies,
  count,
  embedAll,
  endOften,
  list,
  makeTable,
  onBareGround,
  onRows,
  prepare,
  settle,
  SMALL,
  states,
  waiting,
} from "./support/embeddings.ts";
import { become, becomeAdmin, becomeOwner, refusalOf, type Session, valueOf } from "./support/session.ts";

const activate = (name = "test:next:2", force = false) =>
  `select public.activate_embedding_profile('${name}', ${force})`;
const ROLLBACK = "select public.rollback_embedding_profile()";

const ask = (tx: Session, name: string, chosen = {}) =>
  tx.query("select private.use_default_profile($1)", [JSON.stringify(smallProfile(name, chosen))]);

test("the first profile that is asked for is active at once, and what there is is queued for it", () =>
  onBareGround(async (tx) => {
    await makeTable(tx);
    await tx.query("delete from public.embedding_sync_queue; delete from private.embedding_backfills");
    expect(await valueOf(tx, "select public.search_profile()")).toBeNull();
    await ask(tx, "test:first:2");
    expect(await states(tx)).toEqual(["test:first:2 active"]);
    expect(await waiting(tx)).toEqual(["1 pending", "2 pending", "3 pending"]);
    expect(await valueOf(tx, "select public.search_profile()")).toMatchObject({ name: "test:first:2", dimensions: 2 });
  })());

test(
  "another default is built beside the active one, and takes its place when it is complete and not before",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await endOften(worker);
    const next = new SqlWorker(tx, smallProfile("test:next:2", { provider: "elsewhere" }));
    const jobs = await next.claim();
    expect(await states(tx)).toEqual(["test:next:2 building", "test:small:2 active"]);
    expect(jobs.map(({ targets }) => targets.filter(({ isUnchanged }) => !isUnchanged).map(({ profile }) => profile)))
      .toEqual([["test:next:2"], ["test:next:2"], ["test:next:2"]]);
    await next.finish(jobs.slice(0, 2).map((job) => embedded(job)));
    await endOften(next);
    expect(await states(tx)).toEqual(["test:next:2 building", "test:small:2 active"]);
    expect(await count(tx, "public.documentation_embeddings where profile = 'test:small:2'")).toBe(3);
    await next.finish(jobs.slice(2).map((job) => embedded(job)));
    await endOften(next);
    expect(await states(tx)).toEqual(["test:next:2 active", "test:small:2 kept"]);
    // The same wish again is none, also after somebody went back.
    await tx.query(ROLLBACK);
    await ask(tx, "test:next:2");
    expect(await states(tx)).toEqual(["test:next:2 kept", "test:small:2 active"]);
  }),
);

test(
  "a row that waits for a person does not hold the next profile up",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    const next = new SqlWorker(tx, smallProfile("test:next:2"));
    const [first, ...others] = await next.claim();
    await next.finish([
      { token: first?.token ?? "", copies: [], failure: { message: "no", permanent: true } },
      ...others.map((job) => embedded(job)),
    ]);
    await endOften(next);
    expect(await states(tx)).toEqual(["test:next:2 active", "test:small:2 kept"]);
  }),
);

test(
  "a default that is taken back before it was complete takes nobody's place, until it is asked for again",
  onRows(async (tx, worker) => {
    await ask(tx, "test:slip:2");
    await embedAll(worker);
    await endOften(worker);
    expect(await states(tx)).toEqual(["test:slip:2 building", "test:small:2 active"]);
    await ask(tx, "test:slip:2");
    await endOften(worker);
    expect(await states(tx)).toEqual(["test:slip:2 active", "test:small:2 kept"]);
  }),
);

test(
  "a profile that was prepared and is then asked for as the default takes its place by itself",
  onRows(async (tx, worker) => {
    await prepare(tx);
    await embedAll(worker);
    await ask(tx, "test:next:2");
    await endOften(worker);
    expect(await states(tx)).toEqual(["test:next:2 active", "test:small:2 kept"]);
  }),
);

test(
  "a profile that is prepared is filled and indexed, and waits to be activated",
  onRows(async (tx, worker) => {
    expect(await prepare(tx)).toEqual({ name: "test:next:2", state: "building" });
    expect(await prepare(tx)).toEqual({ name: "test:next:2", state: "building" });
    await embedAll(worker);
    await endOften(worker);
    const { rows } = await tx.query(
      "select name, state, eligible::int, embedded::int, coverage::float, is_indexed from public.embedding_profile_status order by 1",
    );
    const full = { eligible: 3, embedded: 3, coverage: 1, is_indexed: true };
    expect(rows).toEqual([
      { name: "test:next:2", state: "building", ...full },
      { name: "test:small:2", state: "active", ...full },
    ]);
    for (let twice = 0; twice < 2; twice++) {
      expect(await valueOf(tx, activate())).toEqual({ name: "test:next:2", state: "active", enqueued: 0 });
    }
    expect(await states(tx)).toEqual(["test:next:2 active", "test:small:2 kept"]);
  }),
);

test(
  "a profile that lacks rows is not activated, unless forced, and then they are queued first thing",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    await prepare(tx);
    const [one] = await worker.claim(1);
    if (one !== undefined) await worker.finish([embedded(one)]);
    expect(await refusalOf(tx, activate())).toMatchObject({
      message: 'Profile "test:next:2" lacks 2 of 3 rows',
      hint: expect.stringContaining("It is being built"),
    });
    expect((await refusalOf(tx, activate("test:none:2"))).message).toBe('There is no profile "test:none:2"');
    expect(await states(tx)).toContain("test:small:2 active");
    await tx.query("delete from public.embedding_sync_queue where source_id = '3'");
    expect(await valueOf(tx, activate(undefined, true))).toMatchObject({ state: "active", enqueued: 1 });
    expect(await valueOf(tx, "select priority from public.embedding_sync_queue where source_id = '3'")).toBe(0);
  }),
);

test(
  "going back takes one transaction, and what was edited since is queued",
  onRows(async (tx, worker) => {
    expect((await refusalOf(tx, ROLLBACK)).message).toBe("There is no profile to go back to");
    await prepare(tx);
    await embedAll(worker);
    await tx.query(activate());
    await tx.query(
      "update public.test_rows set body = 'edited' where id = 2; delete from public.test_rows where id = 3",
    );
    await embedAll(worker);
    expect(await copies(tx)).toEqual(["1 0 text 1", "2 0 text 2"]);
    expect(await valueOf(tx, ROLLBACK)).toEqual({ name: "test:small:2", state: "active", enqueued: 1 });
    expect(await waiting(tx)).toEqual(["2 pending"]);
    await embedAll(worker);
    expect(await copies(tx)).toEqual(["1 0 text 1", "2 0 edited"]);
    expect(await valueOf(tx, ROLLBACK)).toMatchObject({ name: "test:next:2", enqueued: 0 });
  }),
);

test(
  "a profile that is retired takes its copies along, and the active one cannot be",
  onRows(async (tx, worker) => {
    await prepare(tx);
    await embedAll(worker);
    const retire = (name: string) => `select public.retire_embedding_profile('${name}')`;
    expect((await refusalOf(tx, retire("test:small:2"))).message).toBe('Profile "test:small:2" is the active one');
    expect((await refusalOf(tx, retire("test:none:2"))).hint).toBe("There are: test:next:2, test:small:2.");
    await tx.query(retire("test:next:2"));
    expect(await states(tx)).toEqual(["test:small:2 active"]);
    expect(await count(tx, "public.documentation_embeddings")).toBe(3);
    expect(await count(tx, "private.embedded_rows")).toBe(3);
    expect(await prepare(tx, "test:next:2", { dimensions: 3 })).toMatchObject({ state: "building" });
  }),
);

test(
  "a name belongs to one recipe",
  onRows(async (tx) => {
    await prepare(tx);
    for (const [dimensions, template] of [[3, "{chunk}"], [2, "{headings} {chunk}"]] as const) {
      expect(
        (await refusalOf(
          tx,
          "select public.prepare_embedding_profile('test:next:2', 'elsewhere', 'm', $1, 400, 0, $2)",
          [
            dimensions,
            template,
          ],
        )).message,
      ).toBe('There is another profile "test:next:2" already');
    }
    const asked = JSON.stringify(smallProfile("test:next:2", { dimensions: 3 }));
    expect((await refusalOf(tx, "select private.use_default_profile($1)", [asked])).message).toBe(
      'Profile "test:next:2" has 2 dimensions, not 3',
    );
  }),
);

test(
  "a template that names no column of a registered table is refused, and a table without a template's column as well",
  onRows(async (tx) => {
    const said = async (sql: string) => (await refusalOf(tx, sql)).message;
    expect(await said("select public.prepare_embedding_profile('test:t:2', 'e', 'm', 2, 400, 0, '{title}: {chunk}')"))
      .toBe('The template "{title}: {chunk}" names {title}, which is no column of public.test_rows');
    await tx.query("alter table public.test_rows add title text default 'old'");
    await prepare(tx, "test:t:2", { template: "{title}: {chunk}" });
    await tx.query("create table public.test_bare (id int primary key, body text)");
    expect(await said("select public.register_embedding_source('public.test_bare', 'body')"))
      .toBe('The template "{title}: {chunk}" names {title}, which is no column of public.test_bare');
  }),
);

test.each([
  ["null, 'e', 'm', 2, 400, 0, '{chunk}'", /^The name of a profile must be up to 100 letters.*, not null$/],
  ["'no spaces', 'e', 'm', 2, 400, 0, '{chunk}'", /^The name .*, not "no spaces"$/],
  ["'t', 'E!', 'm', 2, 400, 0, '{chunk}'", /^The provider .*, not "E!"$/],
  ["'t', 'e', null, 2, 400, 0, '{chunk}'", /^The model .*, not null$/],
  ["'t', 'e', 'm', -2, 400, 0, '{chunk}'", /^The dimensions of a profile must be from 1 to 4000, not -2$/],
  ["'t', 'e', 'm', null, 400, 0, '{chunk}'", /^The dimensions .*, not null$/],
  ["'t', 'e', 'm', 2, 8, 0, '{chunk}'", /^The chunk_tokens .*, not 8$/],
  ["'t', 'e', 'm', 2, 400, 200, '{chunk}'", /^The chunk_overlap .*, not 200$/],
  ["'t', 'e', 'm', 2, 400, 0, null", /^The template .*, not null$/],
  [
    "'t', 'e', 'm', 2, 400, 0, '{body}'",
    /^The template of a profile must be a text with \{chunk\} in it.*, not "\{body\}"$/,
  ],
  ["'t', 'e', 'm', 2, 400, 0, '{chunk}', -1", /^The usd_per_million_tokens .*, not -1$/],
])("a profile of %s is refused with the value and what it may be", (values, said) =>
  onBareGround(async (tx) => {
    const refusal = await refusalOf(tx, `select public.prepare_embedding_profile(${values})`);
    expect(refusal.message).toMatch(said);
    expect(refusal).toMatchObject({ code: "22023", hint: expect.any(String) });
  })());

test(
  "the profile that search uses is indexed though a budget holds its filling back, and one that is being filled is not",
  onRows(async (tx, worker) => {
    await embedAll(worker);
    const isIndexed = () => valueOf<boolean>(tx, "select private.has_nearest_index('test:small:2')");
    const isScheduled = () => count(tx, "cron.job where jobname = 'accord-embeddings-index'");
    await tx.query(`
      insert into private.embedded_rows (profile, source_table, source_id, fingerprint, chunk_count, token_count)
      values ('test:small:2', 'test_rows', 'large', gen_random_uuid(), 2100, 1);
      insert into public.documentation_embeddings (source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding)
      select 'test_rows', 'large', 'test:small:2', n, 'x', n::text, 1, '[1,0]' from generate_series(0, 2099) as n;
      insert into public.embedding_sync_queue (source_table, source_id, priority) values ('test_rows', '9', 1)`);
    await endOften(worker);
    expect([await isIndexed(), await isScheduled()]).toEqual([false, 0]);
    await tx.query(
      "update public.embedding_sync_queue set created_at = now() - interval '25 hours' where priority = 1",
    );
    await endOften(worker);
    expect(await isScheduled()).toBe(1);
    await tx.query("select cron.unschedule('accord-embeddings-index')");
    await tx.query("update public.embedding_sync_queue set created_at = now() where priority = 1");
    await settle(tx, "embedding_daily_budget_usd", 1);
    await tx.query(
      "insert into public.embedding_costs (source_table, profile, cost_usd) values ('test_rows', 'test:small:2', 0.95)",
    );
    await endOften(worker);
    expect(await isScheduled()).toBe(1);
    await tx.query("delete from public.documentation_embeddings where source_id = 'large'");
    await tx.query("select cron.unschedule('accord-embeddings-index')");
    await endOften(worker);
    expect([await isIndexed(), await isScheduled()]).toEqual([false, 0]);
  }),
);

test(
  "an edit of a column that a template names queues its row, for that profile alone",
  onRows(async (tx, worker) => {
    await tx.query("alter table public.test_rows add title text default 'old', add unused text");
    await prepare(tx, "test:t:2", { template: "{title}: {chunk}" });
    await embedAll(worker);
    await tx.query("update public.test_rows set unused = 'x'");
    expect(await waiting(tx)).toEqual([]);
    await tx.query("update public.test_rows set title = 'new' where id = 2");
    const job = await claimOne(worker);
    expect([job.sourceId, job.fields]).toEqual(["2", { title: "new" }]);
    expect(job.targets.filter(({ isUnchanged }) => !isUnchanged).map(({ profile }) => profile)).toEqual(["test:t:2"]);
  }),
);

test(
  "profiles of other dimensions stand side by side, each with an index of its own, and search uses the active one",
  onRows(async (tx, worker) => {
    await prepare(tx, "test:wide:3", { dimensions: 3 });
    const jobs = await worker.claim();
    await worker.finish(jobs.map((job) => {
      const { token, copies } = embedded(job);
      for (const { profile, chunks } of copies) {
        for (const chunk of chunks) if (profile === "test:wide:3") chunk.embedding = "[0,1,0]";
      }
      return { token, copies };
    }));
    await endOften(worker);
    const definitions = await list(
      tx,
      `select pg_get_indexdef(to_regclass(format('private.%I', private.partition_of(name) || '_nearest')))
       from private.embedding_profiles order by name`,
    );
    expect(definitions).toEqual([expect.stringContaining("halfvec(2)"), expect.stringContaining("halfvec(3)")]);
    const search = (vector: string, profile: string) =>
      `select jsonb_array_length(public.search_documentation('${vector}', '${profile}', 10))`;
    expect(await valueOf(tx, search("[1,0]", "test:small:2"))).toBe(3);
    expect((await refusalOf(tx, search("[0,1,0]", "test:wide:3"))).message).toBe(
      'The question was embedded with "test:wide:3", the texts with "test:small:2"',
    );
    await tx.query(activate("test:wide:3"));
    expect(await valueOf(tx, search("[0,1,0]", "test:wide:3"))).toBe(3);
  }),
);

test(
  "nobody but staff sees profiles or changes them",
  onRows(async (tx, worker) => {
    await prepare(tx);
    await embedAll(worker);
    const calls = [
      "select public.prepare_embedding_profile('test:x:2', 'e', 'm', 2, 400, 0, '{chunk}')",
      activate(),
      ROLLBACK,
      "select public.retire_embedding_profile('test:next:2')",
    ];
    for (const role of ["anon", "authenticated"]) {
      await become(tx, role);
      for (const call of calls) expect((await refusalOf(tx, call)).code).toBe("42501");
    }
    expect(await count(tx, "public.embedding_profile_status")).toBe(0);
    await become(tx, "anon");
    expect((await refusalOf(tx, "select from public.embedding_profile_status")).code).toBe("42501");
    await becomeAdmin(tx);
    expect(await list(tx, "select name from public.embedding_profile_status order by 1")).toEqual([
      "test:next:2",
      SMALL.name,
    ]);
    for (const call of calls) await tx.query(call);
    await becomeOwner(tx);
    expect(await states(tx)).toEqual(["test:small:2 active", "test:x:2 building"]);
  }),
);

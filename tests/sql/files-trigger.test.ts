import { describe, expect, it, test } from "vitest";
import { documents, FileWorker, onBuckets, queue, upload } from "./support/files.ts";
import { refusalOf, type Session, superuserUrl, valueOf } from "./support/session.ts";

const missed = async (tx: Session) =>
  (await tx.query<{ path: string }>(
    "select bucket_id || '/' || file_path as path from private.missed_objects order by 1",
  )).rows
    .map(({ path }) => path);

const documentId = (tx: Session, path: string) =>
  valueOf<string>(tx, "select id from public.documents where bucket_id || '/' || file_path = $1", [path]);

test(
  "an upload is queued, and one to a bucket that nobody watches is not",
  onBuckets(async (tx) => {
    await upload(tx, "a.txt");
    await upload(tx, "elsewhere.txt", { bucket: "test-c" });
    await upload(tx, "folder/.emptyFolderPlaceholder");
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 1"]);
  }),
);

test(
  "the question whether somebody may upload, which is rolled back, leaves nothing",
  onBuckets(async (tx) => {
    await tx.query("savepoint probe");
    await upload(tx, "a.txt", { version: "1" });
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 1"]);
    await tx.query("rollback to probe");
    expect(await queue(tx)).toEqual([]);
  }),
);

test(
  "an overwrite is read again, and one with the very same bytes only notes its version",
  onBuckets(async (tx) => {
    const worker = new FileWorker(tx);
    const tag = await upload(tx, "a.txt");
    await worker.emptyQueue();
    expect(await queue(tx)).toEqual(["test-a/a.txt completed 1"]);
    await upload(tx, "a.txt", { tag, version: "same-bytes" });
    expect(await queue(tx)).toEqual(["test-a/a.txt completed 1"]);
    expect(await valueOf(tx, "select object_version from public.files_queue")).toBe("same-bytes");
    await upload(tx, "a.txt", { tag, type: "text/html" });
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 2"]);
    await worker.emptyQueue();
    await upload(tx, "a.txt");
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 3"]);
  }),
);

test(
  "the same bytes are read again where the document is gone, or could not be made",
  onBuckets(async (tx) => {
    const worker = new FileWorker(tx);
    const tags = [await upload(tx, "a.txt"), await upload(tx, "b.txt")];
    const [a, b] = await worker.claim();
    if (a === undefined || b === undefined) throw new Error("two were claimed");
    await worker.finish(a);
    expect(await worker.finish(b, { failure: { message: "It is damaged.", permanent: true } })).toBe("failed");
    await tx.query("delete from public.documents where bucket_id = 'test-a'");
    await upload(tx, "a.txt", { tag: tags[0] ?? "" });
    await upload(tx, "b.txt", { tag: tags[1] ?? "" });
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 2", "test-a/b.txt pending 2"]);
  }),
);

test(
  "a deletion takes queue row and document along, also while the file is being read",
  onBuckets(async (tx) => {
    const worker = new FileWorker(tx);
    await upload(tx, "a.txt");
    await worker.emptyQueue();
    await upload(tx, "b.txt");
    const [job] = await worker.claim();
    expect(await documents(tx)).toEqual(["test-a/a.txt A title: text of a.txt"]);
    await tx.query("delete from storage.objects where bucket_id = 'test-a'");
    expect(await queue(tx)).toEqual([]);
    expect(await documents(tx)).toEqual([]);
    if (job === undefined) throw new Error("one was claimed");
    expect(await worker.finish(job)).toBe("lost_lease");
    expect(await documents(tx)).toEqual([]);
  }),
);

describe("a move", () => {
  const move = (tx: Session, to: { bucket?: string; name: string }) =>
    tx.query(
      "update storage.objects set bucket_id = $1, name = $2, version = gen_random_uuid() where name = 'a.txt' and bucket_id = 'test-a'",
      [
        to.bucket ?? "test-a",
        to.name,
      ],
    );

  it(
    "keeps the document and its embeddings, and nothing is read again",
    onBuckets(async (tx) => {
      await upload(tx, "a.txt");
      await new FileWorker(tx).emptyQueue();
      const id = await documentId(tx, "test-a/a.txt");
      await tx.query("delete from public.embedding_sync_queue");
      await move(tx, { name: "moved/b.txt" });
      expect(await queue(tx)).toEqual(["test-a/moved/b.txt completed 2"]);
      expect(await documentId(tx, "test-a/moved/b.txt")).toBe(id);
      expect(await valueOf(tx, "select count(*)::int from public.embedding_sync_queue")).toBe(0);
      expect(
        await valueOf(
          tx,
          "select object_version = (select version from storage.objects where bucket_id = 'test-a') from public.files_queue",
        ),
      ).toBe(true);
    }),
  );

  it(
    "has a document that is named by its path read again, for its new name",
    onBuckets(async (tx) => {
      const worker = new FileWorker(tx);
      await upload(tx, "a.txt");
      for (const job of await worker.claim()) await worker.finish(job, { metadata: { titleFrom: "path" } });
      await move(tx, { name: "b.txt" });
      expect(await queue(tx)).toEqual(["test-a/b.txt pending 3"]);
    }),
  );

  it(
    "to a public bucket shows the document to everyone, and back hides it again",
    onBuckets(async (tx) => {
      const readers = () =>
        valueOf<string | null>(tx, "select owner_id from public.documents where bucket_id like 'test-%'");
      await upload(tx, "a.txt");
      await new FileWorker(tx).emptyQueue();
      expect(await readers()).toBe("00000000-0000-0000-0000-000000000000");
      await move(tx, { bucket: "test-b", name: "a.txt" });
      expect(await readers()).toBeNull();
      expect(await queue(tx)).toEqual(["test-b/a.txt completed 2"]);
      await tx.query("update storage.objects set bucket_id = 'test-a' where bucket_id = 'test-b'");
      expect(await readers()).toBe("00000000-0000-0000-0000-000000000000");
    }),
  );

  it(
    "out of what is watched is a deletion, and into it an upload",
    onBuckets(async (tx) => {
      await upload(tx, "a.txt");
      await new FileWorker(tx).emptyQueue();
      await move(tx, { bucket: "test-c", name: "a.txt" });
      expect([await queue(tx), await documents(tx)]).toEqual([[], []]);
      await tx.query("update storage.objects set bucket_id = 'test-a' where bucket_id = 'test-c'");
      expect(await queue(tx)).toEqual(["test-a/a.txt pending 1"]);
    }),
  );

  it(
    "while the file is being read has it read again under its new name",
    onBuckets(async (tx) => {
      const worker = new FileWorker(tx);
      await upload(tx, "a.txt");
      const [job] = await worker.claim();
      await move(tx, { name: "b.txt" });
      if (job === undefined) throw new Error("one was claimed");
      expect(await worker.finish(job)).toBe("requeued");
      expect(await documents(tx)).toEqual([]);
      await worker.emptyQueue();
      expect(await documents(tx)).toEqual(["test-a/b.txt A title: text of b.txt"]);
    }),
  );
});

describe("an upload is never failed", () => {
  const faults: Record<string, string> = {
    "by a queue that is gone": "drop table public.files_queue cascade",
    "by a queue that refuses what is written":
      "alter table public.files_queue add constraint refuses check (file_path <> 'a.txt')",
    "by a queue whose columns are others": "alter table public.files_queue rename column content_tag to something",
    "by watched buckets that are gone": "drop table private.watched_buckets cascade",
    "by everything being gone":
      "drop table public.files_queue, private.watched_buckets, private.missed_objects cascade",
  };
  it.each(Object.entries(faults))("%s", (_, fault) =>
    onBuckets(async (tx) => {
      await tx.query(fault);
      await upload(tx, "a.txt");
      await upload(tx, "a.txt");
      await tx.query("update storage.objects set name = 'b.txt' where bucket_id = 'test-a'");
      expect(await valueOf(tx, "select name from storage.objects where bucket_id = 'test-a'")).toBe("b.txt");
      await tx.query("delete from storage.objects where bucket_id = 'test-a'");
    })());

  it(
    "and what could not be queued is noted, and seen to by the schedule",
    onBuckets(async (tx) => {
      const worker = new FileWorker(tx);
      await upload(tx, "old.txt");
      await worker.emptyQueue();
      await tx.query("alter table public.files_queue add constraint refuses check (file_path <> 'a.txt')");
      await upload(tx, "a.txt");
      expect([await queue(tx), await missed(tx)]).toEqual([["test-a/old.txt completed 1"], ["test-a/a.txt"]]);
      await tx.query("alter table public.files_queue drop constraint refuses");
      await tx.query("alter table public.documents add constraint refuses check (file_path <> 'new.txt')");
      await tx.query("update storage.objects set name = 'new.txt' where name = 'old.txt' and bucket_id = 'test-a'");
      expect(await missed(tx)).toEqual(["test-a/a.txt", "test-a/new.txt", "test-a/old.txt"]);
      await tx.query("alter table public.documents drop constraint refuses");
      await tx.query("select private.dispatch_files()");
      expect(await missed(tx)).toEqual([]);
      expect(await queue(tx)).toEqual(["test-a/a.txt pending 1", "test-a/new.txt pending 1"]);
      expect(await documents(tx)).toEqual([]);
    }),
  );
});

test(
  "objects are told about twice, late and wrongly without harm",
  () =>
    onBuckets(async (tx) => {
      const told = (...names: string[]) =>
        valueOf<string>(tx, "select public.sync_storage_objects($1)", [
          JSON.stringify(names.map((name) => ({ bucket: "test-a", name }))),
        ]).then(Number);
      await tx.query("alter table storage.objects disable trigger accord_files");
      await upload(tx, "a.txt");
      expect(await told("a.txt", "a.txt", "never.txt")).toBe(1);
      expect(await told("a.txt")).toBe(0);
      await new FileWorker(tx).emptyQueue();
      expect(await told("a.txt")).toBe(0);
      await upload(tx, "a.txt");
      expect(await told("a.txt")).toBe(1);
      await tx.query("delete from storage.objects where bucket_id = 'test-a'");
      expect(await told("a.txt", "a.txt")).toBe(0);
      expect([await queue(tx), await documents(tx)]).toEqual([[], []]);
      expect(await valueOf(tx, 'select public.sync_storage_objects(\'[{"bucket": "no such", "name": "x"}, {}]\')'))
        .toBe(
          "0",
        );
    }, superuserUrl())(),
);

describe("watching a bucket", () => {
  it(
    "takes what is in it, by path and by type, and narrowed lets go of the rest",
    onBuckets(async (tx) => {
      await upload(tx, "contracts/a.pdf", { bucket: "test-c", type: "application/pdf" });
      await upload(tx, "contracts/2026/b.pdf", { bucket: "test-c", type: "application/pdf" });
      await upload(tx, "contracts/c.txt", { bucket: "test-c" });
      await upload(tx, "d.pdf", { bucket: "test-c", type: "application/pdf" });
      const watch = (paths: string, types: string[] | null) =>
        valueOf(tx, "select public.watch_bucket('test-c', $1, $2)", [paths, types]);
      expect(await watch("**", null)).toEqual({ bucketId: "test-c", readers: "owner", enqueued: 4 });
      await new FileWorker(tx).emptyQueue();
      expect(await watch("contracts/**", ["application/*"])).toMatchObject({ enqueued: 0 });
      expect((await queue(tx)).map((job) => job.split(" ")[0])).toEqual([
        "test-c/contracts/2026/b.pdf",
        "test-c/contracts/a.pdf",
      ]);
      await watch("contracts/*.pdf", ["*/*"]);
      expect(await documents(tx)).toHaveLength(1);
      await upload(tx, "contracts/e.txt", { bucket: "test-c" });
      await upload(tx, "contracts/deep/e.pdf", { bucket: "test-c" });
      await upload(tx, "contracts/e.pdf", { bucket: "test-c" });
      expect((await queue(tx)).map((job) => job.split(" ")[0])).toEqual([
        "test-c/contracts/a.pdf",
        "test-c/contracts/e.pdf",
      ]);
    }),
  );

  it.each([
    ["**", "any/where.pdf", true],
    ["*", "a.pdf", true],
    ["*", "a/b.pdf", false],
    ["**/*.pdf", "a.pdf", true],
    ["**/*.pdf", "a/b/c.pdf", true],
    ["**/*.pdf", "a/b/c.pdf.txt", false],
    ["a.b+(c)[d]/?.md", "a.b+(c)[d]/x.md", true],
    ["a.b", "aXb", false],
    ["?.md", "/.md", false],
  ])("the pattern %s and the path %s: %s", (pattern, path, matches) =>
    onBuckets(async (tx) => {
      expect(await valueOf(tx, "select $2 ~ private.pattern_regex($1)", [pattern, path])).toBe(matches);
    })());

  it(
    "for others has its documents read by these others at once",
    onBuckets(async (tx) => {
      const owner = "11111111-1111-4111-8111-111111111111";
      await upload(tx, "acme/a.txt", { owner });
      await upload(tx, "b.txt", { owner: "not a uuid" });
      await new FileWorker(tx).emptyQueue();
      const readers = async () =>
        (await tx.query<{ r: string }>(
          "select concat_ws(' ', file_path, client_id, owner_id) as r from public.documents where bucket_id = 'test-a' order by 1",
        )).rows.map(({ r }) => r);
      const nobody = "00000000-0000-0000-0000-000000000000";
      expect(await readers()).toEqual([`acme/a.txt ${owner}`, `b.txt ${nobody}`]);
      await tx.query("select public.watch_bucket('test-a', readers => 'folder')");
      expect(await readers()).toEqual(["acme/a.txt acme", `b.txt ${nobody}`]);
      await tx.query("select public.watch_bucket('test-a', readers => 'everyone')");
      expect(await readers()).toEqual(["acme/a.txt", "b.txt"]);
    }),
  );

  it(
    "ends with its queue, and its documents stay",
    onBuckets(async (tx) => {
      await upload(tx, "a.txt");
      await new FileWorker(tx).emptyQueue();
      await tx.query("select public.unwatch_bucket('test-a')");
      expect([await queue(tx), await documents(tx)]).toEqual([[], ["test-a/a.txt A title: text of a.txt"]]);
      expect((await refusalOf(tx, "select public.unwatch_bucket('test-a')")).message).toBe(
        'Bucket "test-a" is not watched',
      );
    }),
  );

  it.each([
    ["select public.watch_bucket('nothing')", 'There is no bucket "nothing"', "documents"],
    ["select public.watch_bucket('test-c', '')", "paths must be a pattern", undefined],
    [
      "select public.watch_bucket('test-c', types => '{pdf}')",
      "types must be types such as application/pdf",
      undefined,
    ],
    ["select public.watch_bucket('test-c', types => '{}')", "types must be types such as application/pdf", undefined],
    [
      "select public.watch_bucket('test-c', readers => 'friends')",
      "readers must be owner, folder or everyone, not friends",
      undefined,
    ],
  ])("%s is refused", (sql, message, hint) =>
    onBuckets(async (tx) => {
      const refusal = await refusalOf(tx, sql);
      expect(refusal.message).toContain(message);
      if (hint !== undefined) expect(refusal.hint).toContain(hint);
    })());
});

test(
  "a trigger that is switched off is told by the doctor",
  () =>
    onBuckets(async (tx) => {
      const told = () =>
        valueOf<{ ok: boolean; detail: string; mend: string | null }>(
          tx,
          "select to_jsonb(c) from jsonb_to_recordset(public.health_checks()) as c (name text, ok boolean, detail text, mend text) where name = 'trigger on storage.objects'",
        );
      expect(await told()).toMatchObject({ ok: true, detail: "enabled" });
      await tx.query("alter table storage.objects disable trigger accord_files");
      expect(await told()).toMatchObject({
        ok: false,
        detail: "the trigger accord_files on storage.objects is disabled",
      });
      await tx.query("select private.place_files_trigger()");
      expect(await told()).toMatchObject({ ok: true, detail: "enabled" });
      await tx.query("drop trigger accord_files on storage.objects");
      expect(await told()).toMatchObject({
        ok: false,
        detail: "the trigger accord_files on storage.objects is missing",
      });
      await tx.query("select private.place_files_trigger()");
      await upload(tx, "a.txt");
      expect(await queue(tx)).toEqual(["test-a/a.txt pending 1"]);
    }, superuserUrl())(),
);

describe("what is said of an upload", () => {
  it(
    "is told by its document, also where the bytes are the same",
    onBuckets(async (tx) => {
      const worker = new FileWorker(tx);
      const tag = await upload(tx, "a.txt");
      await worker.emptyQueue();
      await tx.query(
        "update storage.objects set version = 'next', user_metadata = '{\"title\": \"Final\", \"other\": 1}' where bucket_id = 'test-a'",
      );
      expect(await queue(tx)).toEqual(["test-a/a.txt pending 2"]);
      await worker.emptyQueue();
      await tx.query(
        "update storage.objects set version = 'last', user_metadata = '{\"title\": \"Final\", \"other\": 2}' where bucket_id = 'test-a'",
      );
      expect(await queue(tx)).toEqual(["test-a/a.txt completed 2"]);
      expect(await valueOf(tx, "select content_tag like $1 || '/%' from public.files_queue", [tag])).toBe(true);
    }),
  );

  it(
    "has it belong to whoever has overwritten it, though the bytes are the same",
    onBuckets(async (tx) => {
      const [first, second] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
      const tag = await upload(tx, "a.txt", { owner: first });
      await new FileWorker(tx).emptyQueue();
      await upload(tx, "a.txt", { owner: second, tag });
      expect(await queue(tx)).toEqual(["test-a/a.txt completed 1"]);
      expect(await valueOf(tx, "select owner_id from public.documents where bucket_id = 'test-a'")).toBe(second);
    }),
  );
});

test(
  "a type is what it is, whatever its charset and its letters, and a size that is no number is none",
  onBuckets(async (tx) => {
    await tx.query("select public.watch_bucket('test-c', types => '{text/Plain}')");
    await upload(tx, "a.txt", { bucket: "test-c", type: "text/plain;charset=UTF-8" });
    await upload(tx, "b.txt", { bucket: "test-c", type: "TEXT/PLAIN" });
    await upload(tx, "c.txt", { bucket: "test-c", type: "text/html" });
    await tx.query(
      "update storage.objects set version = 'x', metadata = metadata || '{\"size\": \"large\"}' where name = 'a.txt'",
    );
    expect(await queue(tx)).toEqual(["test-c/a.txt pending 2", "test-c/b.txt pending 1"]);
    expect(await missed(tx)).toEqual([]);
    await tx.query("select public.watch_bucket('test-c', types => '{*/*}')");
    expect((await queue(tx)).length).toBe(3);
  }),
);

test(
  "watching a bucket again changes what is said and nothing else, least of all who may read",
  onBuckets(async (tx) => {
    const watched = () =>
      valueOf<string>(
        tx,
        "select concat_ws(' ', paths, types::text, readers) from private.watched_buckets where bucket_id = 'test-b'",
      );
    expect(await watched()).toBe("** everyone");
    await tx.query("select public.watch_bucket('test-b', readers => 'folder')");
    await tx.query("select public.watch_bucket('test-b', 'acme/**')");
    await tx.query("select public.watch_bucket('test-b', types => '{text/*}')");
    await tx.query("select public.watch_bucket('test-b')");
    expect(await watched()).toBe("acme/** {text/*} folder");
  }),
);

test(
  "a bucket that became private is told by the doctor while everyone reads its documents",
  onBuckets(async (tx) => {
    const told = () =>
      valueOf<{ ok: boolean; mend: string | null }>(
        tx,
        "select to_jsonb(c) from jsonb_to_recordset(public.health_checks()) as c (name text, ok boolean, mend text) where name = 'bucket test-b'",
      );
    expect(await told()).toMatchObject({ ok: true });
    await tx.query("update storage.buckets set public = false where id = 'test-b'");
    const { ok, mend } = await told();
    expect([ok, mend]).toEqual([false, expect.stringContaining("readers => 'owner'")]);
    await tx.query("select public.watch_bucket('test-b', readers => 'everyone')");
    expect(await told()).toMatchObject({ ok: true });
  }),
);

test(
  "one object that cannot be settled keeps neither the others nor the workers waiting",
  () =>
    onBuckets(async (tx) => {
      await tx.query("select public.set_setting('files_wake', '\"cron\"')");
      await upload(tx, "kept.txt");
      await new FileWorker(tx).emptyQueue();
      await tx.query(`
        create table public.test_quotes (document uuid references public.documents (id));
        insert into public.test_quotes select id from public.documents where bucket_id = 'test-a'`);
      await tx.query("alter table storage.objects disable trigger accord_files");
      await upload(tx, "new.txt");
      await tx.query("delete from storage.objects where name = 'kept.txt'");
      await tx.query(
        "insert into private.missed_objects (bucket_id, file_path, problem, seen_at) values ('test-a', 'kept.txt', '', now() - interval '1 hour'), ('test-a', 'new.txt', '', now())",
      );
      await tx.query("delete from net.http_request_queue; delete from private.workers");
      await tx.query("select private.dispatch_files()");
      expect(await missed(tx)).toEqual(["test-a/kept.txt"]);
      expect(await queue(tx)).toEqual(["test-a/kept.txt completed 1", "test-a/new.txt pending 1"]);
      expect(
        await valueOf(tx, "select count(*)::int from net.http_request_queue where url like '%/process-files-queue'"),
      ).toBe(1);
      expect(
        await valueOf(
          tx,
          "select count(*)::int from public.alerts where kind = 'files_missed' and resolved_at is null",
        ),
      ).toBe(1);
      await tx.query("drop table public.test_quotes");
      await tx.query("select private.dispatch_files()");
      expect([await missed(tx), await documents(tx)]).toEqual([[], []]);
    }, superuserUrl())(),
);

test(
  "where the storage keeps versions, the current one counts, and none where a deletion is marked",
  () =>
    onBuckets(async (tx) => {
      await tx.query("drop index storage.bucketid_objname");
      const worker = new FileWorker(tx);
      const archive = () =>
        tx.query("update storage.objects set archived_at = now() where name = 'a.txt' and archived_at is null");
      const put = (version: string, isDeleteMarker = false) =>
        tx.query(
          "insert into storage.objects (bucket_id, name, version, metadata, is_delete_marker) values ('test-a', 'a.txt', $1, jsonb_build_object('eTag', $1::text), $2)",
          [version, isDeleteMarker],
        );
      await put("v1");
      await worker.emptyQueue();
      await archive();
      await put("v2");
      expect(await queue(tx)).toEqual(["test-a/a.txt pending 2"]);
      await worker.emptyQueue();
      expect(await valueOf(tx, "select object_version from public.files_queue")).toBe("v2");
      await archive();
      await put("v3", true);
      expect([await queue(tx), await documents(tx), await missed(tx)]).toEqual([[], [], []]);
      await tx.query("delete from storage.objects where version = 'v3'");
      await tx.query("update storage.objects set archived_at = null where version = 'v1'");
      expect(await valueOf(tx, "select object_version from public.files_queue")).toBe("v1");
    }, superuserUrl())(),
);

import { expect, test } from "vitest";
import { documents, type FileJob, FileWorker, onBuckets, queue, upload } from "./support/files.ts";
import { become, becomeAdmin, inVain, refusalOf, type Session, superuserUrl, valueOf } from "./support/session.ts";

/** A bucket with these files, claimed. */
const onClaimed = (
  names: string[],
  work: (tx: Session, worker: FileWorker, jobs: FileJob[]) => Promise<void>,
  url?: string,
) =>
  onBuckets(async (tx) => {
    for (const name of names) await upload(tx, name);
    const worker = new FileWorker(tx);
    const jobs = await worker.claim();
    expect(jobs).toHaveLength(names.length);
    await work(tx, worker, jobs);
  }, url);

const first = (jobs: FileJob[]): FileJob => {
  const [job] = jobs;
  if (job === undefined) throw new Error("one was claimed");
  return job;
};

test(
  "a file is given to one worker, and finished it is a document that waits to be embedded",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    const job = first(jobs);
    expect(job).toMatchObject({
      bucketId: "test-a",
      filePath: "a.txt",
      mimeType: "text/plain",
      isGone: false,
      progress: null,
    });
    expect(await new FileWorker(tx).claim()).toEqual([]);
    expect(await worker.finish(job, { locale: "en", metadata: { file: { author: "Ada" } } })).toBe("completed");
    expect(await documents(tx)).toEqual(["test-a/a.txt A title: text of a.txt"]);
    expect(
      await valueOf(
        tx,
        "select to_jsonb(d) from (select locale, mime_type, is_published, metadata -> 'file' ->> 'author' as author from public.documents where bucket_id = 'test-a') as d",
      ),
    ).toEqual({ locale: "en", mime_type: "text/plain", is_published: true, author: "Ada" });
    expect(
      await valueOf(
        tx,
        `select q.status from public.embedding_sync_queue as q join public.documents as d on d.id::text = q.source_id
         where q.source_table = 'documents' and d.bucket_id = 'test-a'`,
      ),
    ).toBe("pending");
    expect(await valueOf(tx, "select processed from public.files_queue")).toBe(true);
  }),
);

test(
  "a file that is overwritten while it is read is read again, and what was read of the old one is not written",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    await upload(tx, "a.txt");
    expect(await worker.finish(first(jobs))).toBe("requeued");
    expect(await documents(tx)).toEqual([]);
    expect(await queue(tx)).toEqual(["test-a/a.txt pending 2"]);
  }),
);

test(
  "the same text again changes no row of the document, and asks nobody to embed it",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    await worker.finish(first(jobs));
    await tx.query("delete from public.embedding_sync_queue");
    await upload(tx, "a.txt");
    expect(await worker.finish(first(await worker.claim()))).toBe("completed");
    expect(await valueOf(tx, "select count(*)::int from public.embedding_sync_queue")).toBe(0);
  }),
);

test(
  "what people did to a document stays, unpublished and with their own metadata; what its file said of itself before does not",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    await worker.finish(first(jobs), { metadata: { file: { author: "Ada", records: 3 } } });
    await tx.query(
      "update public.documents set is_published = false, metadata = metadata || '{\"reviewed\": true}' where bucket_id = 'test-a'",
    );
    await upload(tx, "a.txt");
    await worker.finish(first(await worker.claim()), { metadata: { file: { author: "Bob" } } });
    expect(
      await valueOf(
        tx,
        "select jsonb_build_object('published', is_published, 'reviewed', metadata -> 'reviewed', 'file', metadata -> 'file') from public.documents where bucket_id = 'test-a'",
      ),
    ).toEqual({ published: false, reviewed: true, file: { author: "Bob" } });
  }),
);

test(
  "slices are kept and put together in order, with the place of each page as JavaScript counts",
  onClaimed(["book.pdf"], async (tx, worker, jobs) => {
    const job = first(jobs);
    expect(await worker.save(job, { page: 2 }, [{ page: 1, content: "one 🎹" }, { page: 2, content: "" }])).toBe(true);
    expect(await valueOf(tx, "select public.release_file_jobs($1)", [[job.token]])).toBe(1);
    const again = first(await worker.claim());
    expect(again.progress).toEqual({ page: 2 });
    expect(await worker.save(again, { page: 3 }, [{ page: 3, content: "three" }])).toBe(true);
    expect(await worker.finish(again, { parts: [{ page: 4, content: "four" }, { page: 5, content: "five" }] })).toBe(
      "completed",
    );
    const [{ content, pages } = { content: "", pages: [] }] =
      (await tx.query<{ content: string; pages: { page: number; start: number }[] }>(
        "select content, metadata -> 'pages' as pages from public.documents where bucket_id = 'test-a'",
      )).rows;
    expect(content).toBe("one 🎹\n\nthree\n\nfour\n\nfive");
    expect(pages.map(({ page, start }) => [page, content.slice(start, start + 4)])).toEqual([
      [1, "one "],
      [3, "thre"],
      [4, "four"],
      [5, "five"],
    ]);
    expect(await valueOf(tx, "select count(*)::int from private.file_parts")).toBe(0);
    expect(await valueOf(tx, "select retry_count from public.files_queue")).toBe(0);
  }),
);

test(
  "slices of a file that was overwritten are of no use to its successor",
  onClaimed(["book.pdf"], async (tx, worker, jobs) => {
    const job = first(jobs);
    await worker.save(job, { page: 1 }, [{ page: 1, content: "old" }]);
    await upload(tx, "book.pdf");
    expect(await worker.save(job, { page: 2 }, [{ page: 2, content: "old" }])).toBe(false);
    const again = first(await worker.claim());
    expect(again.progress).toBeNull();
    await worker.save(again, { page: 1 }, [{ page: 1, content: "new" }]);
    await worker.finish(again, { parts: [{ page: 2, content: "end" }] });
    expect(await documents(tx)).toEqual(["test-a/book.pdf A title: new\n\nend"]);
  }),
);

test(
  "a file fails for good at once where its bytes are to blame, and else after three attempts; a retry gives it all of them again",
  onClaimed(["a.txt", "b.txt"], async (tx, worker, jobs) => {
    await tx.query("select public.set_setting('files_retry_seconds', '0')");
    const [a, b] = jobs as [FileJob, FileJob];
    expect(await worker.finish(a, { failure: { message: "It is encrypted.", permanent: true } })).toBe("failed");
    expect(await worker.finish(b, { failure: { message: "No answer.", permanent: false } })).toBe("retry");
    for (const outcome of ["retry", "failed"]) {
      expect(await worker.finish(first(await worker.claim()), { failure: { message: "No answer.", permanent: false } }))
        .toBe(outcome);
    }
    expect(await queue(tx)).toEqual(["test-a/a.txt failed 1", "test-a/b.txt failed 1"]);
    await tx.query("select public.set_setting('files_failed_alert_rows', '2')");
    await tx.query("select private.dispatch_files()");
    expect(await valueOf(tx, "select message from public.alerts where kind = 'files_failed' and resolved_at is null"))
      .toContain("2 files");
    expect(await valueOf(tx, "select public.retry_failed_files('test-a')")).toBe("2");
    await tx.query("select private.dispatch_files()");
    expect(
      await valueOf(tx, "select count(*)::int from public.alerts where kind = 'files_failed' and resolved_at is null"),
    ).toBe(0);
    expect(await worker.claim()).toHaveLength(2);
    expect((await refusalOf(tx, "select public.retry_failed_files('nothing')")).message).toBe(
      'Bucket "nothing" is not watched',
    );
  }),
);

test(
  "a file whose object has gone without a word is removed by whoever finishes it",
  () =>
    onClaimed(["a.txt"], async (tx, worker, jobs) => {
      await worker.finish(first(jobs));
      await upload(tx, "a.txt");
      const [job] = await worker.claim();
      await tx.query("alter table storage.objects disable trigger accord_files");
      await tx.query("delete from storage.objects where bucket_id = 'test-a'");
      if (job === undefined) throw new Error("one was claimed");
      expect(await valueOf(tx, "select public.read_file_jobs($1) -> 0 -> 'isGone'", [[job.token]])).toBe(true);
      expect(await worker.finish(job)).toBe("completed");
      expect([await queue(tx), await documents(tx)]).toEqual([[], []]);
    }, superuserUrl())(),
);

test(
  "workers are let in up to the setting, and the schedule calls as many as there is work for",
  () =>
    onBuckets(async (tx) => {
      await tx.query("select public.set_setting('files_workers', '1'), public.set_setting('files_wake', '\"cron\"')");
      const called = async () => {
        await tx.query("delete from net.http_request_queue");
        await tx.query("select private.dispatch_files()");
        return await valueOf<number>(
          tx,
          "select count(*)::int from net.http_request_queue where url like '%/process-files-queue'",
        );
      };
      expect(await called()).toBe(0);
      await upload(tx, "a.txt");
      expect(await called()).toBe(1);
      await new FileWorker(tx).claim(1);
      await upload(tx, "b.txt");
      expect(await called()).toBe(0);
      expect(await valueOf(tx, "select public.claim_file_jobs(gen_random_uuid(), 1)")).toEqual({
        tokens: [],
        idle: "enough_workers",
      });
      // As the superuser: nobody else may see the calls that wait.
    }, superuserUrl())(),
);

test("people and their tokens see what is theirs to see", () =>
  inVain(async (tx) => {
    await becomeAdmin(tx);
    expect(await valueOf(tx, "select count(*)::int from public.files_sync_status where bucket_id = 'documents'")).toBe(
      1,
    );
    expect(await valueOf(tx, "select public.retry_failed_files()")).toBe("0");
    await become(tx, "authenticated");
    expect(await valueOf(tx, "select count(*)::int from public.files_sync_status")).toBe(0);
    for (
      const call of [
        "retry_failed_files()",
        "stuck_file_jobs()",
        "clean_up_files_queue()",
        "watch_bucket('documents')",
        "unwatch_bucket('documents')",
      ]
    ) {
      expect(await refusalOf(tx, `select public.${call}`), call).toMatchObject({ code: "42501" });
    }
    for (
      const call of ["claim_file_jobs(gen_random_uuid(), 1)", "sync_storage_objects('[]')", "finish_file_jobs('[]')"]
    ) {
      expect(await refusalOf(tx, `select public.${call}`), call).toMatchObject({ code: "42501" });
    }
  }));

test("an overwrite that the trigger has missed is seen by whoever reads the file, and costs one reading more", () =>
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    const overwrite = () =>
      tx.query("update storage.objects set version = gen_random_uuid(), metadata = '{}' where bucket_id = 'test-a'");
    await worker.finish(first(jobs));
    await tx.query("alter table storage.objects disable trigger accord_files");
    await tx.query(
      "update public.files_queue set revision = revision + 1, status = 'pending', processed_at = null, visible_at = clock_timestamp()",
    );
    await overwrite();
    const job = first(await worker.claim());
    expect(await worker.finish(job)).toBe("requeued");
    const again = first(await worker.claim());
    await overwrite();
    const late = { ...again, objectVersion: "the one that is there" };
    expect(await worker.save(late, { page: 1 }, [])).toBe(false);
    expect(await worker.finish(first(await worker.claim()))).toBe("completed");
    expect(
      await valueOf(
        tx,
        "select q.object_version = o.version from public.files_queue as q join storage.objects as o on o.name = q.file_path where o.bucket_id = 'test-a'",
      ),
    ).toBe(true);
  }, superuserUrl())());

test(
  "a file that was said to be gone and is there again is read, and its document not emptied",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    await worker.finish(first(jobs));
    await upload(tx, "a.txt");
    const job = first(await worker.claim());
    expect(
      await valueOf(tx, "select public.finish_file_jobs($1) ->> $2", [
        JSON.stringify([{ token: job.token, isGone: true }]),
        job.token,
      ]),
    )
      .toBe("requeued");
    expect(await documents(tx)).toEqual(["test-a/a.txt A title: text of a.txt"]);
  }),
);

test(
  "whoever finishes a file of a bucket that is no longer watched leaves its document",
  onClaimed(["a.txt"], async (tx, worker, jobs) => {
    await worker.finish(first(jobs));
    await upload(tx, "a.txt");
    const job = first(await worker.claim());
    await tx.query("delete from private.watched_buckets where bucket_id = 'test-a'");
    expect(await worker.finish(job)).toBe("completed");
    expect([await queue(tx), await documents(tx)]).toEqual([[], ["test-a/a.txt A title: text of a.txt"]]);
  }),
);

-- The files worker: what wakes it, and what the Edge Function process-files-queue calls.
--
--   working   claim, read, save what was read of a large file, finish; release
--   waking    by schedule, and what is looked at then

create function private.has_due_files() returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from public.files_queue where processed_at is null and failed_at is null and visible_at <= clock_timestamp()
    );
$$;
comment on function private.has_due_files() is 'Whether a worker would find anything: an empty queue makes no call.';
revoke all on function private.has_due_files() from public;

select private.define_worker('process-files-queue', 'public.files_queue', 'files', 'private.has_due_files');

-- Working -------------------------------------------------------------------------------------------------------------

create function public.claim_file_jobs(worker uuid, batch_size integer) returns jsonb
language plpgsql
security definer -- leases rows that nobody may write
set search_path = ''
as $$
begin
    if batch_size is null or batch_size not between 1 and 100 then
        raise exception 'batchSize must be from 1 to 100, not %', batch_size using errcode = 'invalid_parameter_value';
    end if;
    if not private.admit_worker('process-files-queue', worker) then
        return jsonb_build_object('tokens', '[]'::jsonb, 'idle', 'enough_workers');
    end if;
    return jsonb_build_object('tokens', to_jsonb(private.claim(
        'public.files_queue',
        batch_size,
        make_interval(secs => (private.setting('files_lease_seconds') #>> '{}')::integer),
        (private.setting('files_retry_limit') #>> '{}')::integer,
        abandoned => 'Reading it ended %s workers: it takes more time or memory than a function has. Split it, or save it in a simpler form.'
    )), 'idle', null);
end
$$;
comment on function public.claim_file_jobs(uuid, integer) is 'Leases due files to a worker and gives their tokens; it reads them in a transaction of its own, after this one.';
revoke all on function public.claim_file_jobs(uuid, integer) from public, anon, authenticated;
grant execute on function public.claim_file_jobs(uuid, integer) to service_role;

create function public.read_file_jobs(tokens uuid[]) returns jsonb
language sql
stable
security definer -- reads storage past its policies
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'token', q.lease_token,
        'bucketId', q.bucket_id,
        'filePath', q.file_path,
        'isGone', o.file_path is null,
        'objectVersion', o.object_version,
        'fileSize', o.file_size,
        'sizeLimit', (private.setting('files_size_limit') #>> '{}')::bigint,
        'mimeType', o.mime_type,
        'userMetadata', o.user_metadata,
        'progress', case when o.object_version = q.object_version then q.progress end
    ) order by q.visible_at, q.file_path), '[]')
    from public.files_queue as q
    left join private.eligible_objects as o on o.bucket_id = q.bucket_id and o.file_path = q.file_path
    where q.lease_token = any (tokens);
$$;
comment on function public.read_file_jobs(uuid[]) is 'What is to be read for these leases, as it is now.';
revoke all on function public.read_file_jobs(uuid[]) from public, anon, authenticated;
grant execute on function public.read_file_jobs(uuid[]) to service_role;

create function public.save_file_progress(token uuid, object_version text, progress jsonb, parts jsonb) returns boolean
language plpgsql
security definer -- as claim_file_jobs()
set search_path = ''
set lock_timeout = '5s'
as $$
#variable_conflict use_column
declare
    job public.files_queue;
begin
    -- Here a worker may wait for an upload: it holds nothing that anybody waits for.
    select q.* into job from public.files_queue as q where q.lease_token = token for update;
    if not found then
        return false;
    end if;
    if job.revision <> job.leased_revision or job.object_version <> save_file_progress.object_version then
        -- Overwritten meanwhile: it is read anew from its beginning, also where the trigger has not told so.
        if job.revision = job.leased_revision then
            perform private.enqueue_objects(job.bucket_id, array[job.file_path]);
        end if;
        perform private.give_back('public.files_queue', array[token]);
        return false;
    end if;
    delete from private.file_parts as p
    where p.bucket_id = job.bucket_id and p.file_path = job.file_path
        and (job.progress is null or p.object_version <> job.object_version);
    insert into private.file_parts (bucket_id, file_path, object_version, place, page, content)
    select
        job.bucket_id, job.file_path, job.object_version,
        k.place + coalesce((select max(p.place) from private.file_parts as p where p.bucket_id = job.bucket_id and p.file_path = job.file_path), 0),
        (k.part ->> 'page')::integer, k.part ->> 'content'
    from jsonb_array_elements(parts) with ordinality as k (part, place);
    update public.files_queue as q
    set
        progress = save_file_progress.progress,
        -- Whoever gets further has not died of it.
        retry_count = 1,
        visible_at = clock_timestamp() + make_interval(secs => (private.setting('files_lease_seconds') #>> '{}')::integer)
    where q.lease_token = token;
    return true;
end
$$;
comment on function public.save_file_progress(uuid, text, jsonb, jsonb) is
    'Keeps a slice of a file, and the lease for as long again; false where the lease is lost or the file was overwritten.';
revoke all on function public.save_file_progress(uuid, text, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.save_file_progress(uuid, text, jsonb, jsonb) to service_role;

create function private.utf16_length(content text) returns integer
language sql
immutable
set search_path = ''
as $$
    -- As JavaScript counts: a character beyond the first 65,536 is two.
    select 2 * char_length(content) - char_length(regexp_replace(content, '[\U00010000-\U0010FFFF]', '', 'g'));
$$;
comment on function private.utf16_length(text) is 'The length of a text as JavaScript counts it, as do the offsets of chunks.';
revoke all on function private.utf16_length(text) from public;

create function private.write_document(job public.files_queue, result jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    -- What was saved of an earlier version is of no use.
    version_read constant text := result ->> 'objectVersion';
    whole text;
    pages jsonb;
begin
    with parts as (
        select p.place::bigint as place, p.page, p.content
        from private.file_parts as p
        where p.bucket_id = job.bucket_id and p.file_path = job.file_path
            and p.object_version = version_read and job.progress is not null
        union all
        select k.place + 2147483647, (k.part ->> 'page')::integer, k.part ->> 'content'
        from jsonb_array_elements(result -> 'parts') with ordinality as k (part, place)
    ), placed as (
        select p.*, coalesce(sum(private.utf16_length(p.content) + 2) over (order by p.place rows between unbounded preceding and 1 preceding), 0) as start
        from parts as p
        where p.content <> ''
    )
    select
        string_agg(p.content, E'\n\n' order by p.place),
        jsonb_agg(jsonb_build_object('page', p.page, 'start', p.start) order by p.place) filter (where p.page is not null)
    into whole, pages
    from placed as p;

    insert into public.documents as d (
        bucket_id, file_path, title, content, locale, mime_type, client_id, owner_id, metadata
    )
    select
        job.bucket_id, job.file_path, coalesce(result ->> 'title', ''), coalesce(whole, ''), coalesce(result ->> 'locale', 'fr'),
        result ->> 'mimeType', r.client_id, r.owner_id,
        coalesce(result -> 'metadata', '{}') || jsonb_strip_nulls(jsonb_build_object('pages', pages, 'contentTag', job.content_tag))
    from private.readers_of(job.bucket_id, job.file_path) as r
    on conflict (bucket_id, file_path) do update
    set
        title = excluded.title,
        content = excluded.content,
        locale = coalesce(result ->> 'locale', d.locale),
        mime_type = excluded.mime_type,
        client_id = excluded.client_id,
        owner_id = excluded.owner_id,
        -- What somebody else wrote there stays; what an earlier version of the file said of itself does not.
        metadata = (d.metadata - '{file,pages,contentTag,titleFrom}'::text[]) || excluded.metadata;
    delete from private.file_parts as p where p.bucket_id = job.bucket_id and p.file_path = job.file_path;
end
$$;
comment on function private.write_document(public.files_queue, jsonb) is 'Writes the document of a file that has been read.';
revoke all on function private.write_document(public.files_queue, jsonb) from public;

create function private.finish_file(result jsonb) returns text
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_generic_plan' -- as enqueue_objects()
as $$
#variable_conflict use_column
declare
    queue constant regclass := 'public.files_queue'::regclass;
    asked constant uuid := (result ->> 'token')::uuid;
    held uuid[];
    job public.files_queue;
    outcome text;
begin
    held := private.hold(queue, array[asked]);
    if held = '{}' then
        -- Locked just now, by an upload: whoever asks again a moment later finds it free.
        return case when exists (select from public.files_queue as q where q.lease_token = asked) then 'busy' else 'lost_lease' end;
    end if;
    select q.* into job from public.files_queue as q where q.lease_token = asked;
    if not exists (select from private.watched_buckets as w where w.bucket_id = job.bucket_id) then
        -- Nobody watches it any more, and its documents stay.
        delete from public.files_queue as q where q.lease_token = asked;
        return 'completed';
    end if;
    if not exists (select from private.eligible_objects as o where o.bucket_id = job.bucket_id and o.file_path = job.file_path) then
        perform private.remove_files(job.bucket_id, array[job.file_path]);
        return 'completed';
    end if;
    if (result ->> 'isGone')::boolean then
        -- It was, and is there again.
        perform private.give_back(queue, held);
        return 'requeued';
    end if;
    if result ->> 'failure' is not null then
        select f.outcome into outcome
        from private.fail(
            queue, held, array[left(result -> 'failure' ->> 'message', 1000)],
            case when (result -> 'failure' ->> 'permanent')::boolean then 0 else (private.setting('files_retry_limit') #>> '{}')::integer end,
            make_interval(secs => (private.setting('files_retry_seconds') #>> '{}')::integer)
        ) as f;
        return outcome;
    end if;
    -- Of bytes that have been overwritten meanwhile nothing is written: their successor is read at once.
    if job.revision = job.leased_revision and result ->> 'objectVersion' is distinct from job.object_version then
        -- The queue knows another version than was read: the trigger has missed one.
        perform private.enqueue_objects(job.bucket_id, array[job.file_path]);
    elsif job.revision = job.leased_revision then
        perform private.write_document(job, result);
        update public.files_queue as q set progress = null where q.lease_token = asked;
    end if;
    select s.outcome into outcome from private.settle(queue, held) as s;
    return outcome;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end
$$;
revoke all on function private.finish_file(jsonb) from public;

create function public.finish_file_jobs(results jsonb) returns jsonb
language sql
security definer -- writes documents past their policies
set search_path = ''
set lock_timeout = '2s' -- of a document that somebody edits just now
set statement_timeout = '60s' -- a book
as $$
    select coalesce(jsonb_object_agg(r ->> 'token', private.finish_file(r)), '{}') from jsonb_array_elements(results) as r;
$$;
comment on function public.finish_file_jobs(jsonb) is
    'Writes the documents of files that are still leased; gives token: completed, requeued, retry, failed, busy or lost_lease.';
revoke all on function public.finish_file_jobs(jsonb) from public, anon, authenticated;
grant execute on function public.finish_file_jobs(jsonb) to service_role;

create function public.release_file_jobs(tokens uuid[]) returns integer
language sql
security definer -- as finish_file_jobs()
set search_path = ''
as $$
    select private.give_back('public.files_queue', private.hold('public.files_queue', tokens));
$$;
comment on function public.release_file_jobs(uuid[]) is 'Returns leased files unfinished and uncharged, with their progress.';
revoke all on function public.release_file_jobs(uuid[]) from public, anon, authenticated;
grant execute on function public.release_file_jobs(uuid[]) to service_role;

create function public.end_file_worker(worker uuid, goes_on boolean default true) returns bigint
language plpgsql
security definer -- as finish_file_jobs(); calls the next worker
set search_path = ''
as $$
begin
    perform private.dismiss_worker('process-files-queue', worker, goes_on);
    return (
        select count(*)
        from public.files_queue as q
        where q.processed_at is null and q.failed_at is null and q.visible_at <= clock_timestamp()
    );
end
$$;
comment on function public.end_file_worker(uuid, boolean) is 'A worker ends; it wakes the next one if there is work left, and is told how many files are due.';
revoke all on function public.end_file_worker(uuid, boolean) from public, anon, authenticated;
grant execute on function public.end_file_worker(uuid, boolean) to service_role;

-- Waking --------------------------------------------------------------------------------------------------------------

create function private.watch_files() returns void
language plpgsql
set search_path = ''
as $$
declare
    stuck bigint;
    failed bigint;
    missed bigint;
begin
    select
        count(*) filter (where q.failed_at is null and q.visible_at < clock_timestamp() - interval '15 minutes'),
        count(*) filter (where q.failed_at is not null)
    into stuck, failed
    from public.files_queue as q
    where q.processed_at is null;
    select count(*) into missed from private.missed_objects as m where m.seen_at < clock_timestamp() - interval '15 minutes';
    perform private.set_alert(missed > 0, 'files_missed', format(
        '%s objects could not be queued for a quarter of an hour. See problem in private.missed_objects.', missed
    ));
    perform private.set_alert(stuck > 0, 'files_stuck', format(
        '%s files have been due for a quarter of an hour and nobody has read them. See stuck_file_jobs(); run accord doctor.', stuck
    ));
    perform private.set_alert(
        failed >= (private.setting('files_failed_alert_rows') #>> '{}')::integer, 'files_failed',
        format('%s files could not be read. See last_error in files_queue, then run accord retry.', failed)
    );
end
$$;
comment on function private.watch_files() is 'Raises and resolves the alerts about files. Called by the schedule.';
revoke all on function private.watch_files() from public;

create function private.dispatch_files() returns bigint
language plpgsql
set search_path = ''
as $$
begin
    perform private.settle_missed_objects();
    perform private.watch_files();
    return private.wake_workers('process-files-queue');
end
$$;
comment on function private.dispatch_files() is 'Wakes as many workers as there is work for. Scheduled every five minutes.';
revoke all on function private.dispatch_files() from public;

select cron.schedule('accord-files', '*/5 * * * *', 'select private.dispatch_files()');

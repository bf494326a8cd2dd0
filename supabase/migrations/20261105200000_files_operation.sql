-- What people see of files and do about them.
--
--   people   retry, what is stuck, what may be cleaned up, the status
--   health   what must be in place

-- People --------------------------------------------------------------------------------------------------------------

create function public.retry_failed_files(bucket_id text default null) returns bigint
language plpgsql
security definer -- writes the queue; require_admin() keeps everybody else out
set search_path = ''
as $$
declare
    revived bigint;
begin
    perform private.require_admin();
    if bucket_id is not null and not exists (select from private.watched_buckets as w where w.bucket_id = retry_failed_files.bucket_id) then
        raise exception 'Bucket "%" is not watched', bucket_id
            using errcode = 'invalid_parameter_value', hint = 'files_sync_status lists those that are.';
    end if;
    update public.files_queue as q
    set status = 'pending', failed_at = null, retry_count = 0, visible_at = clock_timestamp(), created_at = clock_timestamp()
    where q.failed_at is not null and (retry_failed_files.bucket_id is null or q.bucket_id = retry_failed_files.bucket_id);
    get diagnostics revived = row_count;
    if revived > 0 then
        perform private.wish('process-files-queue');
    end if;
    return revived;
end
$$;
comment on function public.retry_failed_files(text) is 'Gives failed files all their attempts again, and tells how many.';
revoke all on function public.retry_failed_files(text) from public, anon, authenticated;
grant execute on function public.retry_failed_files(text) to authenticated, service_role;

create function public.stuck_file_jobs() returns table (
    bucket_id text, file_path text, status text, problem text, since timestamptz, retry_count integer, last_error text
)
language plpgsql
stable
security definer -- as retry_failed_files()
set search_path = ''
as $$
begin
    perform private.require_admin();
    return query
    select q.bucket_id, q.file_path, q.status,
        case when q.lease_token is not null then 'its worker ended without a word' else 'waits, and nobody takes it' end,
        q.visible_at, q.retry_count, q.last_error
    from public.files_queue as q
    where q.processed_at is null and q.failed_at is null and q.visible_at < clock_timestamp() - interval '15 minutes'
    order by q.visible_at
    limit 1000;
end
$$;
comment on function public.stuck_file_jobs() is 'Files that have been due for a quarter of an hour: three rounds of the schedule have passed them by.';
revoke all on function public.stuck_file_jobs() from public, anon, authenticated;
grant execute on function public.stuck_file_jobs() to authenticated, service_role;

create function public.clean_up_files_queue() returns bigint
language plpgsql
security definer -- as retry_failed_files()
set search_path = ''
as $$
declare
    removed bigint;
begin
    perform private.require_admin();
    -- Parts that no progress refers to; completed rows stay, they are the account of what was read.
    delete from private.file_parts as p
    where exists (
        select from public.files_queue as q
        where q.bucket_id = p.bucket_id and q.file_path = p.file_path and (q.progress is null or q.object_version <> p.object_version)
    );
    get diagnostics removed = row_count;
    return removed;
end
$$;
comment on function public.clean_up_files_queue() is 'Removes slices that have served their time. Scheduled daily.';
revoke all on function public.clean_up_files_queue() from public, anon, authenticated;
grant execute on function public.clean_up_files_queue() to authenticated, service_role;

select cron.schedule('accord-files-cleanup', '37 3 * * *', 'select public.clean_up_files_queue()');

create view public.files_sync_status with (security_invoker = true) as
select
    w.bucket_id,
    w.paths,
    w.types,
    w.readers,
    count(*) filter (where q.status = 'pending') as pending,
    count(*) filter (where q.status = 'processing') as processing,
    count(*) filter (where q.status = 'completed') as completed,
    count(*) filter (where q.status = 'failed') as failed,
    min(q.created_at) filter (where q.status in ('pending', 'processing')) as oldest_pending,
    -- Files a minute, over the last five.
    round(count(*) filter (where q.processed_at > now() - interval '5 minutes') / 5.0, 1) as rate,
    make_interval(
        secs => (
            300.0 * count(*) filter (where q.status in ('pending', 'processing'))
            / nullif(count(*) filter (where q.processed_at > now() - interval '5 minutes'), 0)
        )::double precision
    ) as eta
from private.watched_buckets as w
left join public.files_queue as q on q.bucket_id = w.bucket_id
group by w.bucket_id;
comment on view public.files_sync_status is 'Each watched bucket at a glance: what waits, since when, how fast it goes and how long it will take.';
revoke all on public.files_sync_status from anon, authenticated;
grant select on public.files_sync_status to authenticated, service_role;

-- Health --------------------------------------------------------------------------------------------------------------

create function private.files_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules, triggers and buckets
set search_path = ''
as $$
    select s.* from private.schedule_health('accord-files', 'accord-files-cleanup') as s

    union all

    select
        'trigger on storage.objects',
        t.problem is null,
        coalesce(t.problem, 'enabled'),
        case when t.problem is not null then 'Run: select private.place_files_trigger(); then: accord coherence repair.' end
    from private.trigger_problem() as t (problem)

    union all

    select
        'bucket ' || w.bucket_id,
        b.id is not null and (b.public or w.are_readers_chosen or w.readers <> 'everyone'),
        case
            when b.id is null then 'watched, but there is no such bucket'
            when b.public or w.are_readers_chosen or w.readers <> 'everyone' then format('watched: %s, read by %s', w.paths, w.readers)
            else 'private by now, and its documents are read by everyone'
        end,
        case
            when b.id is null then format('Make it again, or run: select public.unwatch_bucket(%L);', w.bucket_id)
            when not b.public and not w.are_readers_chosen and w.readers = 'everyone'
                then format('Run: select public.watch_bucket(%L, readers => ''owner''); or ''everyone'', if they are meant.', w.bucket_id)
        end
    from private.watched_buckets as w
    left join storage.buckets as b on b.id = w.bucket_id

    union all

    select
        'files queue',
        count(*) filter (where q.failed_at is not null) = 0
            and coalesce(min(q.visible_at) filter (where q.failed_at is null), now()) > now() - interval '15 minutes',
        format('%s failed, %s waiting', count(*) filter (where q.failed_at is not null), count(*) filter (where q.failed_at is null)),
        case
            when count(*) filter (where q.failed_at is not null) > 0 then 'See last_error in files_queue, then run: accord retry.'
            when min(q.visible_at) filter (where q.failed_at is null) < now() - interval '15 minutes'
                then 'Nothing takes what is due. Run: accord process; and see that the schedule ticks.'
        end
    from public.files_queue as q
    where q.processed_at is null;
$$;
revoke all on function private.files_health() from public;

-- What is watched from the start --------------------------------------------------------------------------------------

insert into storage.buckets (id, name, public) values ('documents', 'documents', false) on conflict do nothing;
select public.watch_bucket('documents');

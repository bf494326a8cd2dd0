-- Coherence of buckets: the objects of each watched bucket and the queue.
--
--   orphans    copies whose objects are gone, and those whose objects are there and do not count
--   told       how far a bucket is that is being put right, what keeps it from that, and what a person may do
--   compared   eligible objects and the queue
--
-- A bucket that was filled a moment ago is unknown to the statistics. What joins its paths must not believe them: a
-- nested loop for one row would go through a million of them a million times.

-- Orphans -------------------------------------------------------------------------------------------------------------

-- By themselves only those are removed whose object is gone: one that is there may count again, as does one whose
-- metadata a restore has lost.
create function private.orphans_of(bucket_id text) returns table (file_path text, is_queued boolean, has_object boolean)
language plpgsql
stable
set search_path = ''
set work_mem = '64MB'
set enable_nestloop = 'off'
set jit = 'off' -- which the cost of what is off would call for
as $orphans$
begin
    return query execute format(
        $sql$
        select c.file_path, c.is_queued, exists (
            select from storage.objects as o where o.bucket_id = $1 and o.name = c.file_path%s
        )
        from (
            select q.file_path, true as is_queued
            from public.files_queue as q
            where q.bucket_id = $1
                and not exists (select from private.eligible_objects as e where e.bucket_id = $1 and e.file_path = q.file_path)
            union all
            select d.file_path, false
            from public.documents as d
            -- What somebody wrote by hand has no such tag, and is no copy of a file.
            where d.bucket_id = $1 and d.metadata ->> 'contentTag' is not null
                and not exists (select from public.files_queue as q where q.bucket_id = $1 and q.file_path = d.file_path)
                and not exists (select from private.eligible_objects as e where e.bucket_id = $1 and e.file_path = d.file_path)
        ) as c
        $sql$,
        case when private.storage_keeps_versions() then ' and not o.is_delete_marker and o.archived_at is null' end
    ) using orphans_of.bucket_id;
end
$orphans$;
comment on function private.orphans_of(text) is
    'Queue rows of a bucket without an object that counts, and documents that were made of files and have neither.';
revoke all on function private.orphans_of(text) from public;

-- Told ----------------------------------------------------------------------------------------------------------------

create table private.bucket_syncs (
    bucket_id text primary key references private.watched_buckets on delete cascade,
    -- One after the other: objects that the queue lacks or knows in another version, completed files without their
    -- document, and what has no object any more.
    phase text not null default 'objects' check (phase in ('objects', 'documents', 'orphans')),
    -- The last path that was looked at in this phase.
    reached text not null default '',
    -- What changed more recently is left alone: to the trigger, or until it is old enough to heal.
    age interval not null,
    -- When a person last asked for a batch: then it goes on whatever the verdict is. Null where nobody did.
    asked_at timestamptz,
    -- Missing and stale, of objects and of documents, when it began.
    expected_total bigint not null,
    enqueued bigint not null default 0,
    -- Of another version and the same bytes: nothing is read anew.
    noted bigint not null default 0,
    removed bigint not null default 0,
    -- Orphans that the last batch has left to a person.
    kept bigint not null default 0,
    started_at timestamptz not null default clock_timestamp(),
    -- When a batch was last begun, and why it failed if it did.
    tried_at timestamptz not null default '-infinity',
    last_error text
);
comment on table private.bucket_syncs is 'Buckets that are being put right batch by batch, and how far.';
alter table private.bucket_syncs enable row level security;

create function private.sync_progress(bucket_id text) returns text
language sql
stable
set search_path = ''
as $$
    select format(
        'being put right since %s UTC: %s of %s', to_char(s.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        s.enqueued + s.noted, greatest(s.expected_total, s.enqueued + s.noted)
    )
    from private.bucket_syncs as s
    where s.bucket_id = sync_progress.bucket_id;
$$;
revoke all on function private.sync_progress(text) from public;

create function private.queue_problem(bucket_id text) returns text
language sql
stable
set search_path = ''
as $$
    select nullif(concat_ws(
        ' ',
        'Uploads are not seen, because ' || private.trigger_problem() || '; npm run accord -- doctor names the mend.',
        (
            select format('It cannot be put right, and is tried again and again: %s.', s.last_error)
            from private.bucket_syncs as s
            where s.bucket_id = queue_problem.bucket_id and s.last_error is not null
        )
    ), '');
$$;
revoke all on function private.queue_problem(text) from public;

create function private.sync_command(bucket_id text, is_forced boolean) returns text
language sql
immutable
set search_path = ''
as $$
    select format(
        'npm run accord -- coherence sync %s%s', private.shell_word(bucket_id), case when is_forced then ' --force' else '' end
    );
$$;
revoke all on function private.sync_command(text, boolean) from public;

create function private.excluded_detail(bucket_id text, excluded bigint) returns text
language sql
immutable
set search_path = ''
as $$
    select format(
        '%s whose objects are there and do not count (watch_bucket() says which do); to remove them: %s',
        excluded, private.sync_command(bucket_id, true)
    )
    where excluded > 0;
$$;
revoke all on function private.excluded_detail(text, bigint) from public;

-- Compared ------------------------------------------------------------------------------------------------------------

create function private.moment_before(setting text) returns timestamptz
language sql
stable
set search_path = ''
as $$
    select now() - make_interval(secs => (private.setting(setting) #>> '{}')::double precision);
$$;
comment on function private.moment_before(text) is 'When it was so long ago as a setting says, in seconds.';
revoke all on function private.moment_before(text) from public;

create view private.dated_objects with (security_invoker = true) as
select
    e.*,
    -- A clock that was wrong keeps nothing in flight.
    case
        when greatest(e.created_at, e.updated_at) < now() + interval '5 minutes' then greatest(e.created_at, e.updated_at)
        else '-infinity'
    end as changed_at
from private.eligible_objects as e;
comment on view private.dated_objects is 'The objects that count, and when they changed; what nobody knows, or lies ahead, was long ago.';

create function private.compare_queue(bucket_id text) returns setof private.coherence_pair
language plpgsql
stable
security definer -- reads storage past its policies
set search_path = ''
set work_mem = '96MB' -- a million paths are hashed in memory
set parallel_tuple_cost = 0
set plan_cache_mode = 'force_custom_plan' -- one that was made while the queue was empty takes hours when it is not
as $$
declare
    in_flight_since constant timestamptz := private.moment_before('coherence_grace_seconds');
    overdue_since constant timestamptz := private.moment_before('coherence_heal_after_seconds');
    c record;
    orphans bigint := 0::bigint;
begin
    select
        count(o.file_path) as source_count,
        count(q.file_path) as copy_count,
        count(*) filter (where q.file_path is null and o.changed_at <= in_flight_since) as missing,
        count(*) filter (where q.version <> o.version and o.changed_at <= in_flight_since) as stale,
        count(*) filter (where o.file_path is null) as unmatched,
        count(*) filter (where q.version is distinct from o.version and o.changed_at > in_flight_since) as in_flight,
        count(*) filter (
            where q.version is distinct from o.version and o.changed_at <= least(in_flight_since, overdue_since)
        ) as overdue
    into c
    from (
        -- Versions are compared by their hashes, which take a third of the room.
        select e.file_path, hashtextextended(e.object_version, 0) as version, e.changed_at
        from private.dated_objects as e
        where e.bucket_id = compare_queue.bucket_id
    ) as o
    full join (
        select f.file_path, hashtextextended(f.object_version, 0) as version
        from public.files_queue as f
        where f.bucket_id = compare_queue.bucket_id
    ) as q on q.file_path = o.file_path;
    if c.unmatched > 0 then
        orphans := (select count(*) from private.orphans_of(compare_queue.bucket_id) as o where o.is_queued and not o.has_object);
    end if;
    return query
    select
        'queue of bucket ' || compare_queue.bucket_id,
        c.source_count::bigint, c.copy_count::bigint, c.missing::bigint, c.stale::bigint, orphans,
        c.in_flight::bigint, c.overdue::bigint, 0::bigint,
        nullif(concat_ws(
            '; ',
            private.sync_progress(compare_queue.bucket_id),
            (
                select format('%s that the trigger could not record and the schedule sees to', count(*))
                from private.missed_objects as m
                where m.bucket_id = compare_queue.bucket_id
                having count(*) > 0
            ),
            private.excluded_detail(compare_queue.bucket_id, c.unmatched - orphans)
        ), ''),
        private.queue_problem(compare_queue.bucket_id),
        format('private.begin_sync(%L, $1)', compare_queue.bucket_id),
        private.sync_command(compare_queue.bucket_id, private.breaks_copy(c.source_count, c.copy_count, orphans));
end
$$;
comment on function private.compare_queue(text) is 'The eligible objects of a bucket and their rows in the queue, in one full join.';
revoke all on function private.compare_queue(text) from public;

-- Coherence of buckets: storage, queue and documents of each watched bucket.
--
--   compared   eligible objects and the queue, the queue's completed files and their documents
--   syncs      a bucket put right batch by batch, by keyset: nothing is looked at twice, and each batch commits by itself
--   schedule   a batch every minute, where a bucket is being put right

select private.define_setting(
    'coherence_batch', '50000', 'Objects of a bucket that are queued at a time where it is put right.', minimum => 1, maximum => 1000000
);

-- Compared ------------------------------------------------------------------------------------------------------------

create table private.bucket_syncs (
    bucket_id text primary key references private.watched_buckets on delete cascade,
    -- One after the other: objects that the queue lacks or knows in another version, completed files without their
    -- document, and what has no object any more.
    phase text not null default 'objects' check (phase in ('objects', 'documents', 'orphans')),
    -- The last path that was looked at in this phase.
    reached text not null default '',
    -- What changed more recently is left alone: to the trigger, or until it is old enough to heal.
    age interval not null,
    -- A person asked for it: it goes on whatever the verdict is.
    is_by_hand boolean not null default false,
    -- Whether that person overruled the breaker.
    is_forced boolean not null default false,
    missing_at_start bigint not null,
    enqueued bigint not null default 0,
    removed bigint not null default 0,
    -- Orphans that the breaker keeps.
    kept bigint not null default 0,
    started_at timestamptz not null default clock_timestamp()
);
comment on table private.bucket_syncs is 'Buckets that are being put right batch by batch, and how far.';
alter table private.bucket_syncs enable row level security;

create function private.sync_progress(bucket_id text) returns text
language sql
stable
set search_path = ''
as $$
    select format('being put right since %s UTC: %s queued', to_char(s.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), s.enqueued)
        || case when s.missing_at_start > 0 then format(' of %s', greatest(s.missing_at_start, s.enqueued)) else '' end
    from private.bucket_syncs as s
    where s.bucket_id = sync_progress.bucket_id;
$$;
revoke all on function private.sync_progress(text) from public;

create function private.sync_command(bucket_id text, is_broken boolean) returns text
language sql
immutable
set search_path = ''
as $$
    select format('npm run accord -- coherence sync %s%s', private.shell_word(bucket_id), case when is_broken then ' --force' else '' end);
$$;
revoke all on function private.sync_command(text, boolean) from public;

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
    in_flight_since constant timestamptz := now() - make_interval(secs => (private.setting('coherence_grace_seconds') #>> '{}')::double precision);
    overdue_since constant timestamptz := now() - make_interval(secs => (private.setting('coherence_heal_after_seconds') #>> '{}')::double precision);
begin
    return query
    select
        'queue of bucket ' || compare_queue.bucket_id,
        c.source_count, c.copy_count, c.missing, c.stale, c.orphan, c.in_flight, c.overdue,
        nullif(concat_ws(
            '; ',
            private.sync_progress(compare_queue.bucket_id),
            (
                select format('%s that the trigger could not record and the schedule sees to', count(*))
                from private.missed_objects as m
                where m.bucket_id = compare_queue.bucket_id
                having count(*) > 0
            )
        ), ''),
        'Uploads are not seen, because ' || private.trigger_problem() || '; npm run accord -- doctor names the mend.',
        format('private.begin_sync(%L, $1)', compare_queue.bucket_id),
        private.sync_command(compare_queue.bucket_id, private.breaks_copy(c.copy_count, c.orphan))
    from (
        select
            count(o.file_path) as source_count,
            count(q.file_path) as copy_count,
            count(*) filter (where q.file_path is null and o.changed_at <= in_flight_since) as missing,
            count(*) filter (where q.version <> o.version and o.changed_at <= in_flight_since) as stale,
            count(*) filter (where o.file_path is null) as orphan,
            count(*) filter (where q.version is distinct from o.version and o.changed_at > in_flight_since) as in_flight,
            count(*) filter (where q.version is distinct from o.version and o.changed_at <= least(in_flight_since, overdue_since)) as overdue
        from (
            -- Versions are compared by their hashes, which take a third of the room.
            select
                e.file_path, hashtextextended(e.object_version, 0) as version,
                coalesce(greatest(e.created_at, e.updated_at), '-infinity') as changed_at
            from private.eligible_objects as e
            where e.bucket_id = compare_queue.bucket_id
        ) as o
        full join (
            select f.file_path, hashtextextended(f.object_version, 0) as version
            from public.files_queue as f
            where f.bucket_id = compare_queue.bucket_id
        ) as q on q.file_path = o.file_path
    ) as c;
end
$$;
comment on function private.compare_queue(text) is 'The eligible objects of a bucket and their rows in the queue, in one full join.';
revoke all on function private.compare_queue(text) from public;

create function private.count_orphan_documents(bucket_id text) returns bigint
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
begin
    return (
        select count(*)
        from public.documents as d
        where d.bucket_id = count_orphan_documents.bucket_id and d.metadata ->> 'contentTag' is not null
            and not exists (
                select from public.files_queue as q
                where q.bucket_id = count_orphan_documents.bucket_id and q.file_path = d.file_path
            )
            and not exists (
                select from private.eligible_objects as e
                where e.bucket_id = count_orphan_documents.bucket_id and e.file_path = d.file_path
            )
    );
end
$$;
comment on function private.count_orphan_documents(text) is 'How many documents were made of files that neither the queue knows nor storage has.';
revoke all on function private.count_orphan_documents(text) from public;

create function private.compare_documents(bucket_id text) returns setof private.coherence_pair
language plpgsql
stable
security definer -- reads documents past their policies
set search_path = ''
set work_mem = '64MB'
set parallel_tuple_cost = 0
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    in_flight_since constant timestamptz := now() - make_interval(secs => (private.setting('coherence_grace_seconds') #>> '{}')::double precision);
    overdue_since constant timestamptz := now() - make_interval(secs => (private.setting('coherence_heal_after_seconds') #>> '{}')::double precision);
begin
    return query
    with counted as materialized (
        select
            count(*) filter (where q.status = 'completed') as source_count,
            count(d.file_path) as copy_count,
            count(*) filter (where q.status = 'completed' and d.file_path is null and q.processed_at <= in_flight_since) as missing,
            count(*) filter (where q.status = 'completed' and d.file_path is not null and (d.content_tag is distinct from q.content_tag) and q.processed_at <= in_flight_since) as stale,
            -- What somebody wrote by hand has no such tag, and is no copy of a file.
            count(*) filter (where q.file_path is null and d.content_tag is not null) as unqueued,
            count(*) filter (where q.status in ('pending', 'processing') or (q.status = 'completed' and (d.content_tag is distinct from q.content_tag) and q.processed_at > in_flight_since)) as in_flight,
            count(*) filter (where q.status = 'completed' and (d.content_tag is distinct from q.content_tag) and q.processed_at <= least(in_flight_since, overdue_since)) as overdue,
            count(*) filter (where q.status = 'failed') as failed
        from (
            select f.file_path, f.content_tag, f.status, f.processed_at
            from public.files_queue as f
            where f.bucket_id = compare_documents.bucket_id
        ) as q
        full join (
            select t.file_path, t.metadata ->> 'contentTag' as content_tag
            from public.documents as t
            where t.bucket_id = compare_documents.bucket_id
        ) as d on d.file_path = q.file_path
    ), orphans as materialized (
        -- Of those that the queue does not know, some have their object: what the queue lacks is told of the queue. Asked
        -- only where there are any.
        select case when c.unqueued = 0 then 0 else private.count_orphan_documents(compare_documents.bucket_id) end as n
        from counted as c
    )
    select
        'documents of bucket ' || compare_documents.bucket_id,
        c.source_count, c.copy_count, c.missing, c.stale, o.n, c.in_flight, c.overdue,
        nullif(concat_ws(
            '; ',
            case when c.failed > 0 then format('%s failed and wait for a person', c.failed) end,
            case when c.unqueued > o.n then format('%s whose objects are not in the queue', c.unqueued - o.n) end
        ), ''),
        null::text,
        format('private.begin_sync(%L, $1)', compare_documents.bucket_id),
        private.sync_command(compare_documents.bucket_id, private.breaks_copy(c.copy_count, o.n))
    from counted as c
    cross join orphans as o;
end
$$;
comment on function private.compare_documents(text) is 'The completed files of a bucket and their documents.';
revoke all on function private.compare_documents(text) from public;

create function private.bucket_coherence() returns setof private.coherence_pair
language plpgsql
stable
set search_path = ''
as $$
declare
    watched text;
begin
    for watched in select w.bucket_id from private.watched_buckets as w order by w.bucket_id loop
        return query select p.* from private.compare_queue(watched) as p;
        return query select p.* from private.compare_documents(watched) as p;
    end loop;
end
$$;
comment on function private.bucket_coherence() is 'Each watched bucket: storage and queue, queue and documents.';
revoke all on function private.bucket_coherence() from public;

-- Syncs ---------------------------------------------------------------------------------------------------------------

create function private.begin_sync(
    bucket_id text, age interval, is_by_hand boolean default false, is_forced boolean default false
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    known private.bucket_syncs;
begin
    select s.* into known from private.bucket_syncs as s where s.bucket_id = begin_sync.bucket_id;
    -- One that is under way goes on, unless more is asked for than it does.
    if known.age <= begin_sync.age and known.is_by_hand >= begin_sync.is_by_hand and known.is_forced >= begin_sync.is_forced then
        return known.missing_at_start;
    end if;
    insert into private.bucket_syncs as s (bucket_id, age, is_by_hand, is_forced, missing_at_start)
    select begin_sync.bucket_id, begin_sync.age, begin_sync.is_by_hand, begin_sync.is_forced, sum(p.missing + p.stale)::bigint
    from (
        select q.missing, q.stale from private.compare_queue(begin_sync.bucket_id) as q
        union all
        select d.missing, d.stale from private.compare_documents(begin_sync.bucket_id) as d
    ) as p
    on conflict on constraint bucket_syncs_pkey do update
    set
        phase = 'objects',
        reached = '',
        age = least(s.age, excluded.age),
        is_by_hand = s.is_by_hand or excluded.is_by_hand,
        is_forced = s.is_forced or excluded.is_forced,
        missing_at_start = s.enqueued + excluded.missing_at_start
    returning s.* into known;
    return known.missing_at_start;
end
$$;
comment on function private.begin_sync(text, interval, boolean, boolean) is
    'Has a bucket put right in the background, as far as it differs for so long, and tells by how many rows it differs.';
revoke all on function private.begin_sync(text, interval, boolean, boolean) from public;

create function private.remove_orphans(bucket_id text, batch bigint) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    names text[];
    removed bigint;
    unknown bigint;
begin
    -- Whoever uploads one of these anew waits for its queue row, or holds it: then it is left out here.
    names := array(
        select q.file_path
        from public.files_queue as q
        where q.bucket_id = remove_orphans.bucket_id
            and not exists (
                select from private.eligible_objects as e where e.bucket_id = remove_orphans.bucket_id and e.file_path = q.file_path
            )
        order by q.file_path
        limit batch
        for update of q skip locked
    );
    -- It asks again, and sees what was committed before the rows were held.
    removed := private.remove_files(remove_orphans.bucket_id, names);
    -- Then the documents that not even the queue knows.
    delete from public.documents as d
    where d.id in (
        select t.id
        from public.documents as t
        where t.bucket_id = remove_orphans.bucket_id and t.metadata ->> 'contentTag' is not null
            and not exists (
                select from public.files_queue as q
                where q.bucket_id = remove_orphans.bucket_id and q.file_path = t.file_path
            )
            and not exists (
                select from private.eligible_objects as e
                where e.bucket_id = remove_orphans.bucket_id and e.file_path = t.file_path
            )
        order by t.file_path
        limit batch - cardinality(names)
        for update of t skip locked
    );
    get diagnostics unknown = row_count;
    return removed + unknown;
end
$$;
comment on function private.remove_orphans(text, bigint) is
    'Removes up to so many queue rows and documents of a bucket whose objects are gone. Whoever calls it has asked the breaker.';
revoke all on function private.remove_orphans(text, bigint) from public;

create function private.queue_missing(
    bucket_id text, after_path text, up_to text, changed_before timestamptz
) returns table (enqueued bigint, changed text[])
language plpgsql
set search_path = ''
-- Along both indexes: how many rows lie between two paths is guessed wrongly, and a table sorted for each batch.
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
as $$
begin
    return query
    with differing as materialized (
        select e.file_path, e.object_version, e.content_tag, e.file_size, e.mime_type, q.file_path is null as is_missing
        from private.eligible_objects as e
        left join public.files_queue as q
            on q.bucket_id = queue_missing.bucket_id and q.file_path = e.file_path
            and q.file_path > after_path and q.file_path <= up_to
        where e.bucket_id = queue_missing.bucket_id and e.file_path > after_path and e.file_path <= up_to
            and coalesce(greatest(e.created_at, e.updated_at), '-infinity') <= changed_before
            and (q.file_path is null or q.object_version <> e.object_version)
        order by e.file_path
    ), inserted as (
        insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
        select queue_missing.bucket_id, d.file_path, d.object_version, d.content_tag, d.file_size, d.mime_type, 1
        from differing as d
        where d.is_missing
        -- Whoever uploads it just now queues it.
        on conflict do nothing
        returning 1
    )
    select (select count(*) from inserted), coalesce(array_agg(d.file_path), '{}')
    from differing as d
    where not d.is_missing;
end
$$;
comment on function private.queue_missing(text, text, text, timestamptz) is
    'Queues the objects from one path to another that the queue lacks, and tells those that it knows in another version.';
revoke all on function private.queue_missing(text, text, text, timestamptz) from public;

create function private.sync_objects(bucket_id text, after_path text, up_to text, age interval) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    enqueued bigint;
    changed text[];
begin
    select m.enqueued, m.changed into enqueued, changed
    from private.queue_missing(sync_objects.bucket_id, after_path, up_to, clock_timestamp() - age) as m;
    return enqueued + private.enqueue_objects(
        sync_objects.bucket_id, array(select c from unnest(changed) as c where not private.keep_if_same(sync_objects.bucket_id, c)), 1
    );
end
$$;
comment on function private.sync_objects(text, text, text, interval) is
    'Queues the objects of a bucket, from one path to another, that the queue lacks or knows in another version.';
revoke all on function private.sync_objects(text, text, text, interval) from public;

create function private.sync_sparse(bucket_id text, after_path text, age interval, most integer) returns table (
    enqueued bigint, reached text
)
language plpgsql
set search_path = ''
set work_mem = '96MB'
as $$
declare
    changed_before constant timestamptz := clock_timestamp() - age;
    missing text[];
    changed text[];
    added bigint;
begin
    select
        coalesce(array_agg(d.file_path) filter (where d.is_missing), '{}'),
        coalesce(array_agg(d.file_path) filter (where not d.is_missing), '{}'),
        case when count(*) = most then max(d.file_path) end
    into missing, changed, reached
    from (
        select o.file_path, q.file_path is null as is_missing
        from (
            select
                e.file_path, hashtextextended(e.object_version, 0) as version,
                coalesce(greatest(e.created_at, e.updated_at), '-infinity') as changed_at
            from private.eligible_objects as e
            where e.bucket_id = sync_sparse.bucket_id and e.file_path > after_path
        ) as o
        full join (
            select f.file_path, hashtextextended(f.object_version, 0) as version
            from public.files_queue as f
            where f.bucket_id = sync_sparse.bucket_id and f.file_path > after_path
        ) as q on q.file_path = o.file_path
        -- So that it stays a full join: of a left one rows are guessed to be so few that each is looked up by itself.
        where q.version is distinct from o.version and coalesce(o.changed_at <= changed_before, false)
        order by o.file_path
        limit most
    ) as d;
    insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
    select e.bucket_id, e.file_path, e.object_version, e.content_tag, e.file_size, e.mime_type, 1
    from private.eligible_objects as e
    where e.bucket_id = sync_sparse.bucket_id and e.file_path = any (missing)
    order by e.file_path
    on conflict do nothing;
    get diagnostics added = row_count;
    enqueued := added + private.enqueue_objects(
        sync_sparse.bucket_id, array(select c from unnest(changed) as c where not private.keep_if_same(sync_sparse.bucket_id, c)), 1
    );
    return next;
end
$$;
comment on function private.sync_sparse(text, text, interval, integer) is
    'Queues the next objects after a path that the queue lacks or knows in another version, found in one join of all; how far that is, null to the end.';
revoke all on function private.sync_sparse(text, text, interval, integer) from public;

create function private.sync_documents(bucket_id text, after_path text, up_to text, age interval) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    completed_before constant timestamptz := clock_timestamp() - age;
begin
    return private.enqueue_objects(sync_documents.bucket_id, array(
        select q.file_path
        from public.files_queue as q
        left join public.documents as d on d.bucket_id = sync_documents.bucket_id and d.file_path = q.file_path
        where q.bucket_id = sync_documents.bucket_id and q.file_path > after_path and q.file_path <= up_to
            and q.status = 'completed' and q.processed_at <= completed_before
            and (d.id is null or d.metadata ->> 'contentTag' is distinct from q.content_tag)
    ), 1);
end
$$;
comment on function private.sync_documents(text, text, text, interval) is
    'Queues the completed files of a bucket, from one path to another, whose documents are missing or of other bytes.';
revoke all on function private.sync_documents(text, text, text, interval) from public;

create function private.path_after(bucket_id text, phase text, reached text, paths integer) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
    -- Through the index alone, and never from the beginning again.
    if phase = 'objects' then
        return (
            select max(o.name)
            from (
                select i.name from storage.objects as i
                where i.bucket_id = path_after.bucket_id and i.name > reached
                order by i.name
                limit paths
            ) as o
        );
    end if;
    return (
        select max(q.file_path)
        from (
            select i.file_path from public.files_queue as i
            where i.bucket_id = path_after.bucket_id and i.file_path > reached and i.status = 'completed'
            order by i.file_path
            limit paths
        ) as q
    );
end
$$;
comment on function private.path_after(text, text, text, integer) is
    'The path that lies so many objects, or so many completed files, further on; null where there are no more.';
revoke all on function private.path_after(text, text, text, integer) from public;

create function private.may_sync(bucket_id text, phase text) returns boolean
language sql
stable
set search_path = ''
as $$
    select bool_and(private.coherence_verdict(p.source_count, p.copy_count, p.missing, p.stale, p.orphan) <> 'alert')
    from (
        select q.* from private.compare_queue(bucket_id) as q where phase = 'objects'
        union all
        select d.* from private.compare_documents(bucket_id) as d where phase = 'documents'
    ) as p;
$$;
comment on function private.may_sync(text, text) is
    'Whether a phase may go on by itself: what was little when it began may have become too much.';
revoke all on function private.may_sync(text, text) from public;

create function private.judge_orphans(bucket_id text) returns table (orphans bigint, kept bigint)
language plpgsql
stable
set search_path = ''
set work_mem = '96MB'
set plan_cache_mode = 'force_custom_plan'
as $$
begin
    return query
    select sum(o.orphan)::bigint, coalesce(sum(o.orphan) filter (where private.breaks_copy(o.copy_count, o.orphan)), 0)::bigint
    from (
        select
            (select count(*) from public.files_queue as q where q.bucket_id = judge_orphans.bucket_id) as copy_count,
            (
                select count(*)
                from public.files_queue as q
                where q.bucket_id = judge_orphans.bucket_id
                    and not exists (
                        select from private.eligible_objects as e
                        where e.bucket_id = judge_orphans.bucket_id and e.file_path = q.file_path
                    )
            ) as orphan
        union all
        select
            (select count(*) from public.documents as d where d.bucket_id = judge_orphans.bucket_id),
            private.count_orphan_documents(judge_orphans.bucket_id)
    ) as o;
end
$$;
comment on function private.judge_orphans(text) is 'How many orphans a bucket has, and how many of them the breaker keeps from being removed.';
revoke all on function private.judge_orphans(text) from public;

create function private.advance_sync(bucket_id text, batch integer) returns private.bucket_syncs
language plpgsql
security definer -- reads storage and documents past their policies
set search_path = ''
set lock_timeout = '100ms'
set plan_cache_mode = 'force_custom_plan' -- as compare_queue()
as $$
declare
    sync private.bucket_syncs;
    judged_phase text;
    may_go_on boolean;
    is_sparse boolean;
    most integer;
    up_to text;
    orphans bigint;
    done bigint := 0::bigint;
    added bigint;
begin
    select s.* into sync from private.bucket_syncs as s where s.bucket_id = advance_sync.bucket_id for update skip locked;
    if not found then
        return null;
    end if;
    -- A batch goes on until it is nearly full, and is never more than full. It begins along the indexes; where little is
    -- missing along them, one join of all that is left finds it sooner.
    while sync.phase in ('objects', 'documents') and done < batch * 0.9 loop
        if judged_phase is distinct from sync.phase then
            judged_phase := sync.phase;
            may_go_on := sync.is_by_hand or private.may_sync(sync.bucket_id, sync.phase);
            is_sparse := false;
        end if;
        up_to := null;
        added := 0::bigint;
        most := batch - done::integer;
        if may_go_on and is_sparse and sync.phase = 'objects' then
            select s.enqueued, s.reached into added, up_to
            from private.sync_sparse(sync.bucket_id, sync.reached, sync.age, most) as s;
        elsif may_go_on then
            up_to := private.path_after(sync.bucket_id, sync.phase, sync.reached, most);
            if up_to is not null then
                added := case sync.phase
                    when 'objects' then private.sync_objects(sync.bucket_id, sync.reached, up_to, sync.age)
                    else private.sync_documents(sync.bucket_id, sync.reached, up_to, sync.age)
                end;
            end if;
            is_sparse := added * 5 < most;
        end if;
        done := done + added;
        sync.enqueued := sync.enqueued + added;
        sync.reached := coalesce(up_to, '');
        if up_to is null then
            sync.phase := case sync.phase when 'objects' then 'documents' else 'orphans' end;
        end if;
    end loop;
    if sync.phase = 'orphans' and done < batch * 0.9 then
        select j.orphans, j.kept into orphans, sync.kept from private.judge_orphans(sync.bucket_id) as j;
        if sync.is_forced then
            sync.kept := 0::bigint;
        elsif sync.kept > 0 then
            orphans := 0::bigint;
        end if;
        -- Never more than was judged a moment ago.
        added := private.remove_orphans(sync.bucket_id, least(orphans, batch - done));
        sync.removed := sync.removed + added;
        if added = orphans or added < batch - done then
            sync.phase := 'done';
        end if;
    end if;
    if sync.phase = 'done' then
        delete from private.bucket_syncs as s where s.bucket_id = sync.bucket_id;
    else
        update private.bucket_syncs as s
        set phase = sync.phase, reached = sync.reached, enqueued = sync.enqueued, removed = sync.removed
        where s.bucket_id = sync.bucket_id;
    end if;
    return sync;
exception when lock_not_available or deadlock_detected then
    -- An upload holds what is to be queued, or what is to be removed. It goes first.
    return null;
end
$$;
comment on function private.advance_sync(text, integer) is
    'Puts the next batch of a bucket right and tells how far it is, done at last; null where there is nothing to do, or somebody else does it.';
revoke all on function private.advance_sync(text, integer) from public;

create function public.sync_bucket(bucket_id text, batch integer default null, force boolean default false) returns jsonb
language plpgsql
security definer -- writes the queue; require_admin() keeps everybody else out
set search_path = ''
set statement_timeout = '5min'
as $$
declare
    limit_of_batch constant integer := coalesce(batch, (private.setting('coherence_batch') #>> '{}')::integer);
    known private.bucket_syncs;
    state private.bucket_syncs;
begin
    perform private.require_admin();
    if not exists (select from private.watched_buckets as w where w.bucket_id = sync_bucket.bucket_id) then
        raise exception 'Bucket "%" is not watched', bucket_id
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'Watched are: ' || (select string_agg(w.bucket_id, ', ' order by w.bucket_id) from private.watched_buckets as w)
                    || '; others join by watch_bucket().',
                'None is watched; buckets join by watch_bucket().'
            );
    end if;
    if limit_of_batch not between 1 and 1000000 then
        raise exception 'batch must be from 1 to 1000000, not %', limit_of_batch using errcode = 'invalid_parameter_value';
    end if;
    perform private.begin_sync(bucket_id, interval '0', true, force);
    select s.* into known from private.bucket_syncs as s where s.bucket_id = sync_bucket.bucket_id;
    state := private.advance_sync(bucket_id, limit_of_batch);
    return jsonb_build_object(
        'bucketId', bucket_id,
        -- Neither known: somebody else has just done the last of it.
        'phase', coalesce(state.phase, known.phase, 'done'),
        'enqueued', coalesce(state.enqueued, known.enqueued, 0),
        'missingAtStart', coalesce(known.missing_at_start, 0),
        'removed', coalesce(state.removed, known.removed, 0),
        'kept', coalesce(state.kept, 0),
        'isDone', coalesce(state.phase = 'done', false),
        -- Somebody else has it in hand, or holds rows of it: ask again.
        'isBusy', state.bucket_id is null
    );
end
$$;
comment on function public.sync_bucket(text, integer, boolean) is
    'Puts a bucket right by hand, one batch at each call, whatever the verdict; with force also removes what has no object, though the breaker forbids it.';
revoke all on function public.sync_bucket(text, integer, boolean) from public, anon, authenticated;
grant execute on function public.sync_bucket(text, integer, boolean) to authenticated, service_role;

-- Schedule ------------------------------------------------------------------------------------------------------------

create function private.advance_syncs() returns void
language sql
set search_path = ''
as $$
    -- One batch, so that each is a transaction of its own: an upload may wait for the rows that it holds.
    select private.advance_sync(s.bucket_id, (private.setting('coherence_batch') #>> '{}')::integer)
    from (select b.bucket_id from private.bucket_syncs as b order by b.started_at limit 1) as s;
$$;
comment on function private.advance_syncs() is 'Puts the next batch right where a bucket is being put right. Scheduled every minute.';
revoke all on function private.advance_syncs() from public;

select cron.schedule('accord-buckets', '* * * * *', 'select private.advance_syncs()');

create function private.bucket_coherence_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules
set search_path = ''
as $$
    select s.* from private.schedule_health('accord-buckets') as s;
$$;
revoke all on function private.bucket_coherence_health() from public;

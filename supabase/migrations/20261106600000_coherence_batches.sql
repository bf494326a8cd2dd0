-- Coherence of buckets, restored: the next batch.
--
--   orphans   what has no object any more is removed, after the breaker was asked
--   batch     the next one of a bucket, of any phase

-- Orphans -------------------------------------------------------------------------------------------------------------

create table private.seen_orphans (
    bucket_id text not null references private.watched_buckets on delete cascade,
    file_path text not null,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (bucket_id, file_path)
);
comment on table private.seen_orphans is
    'Copies without their objects that the schedule has seen, and removes if it finds them so again at a later check.';
alter table private.seen_orphans enable row level security;

create function private.remove_orphans(bucket_id text, names text[]) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    queued constant text[] := array(
        select q.file_path from public.files_queue as q
        where q.bucket_id = remove_orphans.bucket_id and q.file_path = any (names)
        order by q.file_path
        for update skip locked
    );
    documented constant text[] := array(
        select d.file_path from public.documents as d
        where d.bucket_id = remove_orphans.bucket_id and d.file_path = any (names)
        order by d.file_path
        for update skip locked
    );
    -- Whoever uploads one of these anew holds its queue row, or waits for it; whoever edits a document holds that.
    held_by_others constant text[] := array(
        (
            select q.file_path from public.files_queue as q
            where q.bucket_id = remove_orphans.bucket_id and q.file_path = any (names)
            except
            select unnest(queued)
        )
        union
        (
            select d.file_path from public.documents as d
            where d.bucket_id = remove_orphans.bucket_id and d.file_path = any (names)
            except
            select unnest(documented)
        )
    );
begin
    -- It asks again whether they are orphans, and sees what was committed before the rows were held.
    return private.remove_files(
        remove_orphans.bucket_id, array(select unnest(names) as n except select unnest(held_by_others) order by n)
    );
end
$$;
comment on function private.remove_orphans(text, text[]) is
    'Removes these queue rows and documents where they are orphans still and nobody holds them. Who calls it has asked the breaker.';
revoke all on function private.remove_orphans(text, text[]) from public;

-- Forced it removes what the breaker forbids, and copies whose objects are there and do not count.
create function private.sync_orphans(
    sync private.bucket_syncs, most integer, is_asked boolean, is_forced boolean
) returns table (removed bigint, kept bigint)
language plpgsql
set search_path = ''
as $$
declare
    judged record;
    names text[];
begin
    removed := 0::bigint;
    kept := 0::bigint;
    select
        sum(p.orphan)::bigint as orphans,
        bool_or(private.breaks_copy(p.source_count, p.copy_count, p.orphan)) as breaks_copy,
        bool_or(private.coherence_verdict(p.source_count, p.copy_count, p.missing, p.stale, p.orphan) = 'alert') as is_alert
    into judged
    from (
        select q.* from private.compare_queue(sync.bucket_id) as q
        union all
        select d.* from private.compare_documents(sync.bucket_id) as d
    ) as p;
    if not is_forced and (judged.breaks_copy or (judged.is_alert and not is_asked)) then
        kept := judged.orphans;
        return next;
        return;
    end if;
    if judged.orphans = 0 and not is_forced then
        return next;
        return;
    end if;
    names := array(
        select o.file_path
        from private.orphans_of(sync.bucket_id) as o
        where is_forced or not o.has_object
        order by o.file_path
        -- Never more than was judged a moment ago.
        limit case when not is_forced then judged.orphans end
    );
    if not is_asked then
        -- By itself nothing goes that was not seen before this was begun: what is uploaded anew has no object for a moment.
        delete from private.seen_orphans as s
        where s.bucket_id = sync.bucket_id and (s.file_path <> all (names) or s.seen_at < clock_timestamp() - interval '1 day');
        insert into private.seen_orphans (bucket_id, file_path)
        select sync.bucket_id, n from unnest(names) as n
        on conflict do nothing;
        names := array(
            select s.file_path from private.seen_orphans as s
            where s.bucket_id = sync.bucket_id and s.seen_at < sync.started_at
            order by s.file_path
        );
    end if;
    removed := private.remove_orphans(sync.bucket_id, names[:most]);
    delete from private.seen_orphans as s where s.bucket_id = sync.bucket_id and s.file_path = any (names[:most]);
    return next;
end
$$;
comment on function private.sync_orphans(private.bucket_syncs, integer, boolean, boolean) is
    'Removes orphans of a bucket where the breaker lets it: asked for, at once; else at a second sight, and not at alert.';
revoke all on function private.sync_orphans(private.bucket_syncs, integer, boolean, boolean) from public;

-- Batch ---------------------------------------------------------------------------------------------------------------

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

create function private.advance_phase(sync private.bucket_syncs, most integer, is_sparse boolean) returns private.sync_step
language plpgsql
set search_path = ''
as $$
declare
    up_to text;
begin
    -- Along the indexes; where little differs along them, one join of all that is left finds it sooner.
    if sync.phase = 'objects' and is_sparse then
        return private.sync_next_objects(sync.bucket_id, sync.reached, most, sync.age);
    end if;
    up_to := private.path_after(sync.bucket_id, sync.phase, sync.reached, most);
    if up_to is null then
        return null;
    end if;
    if sync.phase = 'objects' then
        return private.sync_objects_between(sync.bucket_id, sync.reached, up_to, sync.age);
    end if;
    return private.sync_documents_between(sync.bucket_id, sync.reached, up_to, sync.age);
end
$$;
comment on function private.advance_phase(private.bucket_syncs, integer, boolean) is
    'Looks further on in the phase of a sync, and puts right so many at most.';
revoke all on function private.advance_phase(private.bucket_syncs, integer, boolean) from public;

create function private.advance_sync(
    bucket_id text, batch integer, is_asked boolean default false, is_forced boolean default false
) returns private.bucket_syncs
language plpgsql
security definer -- reads storage and documents past their policies
set search_path = ''
set lock_timeout = '100ms'
set plan_cache_mode = 'force_custom_plan' -- as compare_queue(); that the statistics may be wrong is each step's own concern
as $$
declare
    sync private.bucket_syncs;
    step private.sync_step;
    judged_phase text;
    may_go_on boolean;
    is_sparse boolean;
    most integer := batch;
    removal record;
begin
    select s.* into sync from private.bucket_syncs as s where s.bucket_id = advance_sync.bucket_id for update skip locked;
    if not found then
        return null;
    end if;
    -- A batch goes on until it is nearly full, and is never more than full: what is only noted fills it as well.
    while sync.phase in ('objects', 'documents') and most > batch * 0.1 loop
        if judged_phase is distinct from sync.phase then
            judged_phase := sync.phase;
            may_go_on := sync.asked_at is not null or private.may_sync(sync.bucket_id, sync.phase);
            is_sparse := false;
        end if;
        step := case when may_go_on then private.advance_phase(sync, most, is_sparse) end;
        is_sparse := (step.enqueued + step.noted) * 5 < most;
        most := most - coalesce(step.enqueued + step.noted, 0)::integer;
        sync.enqueued := sync.enqueued + coalesce(step.enqueued, 0);
        sync.noted := sync.noted + coalesce(step.noted, 0);
        sync.reached := coalesce(step.reached, '');
        if step.reached is null then
            sync.phase := case sync.phase when 'objects' then 'documents' else 'orphans' end;
        end if;
    end loop;
    if sync.phase = 'orphans' and most > batch * 0.1 then
        select o.removed, o.kept into removal from private.sync_orphans(sync, most, is_asked, is_forced) as o;
        sync.removed := sync.removed + removal.removed;
        sync.kept := removal.kept;
        if removal.removed < most then
            sync.phase := 'done';
        end if;
    end if;
    if sync.phase = 'done' then
        delete from private.bucket_syncs as s where s.bucket_id = sync.bucket_id;
    else
        update private.bucket_syncs as s
        set
            phase = sync.phase, reached = sync.reached, enqueued = sync.enqueued, noted = sync.noted, removed = sync.removed,
            asked_at = case when is_asked then clock_timestamp() else s.asked_at end,
            tried_at = clock_timestamp(),
            last_error = null
        where s.bucket_id = sync.bucket_id;
    end if;
    return sync;
exception when lock_not_available or deadlock_detected then
    -- An upload holds what is to be queued, or what is to be removed. It goes first.
    return null;
end
$$;
comment on function private.advance_sync(text, integer, boolean, boolean) is
    'Puts the next batch of a bucket right and tells how far it is; null where somebody else does it, or nothing is to be done.';
revoke all on function private.advance_sync(text, integer, boolean, boolean) from public;

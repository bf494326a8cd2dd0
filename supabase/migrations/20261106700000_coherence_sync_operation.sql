-- Who has buckets put right.
--
--   begun      by a check, or by a person
--   people     batch after batch by hand, and the end of it
--   schedule   a batch every minute, where a bucket is being put right

-- Begun ---------------------------------------------------------------------------------------------------------------

create function private.begin_sync(bucket_id text, age interval, is_by_hand boolean default false) returns void
language plpgsql
set search_path = ''
set lock_timeout = '100ms'
as $$
declare
    known private.bucket_syncs;
begin
    select s.* into known from private.bucket_syncs as s where s.bucket_id = begin_sync.bucket_id;
    -- One that is under way goes on, unless more is asked for than it does.
    if known.age <= begin_sync.age and (known.asked_at is not null) >= is_by_hand then
        return;
    end if;
    insert into private.bucket_syncs as s (bucket_id, age, asked_at, expected_total)
    select
        begin_sync.bucket_id, begin_sync.age, case when is_by_hand then clock_timestamp() end,
        sum(p.missing + p.stale - p.waiting)::bigint
    from (
        select q.missing, q.stale, q.waiting from private.compare_queue(begin_sync.bucket_id) as q
        union all
        select d.missing, d.stale, d.waiting from private.compare_documents(begin_sync.bucket_id) as d
    ) as p
    on conflict on constraint bucket_syncs_pkey do update
    set
        phase = 'objects',
        reached = '',
        age = least(s.age, excluded.age),
        asked_at = coalesce(excluded.asked_at, s.asked_at),
        expected_total = s.enqueued + s.noted + excluded.expected_total;
end
$$;
comment on function private.begin_sync(text, interval, boolean) is
    'Has a bucket put right in the background, as far as it differs for so long.';
revoke all on function private.begin_sync(text, interval, boolean) from public;

-- People --------------------------------------------------------------------------------------------------------------

create function private.require_watched(bucket_id text) returns void
language plpgsql
stable
set search_path = ''
as $$
begin
    if not exists (select from private.watched_buckets as w where w.bucket_id = require_watched.bucket_id) then
        raise exception 'Bucket "%" is not watched', bucket_id
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'Watched are: ' || (select string_agg(w.bucket_id, ', ' order by w.bucket_id) from private.watched_buckets as w)
                    || '; others join by watch_bucket().',
                'None is watched; buckets join by watch_bucket().'
            );
    end if;
end
$$;
revoke all on function private.require_watched(text) from public;

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
    perform private.require_watched(sync_bucket.bucket_id);
    if limit_of_batch not between 1 and 1000000 then
        raise exception 'batch must be from 1 to 1000000, not %', limit_of_batch using errcode = 'invalid_parameter_value';
    end if;
    begin
        perform private.begin_sync(sync_bucket.bucket_id, interval '0', true);
        select s.* into known from private.bucket_syncs as s where s.bucket_id = sync_bucket.bucket_id;
        -- Force is for this batch alone: whoever breaks off has ended it.
        state := private.advance_sync(sync_bucket.bucket_id, limit_of_batch, true, coalesce(force, false));
    exception when lock_not_available then
        -- The schedule is at it.
        select s.* into known from private.bucket_syncs as s where s.bucket_id = sync_bucket.bucket_id;
    end;
    return jsonb_build_object(
        'bucketId', sync_bucket.bucket_id,
        -- Neither known: somebody else has just done the last of it.
        'phase', coalesce(state.phase, known.phase, 'done'),
        'enqueued', coalesce(state.enqueued, known.enqueued, 0),
        'noted', coalesce(state.noted, known.noted, 0),
        'expectedTotal', coalesce(known.expected_total, 0),
        'removed', coalesce(state.removed, known.removed, 0),
        'kept', coalesce(state.kept, 0),
        'isDone', coalesce(state.phase = 'done', false),
        -- Somebody else has it in hand, or holds rows of it: ask again.
        'isBusy', state.bucket_id is null
    );
end
$$;
comment on function public.sync_bucket(text, integer, boolean) is
    'Puts a bucket right by hand, a batch at each call, whatever the verdict; with force also removes what breaker or filters keep.';
revoke all on function public.sync_bucket(text, integer, boolean) from public, anon, authenticated;
grant execute on function public.sync_bucket(text, integer, boolean) to authenticated, service_role;

create function public.stop_sync(bucket_id text) returns jsonb
language plpgsql
security definer -- as sync_bucket()
set search_path = ''
as $$
declare
    stopped private.bucket_syncs;
begin
    perform private.require_admin();
    perform private.require_watched(stop_sync.bucket_id);
    delete from private.bucket_syncs as s where s.bucket_id = stop_sync.bucket_id returning s.* into stopped;
    return jsonb_build_object(
        'bucketId', stop_sync.bucket_id,
        'wasUnderWay', stopped.bucket_id is not null,
        'enqueued', coalesce(stopped.enqueued, 0),
        'removed', coalesce(stopped.removed, 0)
    );
end
$$;
comment on function public.stop_sync(text) is
    'Has a bucket no longer put right, after the batch that is under way; a check begins it anew where the verdict is auto_sync.';
revoke all on function public.stop_sync(text) from public, anon, authenticated;
grant execute on function public.stop_sync(text) to authenticated, service_role;

-- Schedule ------------------------------------------------------------------------------------------------------------

create function private.advance_syncs() returns void
language plpgsql
set search_path = ''
as $$
declare
    chosen text;
    state private.bucket_syncs;
    problem text;
begin
    -- One batch, so that each is a transaction of its own: an upload may wait for the rows that it holds. In turn, so that
    -- one that cannot be put right keeps none waiting; what a person is at is left to that person.
    select s.bucket_id into chosen
    from private.bucket_syncs as s
    where s.asked_at is null or s.asked_at < clock_timestamp() - interval '1 minute'
    order by s.tried_at
    limit 1
    for update skip locked;
    if not found then
        return;
    end if;
    begin
        state := private.advance_sync(chosen, (private.setting('coherence_batch') #>> '{}')::integer);
    exception when others or query_canceled or assert_failure then
        problem := format('SQLSTATE %s, %s', sqlstate, left(sqlerrm, 300));
    end;
    if state.bucket_id is null then
        update private.bucket_syncs as s
        set tried_at = clock_timestamp(), last_error = coalesce(problem, s.last_error)
        where s.bucket_id = chosen;
    end if;
end
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

-- The embedding worker: what wakes it, and what the Edge Function process-embedding-queue calls.
--
--   waking    by schedule, right after a commit, or by hand
--   working   claim, read, finish; fail, release

-- Waking --------------------------------------------------------------------------------------------------------------

-- In immediate mode a trigger on the queue leaves one row here for each transaction that queues; another one, at its
-- commit, calls the worker. In the other modes the first is off and costs nobody anything.
create table private.embedding_wishes (
    transaction_id xid8 primary key default pg_current_xact_id()
);
alter table private.embedding_wishes enable row level security;

create function private.wish_for_worker() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into private.embedding_wishes default values on conflict do nothing;
    return null;
end
$$;
revoke all on function private.wish_for_worker() from public;

create trigger embedding_sync_queue_wakes
after insert on public.embedding_sync_queue
for each statement execute function private.wish_for_worker();
alter table public.embedding_sync_queue disable trigger embedding_sync_queue_wakes;

create function private.apply_embedding_wake() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    execute format(
        'alter table public.embedding_sync_queue %s trigger embedding_sync_queue_wakes',
        case when private.setting('embedding_wake') = '"immediate"' then 'enable' else 'disable' end
    );
    return null;
end
$$;
revoke all on function private.apply_embedding_wake() from public;

create trigger settings_embedding_wake
after update of value on private.settings
for each row when (new.name = 'embedding_wake') execute function private.apply_embedding_wake();

create table private.embedding_wakes (
    is_only_row boolean primary key default true check (is_only_row),
    called_at timestamptz not null default '-infinity'
);
insert into private.embedding_wakes default values;
alter table private.embedding_wakes enable row level security;

create function private.has_due_embeddings() returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from public.embedding_sync_queue
        where processed_at is null and failed_at is null and visible_at <= clock_timestamp()
    );
$$;
comment on function private.has_due_embeddings() is 'Whether a worker would find anything: an empty queue makes no call.';
revoke all on function private.has_due_embeddings() from public;

create function private.wake_at_commit() returns trigger
language plpgsql
security definer -- calls the worker
set search_path = ''
as $$
declare
    interval_since interval := make_interval(secs => (private.setting('embedding_wake_interval_seconds') #>> '{}')::integer);
begin
    delete from private.embedding_wishes where transaction_id = new.transaction_id;
    update private.embedding_wakes
    set called_at = clock_timestamp()
    where is_only_row in (
        select is_only_row
        from private.embedding_wakes
        where called_at < clock_timestamp() - interval_since and private.has_due_embeddings()
        for update skip locked
    );
    if found then
        -- Whoever commits within the interval makes no call of its own: the worker watches the queue for so long.
        perform private.call_edge_function('process-embedding-queue', jsonb_build_object(
            'action', 'process', 'lingerMs', 1000 * extract(epoch from interval_since) + 500
        ));
    end if;
    return null;
end
$$;
revoke all on function private.wake_at_commit() from public;

create constraint trigger embedding_wishes_at_commit
after insert on private.embedding_wishes
deferrable initially deferred
for each row execute function private.wake_at_commit();

create function private.dispatch_embeddings() returns bigint
language sql
set search_path = ''
as $$
    select private.call_edge_function('process-embedding-queue', '{"action": "process"}')
    where private.has_due_embeddings() and private.setting('embedding_wake') <> '"manual"';
$$;
comment on function private.dispatch_embeddings() is 'Wakes the worker if there is work. Scheduled every five minutes.';
revoke all on function private.dispatch_embeddings() from public;

select cron.schedule('accord-embeddings', '*/5 * * * *', 'select private.dispatch_embeddings()');

-- Working -------------------------------------------------------------------------------------------------------------

create function public.read_embedding_jobs(tokens uuid[], profile text) returns jsonb
language plpgsql
security definer -- reads sources past their policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    source private.embedding_sources;
    content_limit integer := (private.setting('embedding_content_limit') #>> '{}')::integer;
    part jsonb;
    jobs jsonb := '[]'::jsonb;
begin
    for source in
        select s.*
        from private.embedding_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (tokens)
        )
    loop
        execute format(
            $sql$
            select jsonb_agg(jsonb_build_object(
                'token', accord_job.lease_token,
                'sourceTable', accord_job.source_table,
                'sourceId', accord_job.source_id,
                'content', case when length(found.content) <= $3 then found.content end,
                'tooLong', case when length(found.content) > $3 then length(found.content) end,
                'limit', $3,
                'hashes', (
                    select coalesce(jsonb_agg(e.content_hash order by e.chunk_index), '[]')
                    from public.documentation_embeddings as e
                    where e.source_table = accord_job.source_table and e.source_id = accord_job.source_id and e.profile = $2
                )
            ))
            from public.embedding_sync_queue as accord_job
            left join lateral (
                select coalesce(accord_job.content, (%2$s
                )::text) as content
                from %1$s as %3$I
                where %4$s and coalesce((%5$s
                )::boolean, false)
            ) as found on true
            where accord_job.lease_token = any ($1) and accord_job.source_table = %6$L
            $sql$,
            source.relation, source.content, private.name_of(source.relation),
            private.source_match(source, 'accord_job.source_id'), source.published, source.source_table
        ) into part using tokens, profile, content_limit;
        jobs := jobs || coalesce(part, '[]');
    end loop;
    return jobs;
end
$$;
comment on function public.read_embedding_jobs(uuid[], text) is
    'The text of each row that is still leased by these tokens, null where there is nothing to embed any more.';
revoke all on function public.read_embedding_jobs(uuid[], text) from public, anon, authenticated;
grant execute on function public.read_embedding_jobs(uuid[], text) to service_role;

create function public.claim_embedding_jobs(batch_size integer, profile text, dimensions integer) returns uuid[]
language plpgsql
security definer -- leases rows that nobody may write
set search_path = ''
as $$
begin
    if batch_size is null or batch_size not between 1 and 500 then
        raise exception 'batchSize must be from 1 to 500, not %', batch_size using errcode = 'invalid_parameter_value';
    end if;
    perform private.use_embedding_profile(profile, dimensions);
    return private.claim(
        'public.embedding_sync_queue',
        batch_size,
        make_interval(secs => (private.setting('embedding_lease_seconds') #>> '{}')::integer),
        (private.setting('embedding_retry_limit') #>> '{}')::integer
    );
end
$$;
comment on function public.claim_embedding_jobs(integer, text, integer) is
    'Leases due rows to a worker and gives their tokens. It reads them in a transaction of its own, after this one: what a
    claim sees of the source may be older than the revision it claims, and nobody may hold a queue row and wait for a source.';
revoke all on function public.claim_embedding_jobs(integer, text, integer) from public, anon, authenticated;
grant execute on function public.claim_embedding_jobs(integer, text, integer) to service_role;

create function private.eligible(tokens uuid[]) returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
declare
    source private.embedding_sources;
    part uuid[];
    eligible uuid[] := '{}'::uuid[];
begin
    for source in
        select s.*
        from private.embedding_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (tokens)
        )
    loop
        execute format(
            $sql$
            select array_agg(accord_job.lease_token)
            from public.embedding_sync_queue as accord_job
            where accord_job.lease_token = any ($1) and accord_job.source_table = %4$L
                and exists (select from %1$s as %2$I where %3$s and coalesce((%5$s
                )::boolean, false))
            $sql$,
            source.relation, private.name_of(source.relation), private.source_match(source, 'accord_job.source_id'),
            source.source_table, source.published
        ) into part using tokens;
        eligible := eligible || part;
    end loop;
    return eligible;
end
$$;
comment on function private.eligible(uuid[]) is 'Which of these leased rows still have a published source row.';
revoke all on function private.eligible(uuid[]) from public;

create function public.finish_embedding_jobs(profile text, results jsonb) returns jsonb
language plpgsql
security definer -- writes the copies, which nobody else may
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    queue constant regclass := 'public.embedding_sync_queue'::regclass;
    asked uuid[] := array(select (r ->> 'token')::uuid from jsonb_array_elements(results) as r);
    relation regclass;
    held uuid[];
    writable uuid[];
    outcomes jsonb;
    busy uuid[];
begin
    if not exists (select from private.embedding_profiles as p where p.name = profile and p.is_active) then
        raise exception 'Profile "%" is not the active one', profile
            using errcode = 'object_not_in_prerequisite_state', hint = 'Claim again: the rows are still due.';
    end if;
    -- The tables first and then the queue, in the order in which an edit takes them: whoever TRUNCATEs a table holds it
    -- and waits for rows of the queue.
    for relation in
        select s.relation
        from private.embedding_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (asked)
        )
        order by s.source_table
    loop
        execute format('lock table %s in access share mode', relation);
    end loop;
    held := private.hold(queue, asked);
    writable := private.eligible(held);

    -- What is gone, unpublished or without text has no copy, whatever the worker found a moment ago; neither have the
    -- pieces beyond a text's new end, nor those of a profile that is no more in use.
    delete from public.documentation_embeddings as e
    using public.embedding_sync_queue as q
    left join jsonb_array_elements(results) as r on (r ->> 'token')::uuid = q.lease_token
    where q.lease_token = any (held)
        and e.source_table = q.source_table and e.source_id = q.source_id
        and (
            not q.lease_token = any (writable)
            or e.profile <> finish_embedding_jobs.profile
            or (r ? 'pieces' and e.chunk_index >= jsonb_array_length(r -> 'pieces'))
        );

    insert into public.documentation_embeddings as e (
        source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding
    )
    select
        q.source_table, q.source_id, finish_embedding_jobs.profile, p.place - 1,
        p.piece ->> 'content', p.piece ->> 'hash', (p.piece ->> 'tokens')::integer,
        (p.piece ->> 'embedding')::extensions.halfvec
    from public.embedding_sync_queue as q
    join jsonb_array_elements(results) as r on (r ->> 'token')::uuid = q.lease_token
    cross join jsonb_array_elements(r -> 'pieces') with ordinality as p (piece, place)
    where q.lease_token = any (writable)
        -- A piece without a vector is one that the worker found unchanged.
        and p.piece ? 'embedding'
    on conflict on constraint documentation_embeddings_pkey do update
    set
        content = excluded.content,
        content_hash = excluded.content_hash,
        token_count = excluded.token_count,
        metadata = excluded.metadata,
        embedding = excluded.embedding,
        updated_at = excluded.updated_at;

    select coalesce(jsonb_object_agg(s.token, s.outcome), '{}') into outcomes from private.settle(queue, held) as s;
    -- Not held and still leased: locked by an edit just now. Whoever asks again a moment later finds it free.
    busy := array(
        select q.lease_token from public.embedding_sync_queue as q where q.lease_token = any (asked) and not q.lease_token = any (held)
    );
    return outcomes
        || (select coalesce(jsonb_object_agg(t, 'busy'), '{}') from unnest(busy) as t)
        || (
            select coalesce(jsonb_object_agg(t, 'lost_lease'), '{}')
            from unnest(asked) as t
            where not t = any (held) and not t = any (busy)
        );
end
$$;
comment on function public.finish_embedding_jobs(text, jsonb) is
    'Writes the copies of rows that are still leased, in one transaction with their settling; gives token: completed, requeued, busy or lost_lease.';
revoke all on function public.finish_embedding_jobs(text, jsonb) from public, anon, authenticated;
grant execute on function public.finish_embedding_jobs(text, jsonb) to service_role;

create function public.fail_embedding_jobs(failures jsonb) returns jsonb
language plpgsql
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
declare
    queue constant regclass := 'public.embedding_sync_queue'::regclass;
    failure record;
    held uuid[];
    outcome text;
    outcomes jsonb := '{}'::jsonb;
begin
    -- A row that an edit holds just now is not charged: the edit will have it done anew.
    for failure in
        select f.token, left(f.message, 1000) as message, coalesce(f.permanent, false) as permanent
        from jsonb_to_recordset(failures) as f (token uuid, message text, permanent boolean)
        join public.embedding_sync_queue as q on q.lease_token = f.token
        order by q.source_table, q.source_id
    loop
        outcome := null;
        held := private.hold(queue, array[failure.token]);
        select f.outcome into outcome
        from private.fail(
            queue, held, array[failure.message],
            case when failure.permanent then 0 else (private.setting('embedding_retry_limit') #>> '{}')::integer end,
            make_interval(secs => (private.setting('embedding_retry_seconds') #>> '{}')::integer)
        ) as f;
        outcomes := outcomes || jsonb_build_object(failure.token::text, coalesce(outcome, 'lost_lease'));
    end loop;
    return outcomes;
end
$$;
comment on function public.fail_embedding_jobs(jsonb) is
    'Charges leased rows a failure; gives token: retry, failed, requeued or lost_lease. A permanent one is not tried again.';
revoke all on function public.fail_embedding_jobs(jsonb) from public, anon, authenticated;
grant execute on function public.fail_embedding_jobs(jsonb) to service_role;

create function public.release_embedding_jobs(tokens uuid[], delay_seconds integer default 0) returns integer
language sql
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
    select private.give_back(
        'public.embedding_sync_queue',
        private.hold('public.embedding_sync_queue', tokens),
        make_interval(secs => delay_seconds)
    );
$$;
comment on function public.release_embedding_jobs(uuid[], integer) is 'Returns leased rows unfinished and uncharged, such as when the provider as a whole fails.';
revoke all on function public.release_embedding_jobs(uuid[], integer) from public, anon, authenticated;
grant execute on function public.release_embedding_jobs(uuid[], integer) to service_role;

create function public.due_embedding_jobs() returns bigint
language sql
stable
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
    select count(*)
    from public.embedding_sync_queue
    where processed_at is null and failed_at is null and visible_at <= clock_timestamp();
$$;
comment on function public.due_embedding_jobs() is 'How many rows a worker could claim now.';
revoke all on function public.due_embedding_jobs() from public, anon, authenticated;
grant execute on function public.due_embedding_jobs() to service_role;

create function public.wake_embedding_worker() returns bigint
language sql
security definer -- calls the worker
set search_path = ''
as $$
    select private.call_edge_function('process-embedding-queue', '{"action": "process"}');
$$;
comment on function public.wake_embedding_worker() is 'A worker that runs out of its time wakes the next one.';
revoke all on function public.wake_embedding_worker() from public, anon, authenticated;
grant execute on function public.wake_embedding_worker() to service_role;

-- The embedding worker: what wakes it, and what the Edge Function process-embedding-queue calls.
--
--   waking    by schedule, right after a commit, or by hand; as many workers as the work deserves
--   working   claim, read, release; what is handed in is in the file after this

-- Waking --------------------------------------------------------------------------------------------------------------

create function private.has_due_embeddings() returns boolean
language sql
stable
set search_path = ''
as $$
    -- Nor is anybody called in vain while the only provider rests or the money is spent.
    select exists (
        select from public.embedding_sync_queue
        where processed_at is null and failed_at is null and visible_at <= clock_timestamp()
            -- What is gone costs nothing.
            and (action = 'delete' or priority <= private.least_urgent_affordable())
    ) and (
        not exists (select from private.embedding_profiles where state in ('building', 'active'))
        or exists (
            select
            from private.embedding_profiles as p
            left join private.embedding_providers as r on r.provider = p.provider
            where p.state in ('building', 'active') and coalesce(r.paused_until <= clock_timestamp(), true)
        )
    );
$$;
comment on function private.has_due_embeddings() is 'Whether a worker would find anything: an empty queue makes no call.';
revoke all on function private.has_due_embeddings() from public;

select private.define_setting(
    'embedding_workers', '4', 'How many workers may run at once.', minimum => 1, maximum => 32
);
select private.define_setting(
    'embedding_rows_per_worker', '1000', 'A further worker is started for each so many rows that are due.', minimum => 1, maximum => 1000000
);

select private.define_worker('process-embedding-queue', 'public.embedding_sync_queue', 'embedding', 'private.has_due_embeddings');

create function private.tell_failed_step(step text, code text, message text) returns void
language sql
set search_path = ''
as $$
    -- What a statement's own text is to blame for names columns and functions; other messages may repeat a row.
    select private.raise_alert('embedding_step_failed', step, format(
        'private.%s() failed%s (SQLSTATE %s). Everything else goes on; what it does waits until it succeeds.',
        step, case when code like '42%' then ': ' || message end, code
    ));
$$;
revoke all on function private.tell_failed_step(text, text, text) from public;

create function private.try_step(step text) returns void
language plpgsql
set search_path = ''
as $$
begin
    execute format('select private.%I()', step);
    perform private.resolve_alert('embedding_step_failed', step);
exception when others then
    perform private.tell_failed_step(step, sqlstate, sqlerrm);
end
$$;
comment on function private.try_step(text) is 'Takes a step that the others do not depend on; one that fails raises an alert and keeps nobody.';
revoke all on function private.try_step(text) from public;

create function private.dispatch_embeddings() returns bigint
language plpgsql
set search_path = ''
as $$
declare
    -- One that has failed is asked by one worker alone, until it answers.
    at_most constant integer := (
        select min(1)
        from private.embedding_providers as r
        join private.embedding_profiles as p on p.provider = r.provider
        where r.failures > 0 and p.state in ('building', 'active')
    );
    called bigint := 0::bigint;
begin
    -- The alerts first: they tell of what is wrong with the rest.
    perform private.try_step('watch_embeddings');
    perform private.try_step('forget_dropped_sources');
    perform private.try_step('advance_backfills');
    perform private.try_step('advance_profiles');
    begin
        called := private.wake_workers('process-embedding-queue', at_most);
        perform private.resolve_alert('embedding_step_failed', 'wake_workers');
    exception when others then
        perform private.tell_failed_step('wake_workers', sqlstate, sqlerrm);
    end;
    return called;
end
$$;
comment on function private.dispatch_embeddings() is 'Wakes as many workers as there is work for. Scheduled every five minutes.';
revoke all on function private.dispatch_embeddings() from public;

select cron.schedule('accord-embeddings', '*/5 * * * *', 'select private.dispatch_embeddings()');

-- Working -------------------------------------------------------------------------------------------------------------

create function private.claim_embeddings(batch integer, least_urgent integer) returns uuid[]
language sql
set search_path = ''
as $$
    select private.claim(
        'public.embedding_sync_queue',
        batch,
        make_interval(secs => (private.setting('embedding_lease_seconds') #>> '{}')::integer),
        (private.setting('embedding_retry_limit') #>> '{}')::integer,
        least_urgent
    );
$$;
revoke all on function private.claim_embeddings(integer, integer) from public;

create function private.claim_deletions(batch integer) returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
    tokens uuid[];
begin
    -- None, and those that ended every worker that had them are buried.
    perform private.claim_embeddings(0, -1);
    with due as (
        select q.ctid
        from public.embedding_sync_queue as q
        where q.processed_at is null and q.failed_at is null and q.visible_at <= clock_timestamp() and q.action = 'delete'
        order by q.visible_at
        limit batch
        for update skip locked
    ), claimed as (
        update public.embedding_sync_queue as q
        set
            status = 'processing',
            lease_token = gen_random_uuid(),
            leased_revision = q.revision,
            retry_count = q.retry_count + 1,
            visible_at = clock_timestamp() + make_interval(secs => (private.setting('embedding_lease_seconds') #>> '{}')::integer)
        from due
        where q.ctid = due.ctid
        returning q.lease_token
    )
    select coalesce(array_agg(c.lease_token), '{}') into tokens from claimed as c;
    return tokens;
end
$$;
comment on function private.claim_deletions(integer) is 'As private.claim(), but rows alone that cost nothing: those that are gone or unpublished.';
revoke all on function private.claim_deletions(integer) from public;

create function public.claim_embedding_jobs(worker uuid, batch_size integer, default_profile jsonb) returns jsonb
language plpgsql
security definer -- leases rows that nobody may write
set search_path = ''
as $$
declare
    tokens uuid[] := '{}'::uuid[];
    profiles jsonb;
    probed text[];
    least_urgent constant integer := private.least_urgent_affordable();
    batch integer := batch_size;
begin
    if batch_size is null or batch_size not between 1 and 500 then
        raise exception 'batchSize must be from 1 to 500, not %', batch_size using errcode = 'invalid_parameter_value';
    end if;
    perform private.use_default_profile(default_profile);
    if not private.admit_worker('process-embedding-queue', worker) then
        return jsonb_build_object('tokens', '[]'::jsonb, 'profiles', '[]'::jsonb, 'idle', 'enough_workers');
    end if;
    -- A provider that has failed and rested is asked with a few rows, by one worker, before everybody asks it again.
    with probing as (
        update private.embedding_providers as r
        set paused_until = clock_timestamp() + interval '60 seconds'
        where r.failures > 0 and r.paused_until <= clock_timestamp() and least_urgent >= 0
            and r.provider in (select p.provider from private.embedding_profiles as p where p.state in ('building', 'active'))
        returning r.provider
    )
    select coalesce(array_agg(provider), '{}') into probed from probing;
    select jsonb_agg(jsonb_build_object(
        'name', p.name, 'provider', p.provider, 'model', p.model, 'dimensions', p.dimensions, 'template', p.template,
        'chunkTokens', p.chunk_tokens, 'chunkOverlap', p.chunk_overlap, 'knownFailures', coalesce(r.failures, 0),
        -- Nor is anything asked while the money is spent.
        'isPaused', least_urgent < 0 or r.paused_until > clock_timestamp() and not r.provider = any (probed)
    ) order by p.state, p.name) into profiles
    from private.embedding_profiles as p
    left join private.embedding_providers as r on r.provider = p.provider
    where p.state in ('building', 'active');
    if cardinality(probed) > 0 then
        batch := least(batch, 8);
    end if;
    if least_urgent < 0 then
        return jsonb_build_object('tokens', to_jsonb(private.claim_deletions(batch)), 'profiles', profiles, 'idle', 'budget_used_up');
    end if;
    if not exists (select from jsonb_array_elements(profiles) as p where (p ->> 'isPaused')::boolean is not true) then
        return jsonb_build_object('tokens', '[]'::jsonb, 'profiles', profiles, 'idle', 'provider_paused');
    end if;
    tokens := private.claim_embeddings(batch, least_urgent);
    -- Only while no row is held: what is queued here waits for edits, and is given up soon.
    if tokens = '{}' and private.advance_backfills() > 0 then
        tokens := private.claim_embeddings(batch, least_urgent);
    end if;
    return jsonb_build_object('tokens', to_jsonb(tokens), 'profiles', profiles, 'idle', null);
end
$$;
comment on function public.claim_embedding_jobs(uuid, integer, jsonb) is
    'Leases due rows to a worker and gives their tokens, and the profiles that each of them is to be embedded with. It reads
    them in a transaction of its own, after this one: what a claim sees of the source may be older than the revision it
    claims, and nobody may hold a queue row and wait for a source.';
revoke all on function public.claim_embedding_jobs(uuid, integer, jsonb) from public, anon, authenticated;
grant execute on function public.claim_embedding_jobs(uuid, integer, jsonb) to service_role;

create function private.fields_sql(columns text[]) returns text
language sql
immutable
set search_path = ''
as $$
    select coalesce('jsonb_build_object(' || string_agg(format('%L, %I', c, c), ', ' order by c) || ')', '''{}''::jsonb') from unnest(columns) as c;
$$;
comment on function private.fields_sql(text[]) is 'The SQL expression that gives these columns of a row as JSON.';
revoke all on function private.fields_sql(text[]) from public;

create function private.hold_of(source_table text, tokens uuid[]) returns uuid[]
language sql
set search_path = ''
as $$
    select private.hold('public.embedding_sync_queue', array(
        select q.lease_token
        from public.embedding_sync_queue as q
        where q.lease_token = any (tokens) and q.source_table = hold_of.source_table
    ));
$$;
comment on function private.hold_of(text, uuid[]) is 'private.hold() for the rows of one source.';
revoke all on function private.hold_of(text, uuid[]) from public;

create function private.postpone_locked(source_table text, tokens uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
    held constant uuid[] := private.hold_of(source_table, tokens);
begin
    -- Within a quarter of an hour nobody need know.
    if exists (
        select from public.embedding_sync_queue as q
        where q.lease_token = any (held) and q.created_at < clock_timestamp() - interval '15 minutes'
    ) then
        perform private.raise_alert('embedding_source_locked', source_table, format(
            'Table %s is locked by another session, and its rows have waited for a quarter of an hour to be embedded. See pg_locks and pg_stat_activity.',
            source_table
        ));
    end if;
    perform private.give_back('public.embedding_sync_queue', held, interval '45 seconds');
end
$$;
comment on function private.postpone_locked(text, uuid[]) is 'Gives back the rows of a source that another session has locked, uncharged and for a while.';
revoke all on function private.postpone_locked(text, uuid[]) from public;

create function public.read_embedding_jobs(tokens uuid[]) returns jsonb
language plpgsql
security definer -- reads sources past their policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '1s' -- of what the expressions read besides
as $$
declare
    source private.embedding_sources;
    content_limit constant integer := (private.setting('embedding_content_limit') #>> '{}')::integer;
    part jsonb;
    jobs jsonb := '[]'::jsonb;
begin
    for source in
        select s.*
        from private.present_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (tokens)
        )
    loop
        begin
            -- A table that somebody holds for long keeps back its own rows, and not those of the others.
            execute format('lock table %s in access share mode nowait', source.relation);
            execute format(
                $sql$
                select jsonb_agg(jsonb_build_object(
                    'token', accord_job.lease_token,
                    'sourceTable', accord_job.source_table,
                    'sourceId', accord_job.source_id,
                    'content', case when length(found.content) <= $2 and not targets.are_unchanged then found.content end,
                    'fields', found.fields,
                    'isGone', found.content is null,
                    'tooLong', case when length(found.content) > $2 then length(found.content) end,
                    'limit', $2,
                    'chunkTokens', %9$s::integer,
                    'chunkOverlap', %10$s::integer,
                    'targets', coalesce(targets.list, '[]')
                ))
                from public.embedding_sync_queue as accord_job
                left join lateral (
                    select coalesce(accord_job.content, (%2$s
                    )::text, '') as content, %7$s as fields
                    from %1$s as %3$I
                    where %4$s and coalesce((%5$s
                    )::boolean, false)
                ) as found on true
                cross join lateral (
                    select
                        bool_and(known.fingerprint is not distinct from wanted.fingerprint) as are_unchanged,
                        jsonb_agg(jsonb_build_object(
                            'profile', accord_profile.name, 'fingerprint', wanted.fingerprint,
                            'isUnchanged', known.fingerprint is not distinct from wanted.fingerprint, 'tokens', coalesce(known.token_count, 0)
                        )) as list
                    from private.embedding_profiles as accord_profile
                    cross join lateral (
                        select %8$s as fingerprint
                        from (
                            select jsonb_object_agg(c, found.fields -> c) as fields
                            from unnest(private.template_columns(accord_profile.template)) as c
                        ) as used
                    ) as wanted
                    left join lateral (
                        select r.fingerprint, r.token_count
                        from private.embedded_rows as r
                        where r.profile = accord_profile.name and r.source_table = accord_job.source_table and r.source_id = accord_job.source_id
                            and row(r.chunk_count, r.chunk_count, r.chunk_count) = (
                                select count(*), count(distinct e.chunk_index), coalesce(max(e.chunk_index) + 1, 0)
                                from public.documentation_embeddings as e
                                where e.profile = r.profile and e.source_table = r.source_table and e.source_id = r.source_id
                            )
                    ) as known on true
                    where accord_profile.state in ('building', 'active') and found.content is not null
                ) as targets
                where accord_job.lease_token = any ($1) and accord_job.source_table = %6$L
                $sql$,
                source.relation, source.content, private.name_of(source.relation),
                private.source_match(source, 'accord_job.source_id'), source.published, source.source_table,
                private.fields_sql(private.columns_of_templates()),
                private.fingerprint_sql(private.recipe_sql(source, 'accord_profile'), 'used.fields', 'found.content'),
                quote_nullable(source.chunk_tokens), quote_nullable(source.chunk_overlap)
            ) into part using tokens, content_limit;
            jobs := jobs || coalesce(part, '[]');
        exception
            when lock_not_available then
                perform private.postpone_locked(source.source_table, tokens);
            when syntax_error_or_access_rule_violation then
                -- Where it is the expressions themselves. What one row is to blame for, the worker finds by itself.
                if coalesce((private.source_fault(source.source_table)).state, '') not like '42%' then
                    raise;
                end if;
                perform private.fail_embeddings(jsonb_agg(jsonb_build_object(
                    'token', t, 'failure', jsonb_build_object('message', 'Its text cannot be read. ' || sqlerrm)
                )))
                from unnest(private.hold_of(source.source_table, tokens)) as t
                having count(*) > 0;
        end;
    end loop;
    return jobs;
end
$$;
comment on function public.read_embedding_jobs(uuid[]) is
    'Each row that is still leased by these tokens: its text, unless no profile lacks it, and for each profile whether it agrees already.';
revoke all on function public.read_embedding_jobs(uuid[]) from public, anon, authenticated;
grant execute on function public.read_embedding_jobs(uuid[]) to service_role;

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

create function public.end_embedding_worker(worker uuid, goes_on boolean default true) returns bigint
language plpgsql
security definer -- as finish_embedding_jobs(); calls the next worker
set search_path = ''
set statement_timeout = '60s' -- the proof of a profile that is complete
as $$
declare
    due bigint;
begin
    perform private.try_step('advance_backfills');
    perform private.try_step('advance_profiles');
    perform private.try_step('watch_schedule');
    select count(*) into due
    from public.embedding_sync_queue as q
    where q.processed_at is null and q.failed_at is null and q.visible_at <= clock_timestamp();
    perform private.dismiss_worker('process-embedding-queue', worker, goes_on);
    return due;
end
$$;
comment on function public.end_embedding_worker(uuid, boolean) is 'A worker ends; it wakes the next one if there is work left, and is told how many rows are due.';
revoke all on function public.end_embedding_worker(uuid, boolean) from public, anon, authenticated;
grant execute on function public.end_embedding_worker(uuid, boolean) to service_role;

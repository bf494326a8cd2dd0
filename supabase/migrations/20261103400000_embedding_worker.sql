-- The embedding worker: what wakes it, and what the Edge Function process-embedding-queue calls.
--
--   waking    by schedule, right after a commit, or by hand; as many workers as the work deserves
--   working   claim, read, finish; release

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

create function public.known_embeddings(profile text, hashes text[]) returns jsonb
language plpgsql
stable
security definer -- reads copies past their policies
set search_path = ''
as $$
declare
    known jsonb;
begin
    -- The profile as a constant, so that one partition is looked at.
    execute format(
        $sql$
        select jsonb_build_object(
            'copied', coalesce(jsonb_agg(h) filter (where not is_stocked), '[]'),
            'stocked', coalesce(jsonb_agg(h) filter (where is_stocked), '[]')
        )
        from (
            select h, exists (select from private.embedding_stock as s where s.profile = %1$L and s.content_hash = h) as is_stocked
            from unnest($1) as h
        ) as asked
        where is_stocked or exists (select from public.documentation_embeddings as e where e.profile = %1$L and e.content_hash = h)
        $sql$,
        profile
    ) into known using hashes;
    return known;
end
$$;
comment on function public.known_embeddings(text, text[]) is
    'Which of these chunks have been paid for already: in whatever row, or by one that is not finished yet, for which it is no saving.';
revoke all on function public.known_embeddings(text, text[]) from public, anon, authenticated;
grant execute on function public.known_embeddings(text, text[]) to service_role;

create function public.stock_embeddings(profile text, chunks jsonb) returns void
language sql
security definer -- as known_embeddings()
set search_path = ''
as $$
    insert into private.embedding_stock (profile, content_hash, embedding)
    select distinct on (c ->> 'hash') stock_embeddings.profile, c ->> 'hash', (c ->> 'embedding')::extensions.halfvec
    from jsonb_array_elements(chunks) as c
    -- One that was retired meanwhile has no stock.
    where exists (select from private.embedding_profiles as p where p.name = stock_embeddings.profile)
    order by c ->> 'hash'
    -- Wanted still, so it is kept for as long as a new one.
    on conflict on constraint embedding_stock_pkey do update set created_at = excluded.created_at;
$$;
comment on function public.stock_embeddings(text, jsonb) is 'Keeps vectors that were paid for, where their row cannot be finished yet.';
revoke all on function public.stock_embeddings(text, jsonb) from public, anon, authenticated;
grant execute on function public.stock_embeddings(text, jsonb) to service_role;

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
        from private.present_sources as s
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

create function private.fail_embeddings(failures jsonb) returns table (token uuid, outcome text)
language sql
set search_path = ''
as $$
    select f.*
    from (
        select
            array_agg((r ->> 'token')::uuid) as tokens,
            array_agg(left(r -> 'failure' ->> 'message', 1000)) as messages,
            coalesce((r -> 'failure' ->> 'permanent')::boolean, false) as is_permanent
        from jsonb_array_elements(failures) as r
        group by is_permanent
    ) as failing
    cross join lateral private.fail(
        'public.embedding_sync_queue', failing.tokens, failing.messages,
        case when failing.is_permanent then 0 else (private.setting('embedding_retry_limit') #>> '{}')::integer end,
        make_interval(secs => (private.setting('embedding_retry_seconds') #>> '{}')::integer)
    ) as f;
$$;
comment on function private.fail_embeddings(jsonb) is 'Charges held rows their failures; a permanent one is not tried again.';
revoke all on function private.fail_embeddings(jsonb) from public;

-- What a worker hands in, taken apart once.
create type private.finished_copy as (
    token uuid, profile text, fingerprint uuid, is_unchanged boolean, chunk_count integer, token_count bigint, reused bigint
);
create type private.finished_chunk as (
    token uuid, profile text, chunk_index integer, content text, content_hash text, occurrence integer, token_count integer,
    metadata jsonb, embedding extensions.halfvec
);

create function public.finish_embedding_jobs(results jsonb) returns jsonb
language plpgsql
security definer -- writes the copies, which nobody else may
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set statement_timeout = '60s' -- a row of thousands of chunks
as $$
declare
    queue constant regclass := 'public.embedding_sync_queue'::regclass;
    asked constant uuid[] := array(select (r ->> 'token')::uuid from jsonb_array_elements(results) as r);
    locked_sources text[] := '{}'::text[];
    in_use text[];
    copies private.finished_copy[];
    chunks private.finished_chunk[];
    failures jsonb;
    source private.embedding_sources;
    held uuid[];
    -- Of those, the ones that more is known of than their failure; of these the ones whose row is there and published,
    -- and of these, the ones that can be written.
    judged uuid[];
    eligible uuid[];
    writable uuid[];
    done uuid[];
    busy uuid[];
    outcomes jsonb;
begin
    -- The tables first and then the queue, in the order in which an edit takes them: whoever TRUNCATEs a table holds it
    -- and waits for rows of the queue.
    for source in
        select s.*
        from private.present_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (asked)
        )
        order by s.source_table
    loop
        begin
            execute format('lock table %s in access share mode nowait', source.relation);
        exception when lock_not_available then
            locked_sources := locked_sources || source.source_table;
        end;
    end loop;
    -- Nor is anybody waited for who changes a profile just now: a table is held, and they may wait for whoever wants it.
    if not pg_try_advisory_xact_lock_shared(hashtextextended('accord embedding profiles', 0)) then
        return (select coalesce(jsonb_object_agg(t, 'busy'), '{}') from unnest(asked) as t);
    end if;
    in_use := array(select p.name from private.embedding_profiles as p where p.state in ('building', 'active'));
    held := private.hold(queue, array(
        select q.lease_token
        from public.embedding_sync_queue as q
        where q.lease_token = any (asked) and not q.source_table = any (locked_sources)
    ));
    -- A row that could not be read is not looked at again, or it could not be charged for it either.
    judged := array(
        select t
        from unnest(held) as t
        join jsonb_array_elements(results) as r on (r ->> 'token')::uuid = t
        where r ->> 'failure' is null or jsonb_array_length(r -> 'copies') > 0
    );
    eligible := private.eligible(judged);

    -- A copy in a profile that is no more in use is not written.
    copies := array(
        select row(
            (r ->> 'token')::uuid, c ->> 'profile', (c ->> 'fingerprint')::uuid, coalesce((c ->> 'isUnchanged')::boolean, false),
            jsonb_array_length(c -> 'chunks'), (select coalesce(sum((k ->> 'tokens')::bigint), 0) from jsonb_array_elements(c -> 'chunks') as k),
            coalesce((c ->> 'reused')::bigint, 0)
        )::private.finished_copy
        from jsonb_array_elements(results) as r
        cross join jsonb_array_elements(r -> 'copies') as c
        where (r ->> 'token')::uuid = any (eligible) and c ->> 'profile' = any (in_use)
    );
    chunks := array(
        select row(
            (r ->> 'token')::uuid, c ->> 'profile', k.place - 1, k.chunk ->> 'content', k.chunk ->> 'hash',
            (k.chunk ->> 'occurrence')::integer, (k.chunk ->> 'tokens')::integer, coalesce(k.chunk -> 'metadata', '{}'),
            -- A chunk that is moved or taken from another row: here and now, because a moment later that row may be gone.
            coalesce(
                (k.chunk ->> 'embedding')::extensions.halfvec,
                (
                    select e.embedding from public.documentation_embeddings as e
                    where e.profile = c ->> 'profile' and e.content_hash = k.chunk ->> 'hash'
                    limit 1
                ),
                (select s.embedding from private.embedding_stock as s where s.profile = c ->> 'profile' and s.content_hash = k.chunk ->> 'hash')
            )
        )::private.finished_chunk
        from jsonb_array_elements(results) as r
        cross join jsonb_array_elements(r -> 'copies') as c
        cross join jsonb_array_elements(c -> 'chunks') with ordinality as k (chunk, place)
        where (r ->> 'token')::uuid = any (eligible) and c ->> 'profile' = any (in_use)
    );
    -- A chunk that was to be taken from another row has gone with it: its row is read again.
    writable := array(
        select t from unnest(eligible) as t
        where not exists (select from unnest(chunks) as k where k.token = t and k.embedding is null)
    );

    insert into private.embedded_rows as r (
        profile, source_table, source_id, fingerprint, is_given, chunk_count, token_count
    )
    select c.profile, q.source_table, q.source_id, c.fingerprint, q.content is not null, c.chunk_count, c.token_count
    from unnest(copies) as c
    join public.embedding_sync_queue as q on q.lease_token = c.token
    where c.token = any (writable) and not c.is_unchanged
    on conflict on constraint embedded_rows_pkey do update
    set
        fingerprint = excluded.fingerprint,
        is_given = excluded.is_given,
        chunk_count = excluded.chunk_count,
        token_count = excluded.token_count,
        updated_at = excluded.updated_at;

    -- What is there already is moved, and its vector is left as it is.
    insert into public.documentation_embeddings as e (
        source_table, source_id, profile, chunk_index, content, content_hash, occurrence, token_count, metadata, embedding
    )
    select
        q.source_table, q.source_id, k.profile, k.chunk_index, k.content, k.content_hash, k.occurrence, k.token_count, k.metadata,
        k.embedding
    from unnest(chunks) as k
    join public.embedding_sync_queue as q on q.lease_token = k.token
    where k.token = any (writable)
    on conflict (profile, source_table, source_id, content_hash, occurrence) do update
    set
        chunk_index = excluded.chunk_index,
        content = excluded.content,
        token_count = excluded.token_count,
        metadata = excluded.metadata,
        updated_at = excluded.updated_at
    where (e.chunk_index, e.content, e.token_count, e.metadata)
        is distinct from (excluded.chunk_index, excluded.content, excluded.token_count, excluded.metadata);

    -- Pieces that are no more in the text.
    delete from public.documentation_embeddings as e
    using unnest(copies) as c
    join public.embedding_sync_queue as q on q.lease_token = c.token
    where c.token = any (writable) and not c.is_unchanged
        and e.profile = c.profile and e.source_table = q.source_table and e.source_id = q.source_id
        and not exists (
            select from unnest(chunks) as k
            where k.token = c.token and k.profile = c.profile and k.content_hash = e.content_hash and k.occurrence = e.occurrence
        );
    -- What is gone or unpublished has no copy, whatever the worker found a moment ago, and in no profile.
    delete from private.embedded_rows as r
    using public.embedding_sync_queue as q
    where q.lease_token = any (judged) and not q.lease_token = any (eligible)
        and r.source_table = q.source_table and r.source_id = q.source_id;
    delete from private.embedding_stock as s
    using unnest(chunks) as k
    where k.token = any (writable) and s.profile = k.profile and s.content_hash = k.content_hash;

    select jsonb_agg(r) into failures
    from jsonb_array_elements(results) as r
    where r ->> 'failure' is not null and (r ->> 'token')::uuid = any (held);
    -- A row is done when it agrees in every profile that is in use, also in one that came while it was worked on.
    done := array(
        select t from unnest(held) as t
        where not t in (select (f ->> 'token')::uuid from jsonb_array_elements(failures) as f)
            and (
                not t = any (eligible)
                or t = any (writable) and in_use <@ array(select c.profile from unnest(copies) as c where c.token = t)
            )
    );
    -- What was saved. A row that is given back is looked at again, so only those that are done count what they did not
    -- need; and a copy is no saving to the wait in which it was made.
    perform private.add_embedding_costs(saved.profile, jsonb_agg(jsonb_build_object(
        'sourceTable', saved.source_table, 'coalesced', saved.coalesced, 'unchanged', saved.unchanged, 'reused', saved.reused
    )))
    from (
        select
            c.profile,
            q.source_table,
            coalesce(sum((q.edits - 1) * c.token_count) filter (where not c.is_unchanged), 0) as coalesced,
            coalesce(sum(known.token_count) filter (where c.token = any (done)), 0) as unchanged,
            coalesce(sum(c.reused) filter (where c.token = any (done)), 0) as reused
        from unnest(copies) as c
        join public.embedding_sync_queue as q on q.lease_token = c.token
        left join private.embedded_rows as known
            on c.is_unchanged and known.profile = c.profile and known.source_table = q.source_table and known.source_id = q.source_id
                and known.updated_at < q.created_at
        where c.token = any (writable)
        group by c.profile, q.source_table
    ) as saved
    where saved.coalesced + saved.unchanged + saved.reused > 0
    group by saved.profile;
    select coalesce(jsonb_object_agg(s.token, s.outcome), '{}') into outcomes
    from (
        select s.* from private.settle(queue, done) as s
        union all
        select f.* from private.fail_embeddings(failures) as f
    ) as s;
    -- Whatever else is held waits for a provider that rests, or is read again at once.
    with unfinished as (
        select t as token, coalesce(
            (
                select min(p.paused_until)
                from private.embedding_profiles as known
                join private.embedding_providers as p on p.provider = known.provider and p.paused_until > clock_timestamp()
                where known.name = any (in_use)
                    and not exists (select from unnest(copies) as c where c.token = t and c.profile = known.name)
            ) - clock_timestamp(),
            -- Nobody may pay for it, so it would come back at once, for ever.
            case when (select private.least_urgent_affordable()) < 0 then interval '5 minutes' else interval '0' end
        ) as delay
        from unnest(held) as t
        where not outcomes ? t::text
    ), given_back as (
        select u.delay, private.give_back(queue, array_agg(u.token), u.delay) as rows, array_agg(u.token) as tokens
        from unfinished as u
        group by u.delay
    )
    select outcomes || coalesce((select jsonb_object_agg(t, 'unfinished') from given_back as g cross join unnest(g.tokens) as t), '{}')
    into outcomes;
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
comment on function public.finish_embedding_jobs(jsonb) is
    'Writes the copies of rows that are still leased, in one transaction with their settling; gives token: completed, requeued, retry, failed, unfinished, busy or lost_lease.';
revoke all on function public.finish_embedding_jobs(jsonb) from public, anon, authenticated;
grant execute on function public.finish_embedding_jobs(jsonb) to service_role;

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

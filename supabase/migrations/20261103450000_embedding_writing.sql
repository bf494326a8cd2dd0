-- What an embedding worker hands in: what was paid for becomes copies, and nothing of it is paid for twice.
--
--   paid      which chunks were paid for already, and what is kept of those that cannot be written yet
--   written   copies and the settling of their rows, in one transaction

-- Paid ----------------------------------------------------------------------------------------------------------------

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

-- Written -------------------------------------------------------------------------------------------------------------

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

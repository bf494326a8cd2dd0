-- What people see of embeddings and do about them.
--
--   people   enqueue, resync, retry, what is stuck, the status
--   alerts   what is looked at by itself
--   health   what must be in place

-- People --------------------------------------------------------------------------------------------------------------

create function private.require_source(source_table text) returns private.embedding_sources
language plpgsql
stable
set search_path = ''
as $$
declare
    source private.embedding_sources;
begin
    select * into source from private.present_sources as s where s.source_table = require_source.source_table;
    if not found then
        raise exception 'Table "%" is not registered', source_table
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'Registered are: ' || (select string_agg(s.source_table, ', ' order by s.source_table) from private.present_sources as s)
                    || '; others join by register_embedding_source().',
                'None is registered; tables join by register_embedding_source().'
            );
    end if;
    return source;
end
$$;
revoke all on function private.require_source(text) from public;

create function public.enqueue_embedding(source_table text, source_id text, content text default null) returns void
language plpgsql
security definer -- writes the queue; require_admin() keeps everybody else out
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    source private.embedding_sources;
    -- As the triggers write it: the same row under another spelling would be another copy.
    canonical text;
begin
    perform private.require_admin();
    source := private.require_source(source_table);
    if source_id is null then
        raise exception 'The id of the row of % is null', source_table
            using errcode = 'invalid_parameter_value',
                hint = format('Give its key, %s; resync_embeddings(%L) finds the rows that differ.', array_to_string(source.key_columns, ', '), source_table);
    end if;
    begin
        -- An id that cannot be one of this table's would fail whole batches later on.
        execute format(
            'select %s from %s as %I where %s', private.source_key(source), source.relation, private.name_of(source.relation),
            private.source_match(source, quote_literal(source_id))
        ) into canonical;
    exception when data_exception then
        raise exception '"%" cannot be a key of %: %', source_id, source_table, sqlerrm
            using errcode = 'invalid_parameter_value', hint = case cardinality(source.key_columns)
                when 1 then format('The key is %s.', source.key_columns[1])
                else format('The key is a JSON object of %s.', array_to_string(source.key_columns, ', '))
            end;
    end;
    perform private.enqueue_embeddings(source.source_table, array[coalesce(canonical, source_id)], 'update', content);
end
$$;
comment on function public.enqueue_embedding(text, text, text) is 'Has one row embedded again; content, if given, in place of its own text until its next edit.';
revoke all on function public.enqueue_embedding(text, text, text) from public, anon, authenticated;
grant execute on function public.enqueue_embedding(text, text, text) to authenticated, service_role;

create function private.resync(profile text, only_source text default null, leaves_none_out boolean default false) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    differing record;
    enqueued bigint := 0::bigint;
begin
    for differing in
        -- A text that somebody gave is in the queue alone, and stays the row's until its next edit.
        select v.source_table, q.content, array_remove(array_agg(distinct v.source_id), null) as ids,
            min(v.problem) filter (where v.source_id is null) as unexamined, min(v.detail) filter (where v.source_id is null) as reason
        from private.differing_embeddings(resync.profile, only_source) as v
        left join public.embedding_sync_queue as q on q.source_table = v.source_table and q.source_id = v.source_id
        -- What waits already is on its way, and what has failed waits for a person.
        where v.queued is null
        group by v.source_table, q.content
        order by v.source_table
    loop
        if differing.unexamined = 'unreadable' then
            perform private.tell_broken_source(differing.source_table, differing.reason);
        end if;
        if differing.unexamined is not null and leaves_none_out then
            insert into private.embedding_backfills (source_table) values (differing.source_table) on conflict do nothing;
        end if;
        perform private.enqueue_embeddings(differing.source_table, differing.ids, 'update', differing.content);
        enqueued := enqueued + cardinality(differing.ids);
    end loop;
    return enqueued;
end
$$;
comment on function private.resync(text, text, boolean) is
    'Queues the rows whose copies in a profile differ, and gives their number. A source that cannot be examined is left out, or gone through from its first row to its last as soon as it can be.';
revoke all on function private.resync(text, text, boolean) from public;

create function public.resync_embeddings(source_table text default null) returns bigint
language plpgsql
security definer -- as enqueue_embedding()
set search_path = ''
set statement_timeout = '5min'
as $$
declare
    active text := (select p.name from private.embedding_profiles as p where p.state = 'active');
    fault record;
begin
    perform private.require_admin();
    if source_table is not null then
        perform private.require_source(source_table);
        -- Whoever asks for one table is told to their face.
        select f.* into fault from private.source_fault(source_table, true) as f;
        if fault.state is not null then
            raise exception 'Table "%" cannot be read: %', source_table, fault.reason
                using errcode = 'PT409', hint = case fault.state
                    when '55P03' then 'Try again in a while.'
                    else private.broken_source_mend(source_table)
                end;
        end if;
    end if;
    if active is null then
        -- Nothing was embedded yet: everything is to be.
        perform private.begin_backfill(s.source_table)
        from private.embedding_sources as s
        where resync_embeddings.source_table is null or s.source_table = resync_embeddings.source_table;
        return private.advance_backfills();
    end if;
    return private.resync(active, resync_embeddings.source_table);
end
$$;
comment on function public.resync_embeddings(text) is 'Has exactly those rows embedded again whose copies differ, see verify_embeddings(). Gives their number.';
revoke all on function public.resync_embeddings(text) from public, anon, authenticated;
grant execute on function public.resync_embeddings(text) to authenticated, service_role;

create function public.retry_failed_embeddings(source_table text default null) returns bigint
language plpgsql
security definer -- as enqueue_embedding()
set search_path = ''
as $$
declare
    revived bigint;
begin
    perform private.require_admin();
    if source_table is not null then
        perform private.require_source(source_table);
    end if;
    update public.embedding_sync_queue as q
    set status = 'pending', failed_at = null, retry_count = 0, visible_at = clock_timestamp(), created_at = clock_timestamp()
    where q.failed_at is not null
        and (retry_failed_embeddings.source_table is null or q.source_table = retry_failed_embeddings.source_table);
    get diagnostics revived = row_count;
    if revived > 0 then
        perform private.wish('process-embedding-queue');
    end if;
    return revived;
end
$$;
comment on function public.retry_failed_embeddings(text) is 'Gives failed rows all their attempts again, and tells how many.';
revoke all on function public.retry_failed_embeddings(text) from public, anon, authenticated;
grant execute on function public.retry_failed_embeddings(text) to authenticated, service_role;

create function private.stuck_embeddings() returns setof public.embedding_sync_queue
language sql
stable
set search_path = ''
as $$
    select q.*
    from public.embedding_sync_queue as q
    where q.processed_at is null and q.failed_at is null
        -- Nobody is late while the money is spent or every provider rests.
        and q.priority <= (select private.least_urgent_affordable())
        and (
            not exists (select from private.embedding_profiles as p where p.state in ('building', 'active'))
            or exists (
                select
                from private.embedding_profiles as p
                left join private.embedding_providers as r on r.provider = p.provider
                where p.state in ('building', 'active') and coalesce(r.paused_until <= clock_timestamp(), true)
            )
        )
        and (
            q.visible_at < clock_timestamp() - interval '15 minutes'
            -- A row that is taken and given back again and again is always due since a moment ago. An edit that waits for so
            -- long is late where nothing else gets done either, and it was not put off until later.
            or q.priority = 0 and q.created_at < clock_timestamp() - interval '15 minutes'
                and (q.visible_at <= clock_timestamp() or q.lease_token is not null)
                and not exists (
                    select from public.embedding_sync_queue as d
                    where greatest(d.processed_at, d.failed_at) > clock_timestamp() - interval '15 minutes'
                )
        );
$$;
comment on function private.stuck_embeddings() is 'Rows that should have been embedded a quarter of an hour ago: three rounds of the schedule have passed them by, or got nowhere.';
revoke all on function private.stuck_embeddings() from public;

create function public.stuck_embedding_jobs() returns table (
    source_table text, source_id text, status text, problem text, since timestamptz, retry_count integer, last_error text
)
language plpgsql
stable
security definer -- as enqueue_embedding()
set search_path = ''
as $$
begin
    perform private.require_admin();
    return query
    select q.source_table, q.source_id, q.status,
        case
            when q.visible_at >= clock_timestamp() - interval '15 minutes' then 'is taken, and never gets done'
            when q.lease_token is not null then 'its worker ended without a word'
            else 'waits, and nobody takes it'
        end,
        least(q.visible_at, q.created_at), q.retry_count, q.last_error
    from private.stuck_embeddings() as q
    order by 5
    limit 1000;
end
$$;
comment on function public.stuck_embedding_jobs() is 'Rows that have been due for a quarter of an hour: three rounds of the schedule have passed them by, or got nowhere.';
revoke all on function public.stuck_embedding_jobs() from public, anon, authenticated;
grant execute on function public.stuck_embedding_jobs() to authenticated, service_role;

create function public.clean_up_embedding_queue() returns bigint
language plpgsql
security definer -- as enqueue_embedding()
set search_path = ''
as $$
declare
    removed bigint;
begin
    perform private.require_admin();
    -- But a text that somebody gave is nowhere else.
    delete from public.embedding_sync_queue
    where content is null
        and processed_at < clock_timestamp() - make_interval(days => (private.setting('keep_completed_jobs_days') #>> '{}')::integer);
    get diagnostics removed = row_count;
    delete from private.embedding_stock where created_at < now() - interval '7 days';
    return removed;
end
$$;
comment on function public.clean_up_embedding_queue() is 'Removes completed rows that have served their time. Scheduled daily.';
revoke all on function public.clean_up_embedding_queue() from public, anon, authenticated;
grant execute on function public.clean_up_embedding_queue() to authenticated, service_role;

select cron.schedule('accord-embeddings-cleanup', '27 3 * * *', 'select public.clean_up_embedding_queue()');

grant select on private.embedding_sources to authenticated, service_role;
create policy "administrators read sources" on private.embedding_sources
    for select to authenticated using ((select public.is_admin()));

create view public.embedding_sync_status with (security_invoker = true) as
select
    counted.*,
    -- What is not queued yet: a table that is being caught up with.
    exists (select from private.embedding_backfills as b where b.source_table = counted.source_table) as is_catching_up,
    -- Null, and so the next but one: the table is locked or cannot be read.
    coverage.eligible,
    coverage.embedded,
    case when coverage.eligible > 0 then round(least(1, coverage.embedded::numeric / coverage.eligible), 4) when coverage.eligible = 0 then 1 end
        as coverage
from (
    select
        s.source_table,
        count(*) filter (where q.status = 'pending') as pending,
        count(*) filter (where q.status = 'processing') as processing,
        count(*) filter (where q.status = 'completed') as completed,
        count(*) filter (where q.status = 'failed') as failed,
        min(q.created_at) filter (where q.status in ('pending', 'processing')) as oldest_pending,
        -- Rows a minute, over the last five.
        round(count(*) filter (where q.processed_at > now() - interval '5 minutes') / 5.0, 1) as rate,
        make_interval(
            secs => (
                300.0 * count(*) filter (where q.status in ('pending', 'processing'))
                / nullif(count(*) filter (where q.processed_at > now() - interval '5 minutes'), 0)
            )::double precision
        ) as eta
    from private.embedding_sources as s
    left join public.embedding_sync_queue as q on q.source_table = s.source_table
    group by s.source_table
) as counted
join private.embedding_sources as source on source.source_table = counted.source_table
left join private.embedding_profiles as active on active.state = 'active'
cross join lateral (
    select private.count_eligible(counted.source_table) as eligible, private.count_embedded(source.source_table, active.name) as embedded
) as coverage;
comment on view public.embedding_sync_status is 'Each source at a glance: what waits, since when, how fast it goes and how long it will take.';
revoke all on public.embedding_sync_status from anon, authenticated;
grant select on public.embedding_sync_status to authenticated, service_role;

grant select on private.embedding_backfills to authenticated, service_role;
create policy "administrators read backfills" on private.embedding_backfills
    for select to authenticated using ((select public.is_admin()));
grant execute on function private.has_nearest_index(text) to authenticated, service_role;
grant execute on function private.partition_of(text) to authenticated, service_role;

create view public.embedding_profile_status with (security_invoker = true) as
select
    p.name,
    p.state,
    p.provider,
    p.model,
    p.dimensions,
    p.chunk_tokens,
    p.chunk_overlap,
    p.template,
    coverage.eligible,
    coverage.embedded,
    case when coverage.eligible > 0 then round(least(1, coverage.embedded / coverage.eligible), 4) else 1 end as coverage,
    private.has_nearest_index(p.name) as is_indexed,
    p.created_at,
    p.activated_at
from private.embedding_profiles as p
cross join lateral (
    -- Of the tables that can be read.
    select
        coalesce(sum(counted.eligible), 0) as eligible,
        coalesce(sum(private.count_embedded(counted.source_table, p.name)) filter (where counted.eligible is not null), 0) as embedded
    from (select s.source_table, private.count_eligible(s.source_table) as eligible from private.embedding_sources as s offset 0) as counted
) as coverage;
comment on view public.embedding_profile_status is 'Each profile at a glance: whether search uses it, and how many of the rows it covers.';
revoke all on public.embedding_profile_status from anon, authenticated;
grant select on public.embedding_profile_status to authenticated, service_role;

create function public.embedding_spending() returns jsonb
language plpgsql
stable
security definer -- as verify_embeddings()
set search_path = ''
as $$
begin
    perform private.require_admin();
    return (
        select jsonb_agg(jsonb_build_object(
            'period', b.period, 'costUsd', b.spent, 'budgetUsd', nullif(b.budget, 0),
            'requests', c.requests, 'tokens', c.tokens, 'tokensSaved', c.tokens_saved
        ) order by b.period)
        from private.embedding_budgets() as b
        cross join lateral (
            select
                coalesce(sum(d.requests), 0) as requests,
                coalesce(sum(d.tokens), 0) as tokens,
                coalesce(sum(d.tokens_saved_unchanged + d.tokens_saved_reused + d.tokens_saved_coalesced), 0) as tokens_saved
            from public.embedding_costs as d
            where d.day >= case b.period
                when 'daily' then (now() at time zone 'UTC')::date
                else date_trunc('month', now() at time zone 'UTC')::date
            end
        ) as c
    );
end
$$;
comment on function public.embedding_spending() is 'What was spent and saved today and this month, and of which budget.';
revoke all on function public.embedding_spending() from public, anon, authenticated;
grant execute on function public.embedding_spending() to authenticated, service_role;

-- Alerts --------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'embedding_failed_alert_rows', '10', 'From so many failed rows on an alert is raised.', minimum => 1, maximum => 1000000
);

create function private.watch_embeddings() returns void
language plpgsql
set search_path = ''
as $$
declare
    stuck bigint;
    failed bigint;
begin
    select count(*) into stuck from private.stuck_embeddings();
    select count(*) into failed from public.embedding_sync_queue as q where q.failed_at is not null;
    perform private.set_alert(stuck > 0, 'embeddings_stuck', format(
        '%s rows have been due for a quarter of an hour and are not embedded. See stuck_embedding_jobs(); run accord doctor.', stuck
    ));
    perform private.set_alert(
        failed >= (private.setting('embedding_failed_alert_rows') #>> '{}')::integer, 'embeddings_failed',
        format('%s rows could not be embedded. See last_error in embedding_sync_queue, then run accord retry.', failed)
    );
    perform private.watch_embedding_budgets();
    perform private.watch_sources();
    -- Who runs this is the schedule itself, so it ticks.
    perform private.set_alert(false, 'schedule_stopped', '');
end
$$;
comment on function private.watch_embeddings() is 'Raises and resolves the alerts about embeddings. Called by the schedule.';
revoke all on function private.watch_embeddings() from public;

create function private.watch_schedule() returns void
language plpgsql
set search_path = ''
as $$
declare
    last_run timestamptz;
    last_failure timestamptz;
begin
    select max(d.start_time) filter (where d.status = 'succeeded'), max(d.start_time) filter (where d.status = 'failed')
    into last_run, last_failure
    from cron.job_run_details as d
    join cron.job as j using (jobid)
    where j.jobname = 'accord-embeddings';
    if coalesce(last_run, pg_postmaster_start_time()) < now() - interval '20 minutes'
        and pg_postmaster_start_time() < now() - interval '20 minutes'
    then
        perform private.raise_alert('schedule_stopped', '', case
            when last_failure > now() - interval '20 minutes'
                then 'Every run of accord-embeddings has failed for twenty minutes. See return_message in cron.job_run_details.'
            else 'pg_cron has not run accord-embeddings for twenty minutes. Restart the database, or see Integrations, Cron in the dashboard.'
        end);
    end if;
end
$$;
comment on function private.watch_schedule() is 'Raises an alert when the schedule has stopped, or none of its runs succeeds. Called by workers that somebody else woke.';
revoke all on function private.watch_schedule() from public;

create function private.verify_and_resync(only_source text default null) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    active constant text := (select p.name from private.embedding_profiles as p where p.state = 'active');
    source text;
    found_problems text;
    unexamined text;
    repaired bigint := 0::bigint;
begin
    for source in
        select s.source_table from private.embedding_sources as s
        where only_source is null or s.source_table = only_source
        order by s.source_table
    loop
        select string_agg(format('%s %s', v.n, v.problem), ', ' order by v.problem) filter (where v.is_row),
            min(v.problem) filter (where not v.is_row)
        into found_problems, unexamined
        from (
            select d.problem, d.source_id is not null as is_row, count(*) as n
            from private.differing_embeddings(active, source) as d
            where d.queued is null
            group by 1, 2
        ) as v;
        if unexamined = 'locked' then
            -- Nothing is wrong with it that is known.
            raise warning 'Table "%" was locked and is not proven this time', source;
            continue;
        end if;
        -- One that cannot be read is told there.
        if found_problems is not null or unexamined is not null then
            repaired := repaired + private.resync(active, source);
        end if;
        if found_problems is not null then
            perform private.raise_alert('embeddings_differ', source, format(
                'Rows of "%s" and their embeddings differed where no edit was waiting: %s. They have been queued; the next night tells whether it helped.',
                source, found_problems
            ));
        elsif unexamined is null then
            perform private.resolve_alert('embeddings_differ', source);
        end if;
    end loop;
    return repaired;
end
$$;
comment on function private.verify_and_resync(text) is 'Proves that rows and embeddings agree, and has put right what does not.';
revoke all on function private.verify_and_resync(text) from public;

select cron.schedule(
    'accord-embeddings-verify',
    '43 2 * * *',
    -- A transaction for each source: nobody who changes one table waits for the proof of another.
    $command$
    do $prove$
    declare
        source text;
    begin
        for source in select s.source_table from private.embedding_sources as s order by s.source_table loop
            perform private.verify_and_resync(source);
            commit;
        end loop;
    end
    $prove$
    $command$
);

-- Health --------------------------------------------------------------------------------------------------------------

create function private.embeddings_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules and triggers
set search_path = ''
as $$
    select s.* from private.schedule_health('accord-embeddings', 'accord-embeddings-cleanup', 'accord-embeddings-verify') as s

    union all

    -- Three rounds of the schedule; a server that has just started has had none.
    select
        'schedules tick',
        coalesce(
            ticks.last_run > now() - interval '15 minutes' or pg_postmaster_start_time() > now() - interval '15 minutes'
                or wanted_since.at > now() - interval '15 minutes',
            false
        ),
        coalesce('last success ' || to_char(ticks.last_run at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'no run yet'),
        case
            when ticks.last_run > now() - interval '15 minutes' or pg_postmaster_start_time() > now() - interval '15 minutes'
                or wanted_since.at > now() - interval '15 minutes' then null
            when ticks.last_failure > now() - interval '15 minutes' then 'Its runs fail. See return_message in cron.job_run_details.'
            else 'pg_cron has stopped. Restart the database, or see Integrations, Cron in the dashboard.'
        end
    from (
        select
            max(d.start_time) filter (where d.status = 'succeeded') as last_run,
            max(d.start_time) filter (where d.status = 'failed') as last_failure
        from cron.job_run_details as d
        join cron.job as j using (jobid)
        where j.jobname = 'accord-embeddings'
    ) as ticks
    cross join (select max(s.created_at) as at from private.embedding_sources as s) as wanted_since

    union all

    select
        'triggers of ' || s.source_table,
        standing.enabled = 4 and not standing.overlooks,
        case
            when standing.enabled <> 4 then format('%s of 4 in place', standing.enabled)
            when standing.overlooks then 'a BEFORE trigger was added since, whose changes they overlook'
            else 'enabled'
        end,
        case when standing.enabled <> 4 or standing.overlooks then format(
            'Run: select public.register_embedding_source(%L, %L, %L%s); select public.resync_embeddings(%L);',
            s.relation, s.content, s.published, coalesce(', ' || s.chunk_tokens, '') || coalesce(', ' || s.chunk_overlap, ''), s.source_table
        ) end
    from private.present_sources as s
    cross join lateral (
        select
            count(*) filter (where t.tgenabled in ('O', 'A')) as enabled,
            private.rewrites_updates(s.relation) and coalesce(bool_or(array_length(t.tgattr, 1) > 0), false) as overlooks
        from pg_catalog.pg_trigger as t
        where t.tgrelid = s.relation and t.tgname like 'accord\_embed\_%' and not t.tgisinternal
    ) as standing

    union all

    select
        'source ' || s.source_table,
        told.message is null and coalesce(f.state, '55P03') = '55P03',
        case
            when f.state is not null then f.reason
            when told.message is not null then 'a row of it could not be read'
            else 'its expressions fit'
        end,
        case
            when coalesce(f.state, '55P03') <> '55P03' then private.broken_source_mend(s.source_table)
            else told.message
        end
    from private.present_sources as s
    cross join lateral private.source_fault(s.source_table) as f
    left join public.alerts as told
        on told.kind = 'embedding_source_broken' and told.subject = s.source_table and told.resolved_at is null

    union all

    select
        'embedding queue',
        count(*) filter (where q.failed_at is not null) = 0 and not exists (select from private.stuck_embeddings()),
        format(
            '%s failed, %s waiting',
            count(*) filter (where q.failed_at is not null),
            count(*) filter (where q.processed_at is null and q.failed_at is null)
        ),
        case
            when count(*) filter (where q.failed_at is not null) > 0 then 'See last_error in embedding_sync_queue, then run: accord retry.'
            when exists (select from private.stuck_embeddings())
                then 'What is due does not get done: see stuck_embedding_jobs(). Run: accord process; and see that the schedule ticks.'
        end
    from public.embedding_sync_queue as q;
$$;
revoke all on function private.embeddings_health() from public;

-- What is embedded from the start ---------------------------------------------------------------------------------------

select public.register_embedding_source('public.faq_items', $$concat_ws(E'\n\n', question, answer)$$, 'is_published');
select public.register_embedding_source('public.documents', $$concat_ws(E'\n\n', title, content)$$, 'is_published');

-- What people see of embeddings and do about them: status, resync, retry, health.

-- People --------------------------------------------------------------------------------------------------------------

create function private.require_source(source_table text) returns private.embedding_sources
language plpgsql
stable
set search_path = ''
as $$
declare
    source private.embedding_sources;
begin
    select * into source from private.embedding_sources as s where s.source_table = require_source.source_table;
    if not found then
        raise exception 'Table "%" is not registered', source_table
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'Registered are: ' || (select string_agg(s.source_table, ', ' order by s.source_table) from private.embedding_sources as s)
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
begin
    perform private.require_admin();
    source := private.require_source(source_table);
    begin
        -- An id that cannot be one of this table's would fail whole batches later on.
        execute format(
            'select from %s as %I where %s', source.relation, private.name_of(source.relation),
            private.source_match(source, quote_literal(source_id))
        );
    exception when data_exception then
        raise exception '"%" cannot be a key of %: %', source_id, source_table, sqlerrm
            using errcode = 'invalid_parameter_value', hint = case cardinality(source.key_columns)
                when 1 then format('The key is %s.', source.key_columns[1])
                else format('The key is a JSON object of %s.', array_to_string(source.key_columns, ', '))
            end;
    end;
    perform private.enqueue_embeddings(source.source_table, array[source_id], 'update', content);
end
$$;
comment on function public.enqueue_embedding(text, text, text) is 'Has one row embedded again; content, if given, in place of its own text until its next edit.';
revoke all on function public.enqueue_embedding(text, text, text) from public, anon, authenticated;
grant execute on function public.enqueue_embedding(text, text, text) to authenticated, service_role;

create function public.resync_embeddings(source_table text default null) returns bigint
language plpgsql
security definer -- as enqueue_embedding()
set search_path = ''
set statement_timeout = '5min'
as $$
begin
    perform private.require_admin();
    if source_table is not null then
        perform private.require_source(source_table);
    end if;
    return (
        select coalesce(sum(private.enqueue_source(s.source_table)), 0)::bigint
        from private.embedding_sources as s
        where resync_embeddings.source_table is null or s.source_table = resync_embeddings.source_table
    );
end
$$;
comment on function public.resync_embeddings(text) is 'Has every row looked at again; what is unchanged costs nothing. Gives the number of rows.';
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
    if revived > 0 and private.setting('embedding_wake') = '"immediate"' then
        insert into private.embedding_wishes default values on conflict do nothing;
    end if;
    return revived;
end
$$;
comment on function public.retry_failed_embeddings(text) is 'Gives failed rows all their attempts again, and tells how many.';
revoke all on function public.retry_failed_embeddings(text) from public, anon, authenticated;
grant execute on function public.retry_failed_embeddings(text) to authenticated, service_role;

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
            when q.lease_token is not null then 'its worker ended without a word'
            else 'waits, and nobody takes it'
        end,
        q.visible_at, q.retry_count, q.last_error
    from public.embedding_sync_queue as q
    where q.processed_at is null and q.failed_at is null and q.visible_at < clock_timestamp() - interval '15 minutes'
    order by q.visible_at
    limit 1000;
end
$$;
comment on function public.stuck_embedding_jobs() is 'Rows that have been due for a quarter of an hour: three rounds of the schedule have passed them by.';
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
    delete from public.embedding_sync_queue
    where processed_at < clock_timestamp() - make_interval(days => (private.setting('keep_completed_jobs_days') #>> '{}')::integer);
    get diagnostics removed = row_count;
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
group by s.source_table;
comment on view public.embedding_sync_status is 'Each source at a glance: what waits, since when, how fast it goes and how long it will take.';
revoke all on public.embedding_sync_status from anon, authenticated;
grant select on public.embedding_sync_status to authenticated, service_role;

-- Health --------------------------------------------------------------------------------------------------------------

create function private.embeddings_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules and triggers
set search_path = ''
as $$
    select
        'schedule ' || wanted.name,
        coalesce(j.active, false),
        case when j.jobid is null then 'not scheduled' when j.active then j.schedule else 'switched off' end,
        case
            when j.jobid is null then 'Run the migrations again: supabase db push.'
            when not j.active then format('Run: select cron.alter_job(%s, active := true);', j.jobid)
        end
    from (values ('accord-embeddings'), ('accord-embeddings-cleanup')) as wanted (name)
    left join cron.job as j on j.jobname = wanted.name

    union all

    -- Three rounds of the schedule; a server that has just started has had none.
    select
        'schedules tick',
        ticks.last_run > now() - interval '15 minutes' or pg_postmaster_start_time() > now() - interval '15 minutes'
            or wanted_since.at > now() - interval '15 minutes',
        coalesce('last run ' || to_char(ticks.last_run at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'no run yet'),
        case
            when ticks.last_run > now() - interval '15 minutes' or pg_postmaster_start_time() > now() - interval '15 minutes'
                or wanted_since.at > now() - interval '15 minutes' then null
            else 'pg_cron has stopped. Restart the database, or see Integrations, Cron in the dashboard.'
        end
    from (
        select max(d.start_time) as last_run
        from cron.job_run_details as d
        join cron.job as j using (jobid)
        where j.jobname = 'accord-embeddings'
    ) as ticks
    cross join (select max(s.created_at) as at from private.embedding_sources as s) as wanted_since

    union all

    select
        'triggers of ' || s.source_table,
        count(*) filter (where t.tgenabled in ('O', 'A')) = 4,
        case
            when count(*) filter (where t.tgenabled in ('O', 'A')) = 4 then 'enabled'
            else format('%s of 4 in place', count(*) filter (where t.tgenabled in ('O', 'A')))
        end,
        case when count(*) filter (where t.tgenabled in ('O', 'A')) <> 4 then format(
            'Run: select public.register_embedding_source(%L, %L, %L); select public.resync_embeddings(%L);',
            s.relation, s.content, s.published, s.source_table
        ) end
    from private.embedding_sources as s
    left join pg_catalog.pg_trigger as t on t.tgrelid = s.relation and t.tgname like 'accord\_embed\_%' and not t.tgisinternal
    group by s.source_table, s.relation, s.content, s.published

    union all

    select
        'embedding queue',
        count(*) filter (where q.failed_at is not null) = 0
            and coalesce(min(q.visible_at) filter (where q.processed_at is null and q.failed_at is null), now()) > now() - interval '15 minutes',
        format(
            '%s failed, %s waiting',
            count(*) filter (where q.failed_at is not null),
            count(*) filter (where q.processed_at is null and q.failed_at is null)
        ),
        case
            when count(*) filter (where q.failed_at is not null) > 0 then 'See last_error in embedding_sync_queue, then run: accord retry.'
            when min(q.visible_at) filter (where q.processed_at is null and q.failed_at is null) < now() - interval '15 minutes'
                then 'Nothing takes what is due. Run: accord process; and see that the schedule ticks.'
        end
    from public.embedding_sync_queue as q;
$$;
revoke all on function private.embeddings_health() from public;

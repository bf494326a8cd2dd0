-- Coherence, as people and programs read it.
--
--   history   what each scheduled check found, and the trend of it
--   report    every pair as it is now, or as the last check found it

-- History -------------------------------------------------------------------------------------------------------------

create table public.coherence_history (
    id bigint generated always as identity primary key,
    checked_at timestamptz not null default now(),
    pair text not null,
    source_count bigint not null,
    copy_count bigint not null,
    missing bigint not null,
    stale bigint not null,
    orphan bigint not null,
    in_flight bigint not null,
    verdict text not null check (verdict in ('ok', 'auto_sync', 'alert'))
);
comment on table public.coherence_history is 'What each scheduled check found, a row for each pair.';
create index coherence_history_checked_at on public.coherence_history (checked_at);
alter table public.coherence_history enable row level security;
grant select on public.coherence_history to authenticated, service_role;
create policy "administrators read the history" on public.coherence_history
    for select to authenticated using ((select public.is_admin()));

create function private.keep_history(judged private.judged_pair[]) returns void
language sql
set search_path = ''
as $$
    insert into public.coherence_history (pair, source_count, copy_count, missing, stale, orphan, in_flight, verdict)
    select
        (j.pair).name, (j.pair).source_count, (j.pair).copy_count, (j.pair).missing, (j.pair).stale, (j.pair).orphan,
        (j.pair).in_flight, j.verdict
    from unnest(judged) as j;
$$;
revoke all on function private.keep_history(private.judged_pair[]) from public;

create function public.coherence_trend(days integer default 7) returns jsonb
language plpgsql
stable
security definer -- as coherence_report()
set search_path = ''
as $$
begin
    perform private.require_admin();
    if days is null or days not between 1 and 3650 then
        raise exception 'days must be from 1 to 3650, not %', days using errcode = 'invalid_parameter_value';
    end if;
    return (
        -- Of each hour, or each day of a longer time, the check that found the most.
        select coalesce(jsonb_agg(jsonb_build_object(
            'pair', t.pair, 'at', to_char(t.slot, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'checks', t.checks, 'sourceCount', t.source_count,
            'copyCount', t.copy_count, 'missing', t.missing, 'stale', t.stale, 'orphan', t.orphan, 'verdict', t.verdict
        ) order by t.pair, t.slot), '[]')
        from (
            select distinct on (h.pair, slots.slot) h.*, slots.slot, count(*) over (partition by h.pair, slots.slot) as checks
            from public.coherence_history as h
            cross join lateral (
                select date_trunc(case when days <= 2 then 'hour' else 'day' end, h.checked_at at time zone 'UTC') as slot
            ) as slots
            where h.checked_at > now() - make_interval(days => days)
            order by
                h.pair, slots.slot, array_position(array['alert', 'auto_sync', 'ok'], h.verdict),
                h.missing + h.stale + h.orphan desc, h.id desc
        ) as t
    );
end
$$;
comment on function public.coherence_trend(integer) is
    'The history, pair by pair: the worst check of each day, or of each hour of two days at most.';
revoke all on function public.coherence_trend(integer) from public, anon, authenticated;
grant execute on function public.coherence_trend(integer) to authenticated, service_role;

-- Report --------------------------------------------------------------------------------------------------------------

create function private.coherence_action(judged private.judged_pair) returns text
language sql
stable
set search_path = ''
as $$
    select nullif(concat_ws(
        ' ',
        (judged.pair).problem,
        case
            when (judged.pair).missing + (judged.pair).stale + (judged.pair).orphan <= (judged.pair).waiting then null
            when private.breaks_copy((judged.pair).source_count, (judged.pair).copy_count, (judged.pair).orphan) then format(
                '%s of %s copies have no source. See that it is complete; if so, run: %s',
                (judged.pair).orphan, (judged.pair).copy_count, (judged.pair).by_hand
            )
            when judged.drift = 'alert' or (judged.pair).repair is null then 'Run: ' || (judged.pair).by_hand
            when judged.drift = 'auto_sync' or (judged.pair).overdue + (judged.pair).orphan > 0
                then 'Is put right in the background; at once: ' || (judged.pair).by_hand
            else format(
                'Heals by itself when older than %s; at once: %s',
                justify_hours(make_interval(secs => (private.setting('coherence_heal_after_seconds') #>> '{}')::double precision)),
                (judged.pair).by_hand
            )
        end
    ), '');
$$;
comment on function private.coherence_action(private.judged_pair) is 'What is to be done about a pair, or will be; null where nothing is.';
revoke all on function private.coherence_action(private.judged_pair) from public;

create function private.report_of(judged private.judged_pair[]) returns jsonb
language sql
stable
set search_path = ''
as $$
    select jsonb_build_object(
        'generatedAt', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'verdict', coalesce((array['ok', 'auto_sync', 'alert'])[max(array_position(array['ok', 'auto_sync', 'alert'], j.verdict))], 'ok'),
        'pairs', coalesce(jsonb_agg(jsonb_build_object(
            'name', (j.pair).name,
            'sourceCount', (j.pair).source_count,
            'copyCount', (j.pair).copy_count,
            'missing', (j.pair).missing,
            'stale', (j.pair).stale,
            'orphan', (j.pair).orphan,
            'inFlight', (j.pair).in_flight,
            'waiting', (j.pair).waiting,
            -- Of the source, how much is missing or stale: what the thresholds are about.
            'ratio', round(((j.pair).missing + (j.pair).stale) / greatest((j.pair).source_count, 1)::numeric, 6),
            'verdict', j.verdict,
            'action', private.coherence_action(row(j.pair, j.drift, j.verdict, j.is_examined)::private.judged_pair),
            'detail', (j.pair).detail
        ) order by j.place), '[]')
    )
    from unnest(judged) with ordinality as j (pair, drift, verdict, is_examined, place);
$$;
comment on function private.report_of(private.judged_pair[]) is 'Judged pairs as the contract has them.';
revoke all on function private.report_of(private.judged_pair[]) from public;

create table private.coherence_checks (
    is_only_row boolean primary key default true check (is_only_row),
    checked_at timestamptz not null default '-infinity',
    -- From which it is to be checked regularly.
    installed_at timestamptz not null default now(),
    took interval not null default '0',
    report jsonb
);
insert into private.coherence_checks default values;
comment on table private.coherence_checks is
    'When the house was last examined by the schedule, how long that took with what it had done about it, and what it found.';
alter table private.coherence_checks enable row level security;

create function public.coherence_report(keep boolean default false) returns jsonb
language plpgsql
security definer -- compares tables past their policies; require_admin() keeps everybody else out
set search_path = ''
set statement_timeout = '5min'
set lock_timeout = '5s' -- who holds a table keeps its pair from being examined, and no other
as $$
declare
    judged private.judged_pair[];
begin
    perform private.require_admin();
    judged := array(select j from private.judge_pairs() as j);
    if keep then
        perform private.keep_history(judged);
    end if;
    return private.report_of(judged);
end
$$;
comment on function public.coherence_report(boolean) is
    'Whether sources and copies agree in the whole house: every pair, and one verdict. With keep it goes into the history.';
revoke all on function public.coherence_report(boolean) from public, anon, authenticated;
grant execute on function public.coherence_report(boolean) to authenticated, service_role;

create function public.last_coherence_report() returns jsonb
language plpgsql
stable
security definer -- as coherence_report()
set search_path = ''
as $$
begin
    perform private.require_admin();
    return (select c.report from private.coherence_checks as c);
end
$$;
comment on function public.last_coherence_report() is
    'What the schedule found last, for whoever asks often: nothing is compared. Null where it has not checked yet.';
revoke all on function public.last_coherence_report() from public, anon, authenticated;
grant execute on function public.last_coherence_report() to authenticated, service_role;

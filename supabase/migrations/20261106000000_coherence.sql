-- Coherence: whether sources and copies agree, in the whole house, and the mending of what does not.
--
--   pairs        a source and its copy; each capability tells its own; one verdict on how far they may differ
--   report       every pair, and their history
--   embeddings   the pair of each registered source; the file after this one has those of buckets
--   repair       what is safe, by itself and when asked for
--   schedule     the check every five minutes, its alerts, and what must be in place
--
-- Pairs are compared in sets and both ways, never by two counts, which agree when one row is lacking and another is too
-- many.

-- Settings ------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'coherence_auto_percent',
    '5',
    'From this share of missing and stale rows on, of its source, a pair is put right in the background; below it what is old heals.',
    kind => 'number',
    minimum => 0,
    maximum => 100
);
select private.define_setting(
    'coherence_alert_rows',
    '100000',
    'With more missing and stale rows than this nothing is put right by itself: an alert names the command for a person.',
    minimum => 0,
    maximum => 1000000000
);
select private.define_setting(
    'coherence_orphan_percent',
    '20',
    'With more orphans than this share of the copy none is removed by itself: the source may be a backup, or emptied by mistake.',
    kind => 'number',
    minimum => 0,
    maximum => 100
);
select private.define_setting(
    'coherence_orphan_rows', '20', 'So few orphans are removed whatever share of the copy they are.', minimum => 0, maximum => 1000000
);
select private.define_setting(
    'coherence_grace_seconds', '300', 'An object that has changed within so many seconds is in flight: neither missing nor stale.', minimum => 0, maximum => 86400
);
select private.define_setting(
    'coherence_heal_after_seconds',
    '86400',
    'What is missing or stale for longer than this heals by itself, however little it is.',
    minimum => 0,
    maximum => 31536000
);
select private.define_setting(
    'coherence_history_days', '90', 'Days for which the outcome of each scheduled check is kept.', minimum => 1, maximum => 3650
);

-- Pairs ---------------------------------------------------------------------------------------------------------------

create type private.coherence_pair as (
    name text,
    source_count bigint,
    copy_count bigint,
    -- In the source and not in the copy; in both, and different; in the copy alone.
    missing bigint,
    stale bigint,
    orphan bigint,
    -- What somebody is about to put right: none of the three.
    in_flight bigint,
    -- Of the missing and stale, those that have waited for coherence_heal_after_seconds.
    overdue bigint,
    detail text,
    -- What keeps the pair from staying in agreement until a person mends it, with the way out; null where nothing does.
    problem text,
    -- An SQL call that puts the pair right, or begins to, and gives the number of rows; safe at any time. $1 in it is
    -- the age from which what differs is to be put right. Null where there is none.
    repair text,
    -- The exact command for a person.
    by_hand text
);
comment on type private.coherence_pair is
    'A source and its copy. A capability tells its own by any function in `private` that returns a set of these and takes no argument.';

create type private.judged_pair as (
    pair private.coherence_pair,
    -- What the thresholds say of how far it differs: at alert nothing is done by itself.
    drift text,
    -- What is told: alert also where a person has to mend something else first.
    verdict text
);

create function private.breaks_copy(copy_count bigint, orphan bigint) returns boolean
language sql
stable
set search_path = ''
as $$
    select orphan > (private.setting('coherence_orphan_rows') #>> '{}')::bigint
        and orphan * 100 > copy_count * (private.setting('coherence_orphan_percent') #>> '{}')::numeric;
$$;
comment on function private.breaks_copy(bigint, bigint) is
    'The breaker: whether so much of a copy lacks its source that the source is to be doubted, and not the copy.';
revoke all on function private.breaks_copy(bigint, bigint) from public;

create function private.coherence_verdict(
    source_count bigint, copy_count bigint, missing bigint, stale bigint, orphan bigint
) returns text
language sql
stable
set search_path = ''
as $$
    select case
        when missing + stale > (private.setting('coherence_alert_rows') #>> '{}')::bigint then 'alert'
        when private.breaks_copy(copy_count, orphan) then 'alert'
        when missing + stale > 0
            and (missing + stale) * 100 >= source_count * (private.setting('coherence_auto_percent') #>> '{}')::numeric then 'auto_sync'
        else 'ok'
    end;
$$;
comment on function private.coherence_verdict(bigint, bigint, bigint, bigint, bigint) is
    'How far source and copy may differ: ok, auto_sync in the background, or alert, where nothing is done by itself. Whoever judges asks here.';
revoke all on function private.coherence_verdict(bigint, bigint, bigint, bigint, bigint) from public;

create function private.judge_pairs() returns setof private.judged_pair
language plpgsql
set search_path = ''
as $$
declare
    teller regprocedure;
    pairs private.coherence_pair[];
    unexamined private.coherence_pair;
begin
    for teller in
        select p.oid::regprocedure
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'private'::regnamespace
            and p.prorettype = 'private.coherence_pair'::regtype
            and p.pronargs = 0
        order by p.oid
    loop
        begin
            execute format('select array_agg(p) from %s as p', teller::text) into pairs;
        exception when others then
            -- One that cannot be examined is told, and hides none of the others.
            unexamined := null;
            unexamined.name := teller::text;
            unexamined.problem := format('It cannot be examined: %s', sqlerrm);
            pairs := array[unexamined];
        end;
        return query
        select
            row(
                p.name, coalesce(p.source_count, 0), coalesce(p.copy_count, 0), coalesce(p.missing, 0), coalesce(p.stale, 0),
                coalesce(p.orphan, 0), coalesce(p.in_flight, 0), coalesce(p.overdue, 0), p.detail, p.problem, p.repair, p.by_hand
            )::private.coherence_pair,
            judged.drift,
            case when p.problem is null then judged.drift else 'alert' end
        from unnest(pairs) as p
        cross join lateral (
            select private.coherence_verdict(
                coalesce(p.source_count, 0), coalesce(p.copy_count, 0), coalesce(p.missing, 0), coalesce(p.stale, 0), coalesce(p.orphan, 0)
            ) as drift
        ) as judged;
    end loop;
end
$$;
comment on function private.judge_pairs() is 'Every pair of the house as it is now, with its verdict.';
revoke all on function private.judge_pairs() from public;

-- Report --------------------------------------------------------------------------------------------------------------

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

create function private.coherence_action(judged private.judged_pair) returns text
language sql
stable
set search_path = ''
as $$
    select nullif(concat_ws(
        ' ',
        (judged.pair).problem,
        case
            when (judged.pair).missing + (judged.pair).stale + (judged.pair).orphan = 0 then null
            when private.breaks_copy((judged.pair).copy_count, (judged.pair).orphan) then format(
                '%s of %s copies have no source. See that it is complete; if so, run: %s',
                (judged.pair).orphan, (judged.pair).copy_count, (judged.pair).by_hand
            )
            when judged.drift = 'alert' or (judged.pair).repair is null then 'Run: ' || (judged.pair).by_hand
            when judged.drift = 'auto_sync' or (judged.pair).overdue + (judged.pair).orphan > 0
                then 'Is put right in the background; at once: npm run accord -- coherence repair'
            else format(
                'Heals by itself when older than %s; at once: npm run accord -- coherence repair',
                justify_hours(make_interval(secs => (private.setting('coherence_heal_after_seconds') #>> '{}')::double precision))
            )
        end
    ), '');
$$;
comment on function private.coherence_action(private.judged_pair) is 'What is to be done about a pair, or will be; null where all agree.';
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
            -- Of the source, how much is missing or stale: what the thresholds are about.
            'ratio', round(((j.pair).missing + (j.pair).stale) / greatest((j.pair).source_count, 1)::numeric, 6),
            'verdict', j.verdict,
            'action', private.coherence_action(row(j.pair, j.drift, j.verdict)::private.judged_pair),
            'detail', (j.pair).detail
        ) order by j.place), '[]')
    )
    from unnest(judged) with ordinality as j (pair, drift, verdict, place);
$$;
comment on function private.report_of(private.judged_pair[]) is 'Judged pairs as the contract has them.';
revoke all on function private.report_of(private.judged_pair[]) from public;

create function public.coherence_report(keep boolean default false) returns jsonb
language plpgsql
security definer -- compares tables past their policies; require_admin() keeps everybody else out
set search_path = ''
set statement_timeout = '5min'
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
            order by h.pair, slots.slot, array_position(array['alert', 'auto_sync', 'ok'], h.verdict), h.missing + h.stale + h.orphan desc, h.id desc
        ) as t
    );
end
$$;
comment on function public.coherence_trend(integer) is 'The history, pair by pair: the worst check of each day, or of each hour where that is two days at most.';
revoke all on function public.coherence_trend(integer) from public, anon, authenticated;
grant execute on function public.coherence_trend(integer) to authenticated, service_role;

-- Embeddings ----------------------------------------------------------------------------------------------------------

create function private.shell_word(word text) returns text
language sql
immutable
set search_path = ''
as $$
    select case when word ~ '^[A-Za-z0-9_./:@%+=,-]+$' then word else '''' || replace(word, '''', '''\''''') || '''' end;
$$;
comment on function private.shell_word(text) is 'A word as a shell takes it, whatever is in it.';
revoke all on function private.shell_word(text) from public;

create function private.embedding_coherence() returns setof private.coherence_pair
language plpgsql
stable
security definer -- reads sources past their policies
set search_path = ''
as $$
declare
    active constant text := (select p.name from private.embedding_profiles as p where p.state = 'active');
begin
    return query
    with problems as (
        select
            v.source_table,
            -- A table that is being caught up with is gone through to its end.
            v.queued in ('pending', 'processing') or (v.queued is null and b.source_table is not null) as is_in_flight,
            v.queued is not distinct from 'failed' as has_failed,
            case v.problem when 'missing' then 'missing' when 'orphan' then 'orphan' when 'wrong_profile' then 'orphan' else 'stale' end as problem
        from (
            -- A row may differ in two ways; it is one row.
            select distinct on (p.source_table, p.source_id) p.*
            from private.embedding_problems(active) as p
            order by p.source_table, p.source_id, p.problem
        ) as v
        left join private.embedding_backfills as b on b.source_table = v.source_table
    )
    select
        'embeddings of ' || s.source_table,
        private.count_eligible(s.source_table),
        private.count_embedded(s.source_table, active),
        count(*) filter (where p.problem = 'missing' and p.is_in_flight is not true),
        count(*) filter (where p.problem = 'stale' and p.is_in_flight is not true),
        count(*) filter (where p.problem = 'orphan' and p.is_in_flight is not true),
        count(*) filter (where p.is_in_flight),
        -- How old a difference of rows is nobody knows; the proof of each night has them embedded.
        0::bigint,
        nullif(concat_ws(
            '; ',
            case when active is null then 'nothing was ever embedded' end,
            case when count(*) filter (where p.has_failed) > 0
                then format('%s failed and wait for: npm run accord -- retry', count(*) filter (where p.has_failed)) end
        ), ''),
        null,
        format('public.resync_embeddings(%L)', s.source_table),
        'npm run accord -- resync ' || private.shell_word(s.source_table)
    from private.present_sources as s
    left join problems as p on p.source_table = s.source_table
    group by s.source_table
    order by s.source_table;
end
$$;
comment on function private.embedding_coherence() is 'Each registered source and its embeddings in the active profile.';
revoke all on function private.embedding_coherence() from public;

-- Repair --------------------------------------------------------------------------------------------------------------

create function private.repair_pairs(judged private.judged_pair[], is_asked boolean) returns jsonb
language plpgsql
set search_path = ''
set lock_timeout = '100ms'
as $$
declare
    grace constant interval := make_interval(secs => (private.setting('coherence_grace_seconds') #>> '{}')::double precision);
    heal_after constant interval := make_interval(secs => (private.setting('coherence_heal_after_seconds') #>> '{}')::double precision);
    each_pair private.judged_pair;
    pair private.coherence_pair;
    rows bigint;
    done jsonb := '[]'::jsonb;
    remaining jsonb := '[]'::jsonb;
begin
    foreach each_pair in array judged loop
        pair := each_pair.pair;
        continue when pair.missing + pair.stale + pair.orphan = 0 and pair.problem is null;
        rows := null;
        if each_pair.drift <> 'alert' and pair.repair is not null and pair.missing + pair.stale + pair.orphan > 0
            and (is_asked or each_pair.drift = 'auto_sync' or pair.overdue > 0 or pair.orphan > 0)
        then
            begin
                execute 'select ' || pair.repair into rows
                using case when is_asked or each_pair.drift = 'auto_sync' then grace else greatest(grace, heal_after) end;
                done := done || jsonb_build_array(jsonb_build_object('pair', pair.name, 'rows', rows));
                continue when pair.problem is null;
            exception when lock_not_available or deadlock_detected then
                -- Somebody edits these rows. They go first.
                remaining := remaining || jsonb_build_array(jsonb_build_object(
                    'pair', pair.name, 'action', 'Somebody else held its rows; the next check tries again.'
                ));
                continue;
            end;
        end if;
        remaining := remaining || jsonb_build_array(jsonb_build_object('pair', pair.name, 'action', private.coherence_action(each_pair)));
    end loop;
    return jsonb_build_object('repaired', done, 'left', remaining);
end
$$;
comment on function private.repair_pairs(private.judged_pair[], boolean) is
    'Does what is safe: nothing where the verdict is alert; by itself what is large or old, and when asked for whatever differs.';
revoke all on function private.repair_pairs(private.judged_pair[], boolean) from public;

create function public.repair_coherence() returns jsonb
language plpgsql
security definer -- as coherence_report()
set search_path = ''
set statement_timeout = '5min'
as $$
declare
    judged private.judged_pair[];
begin
    perform private.require_admin();
    judged := array(select j from private.judge_pairs() as j);
    return private.repair_pairs(judged, true) || jsonb_build_object('report', private.report_of(judged));
end
$$;
comment on function public.repair_coherence() is
    'Has put right what differs and is safe to put right, and tells what that is and what was left; the report is that from before.';
revoke all on function public.repair_coherence() from public, anon, authenticated;
grant execute on function public.repair_coherence() to authenticated, service_role;

-- Schedule ------------------------------------------------------------------------------------------------------------

create table private.coherence_checks (
    is_only_row boolean primary key default true check (is_only_row),
    checked_at timestamptz not null default '-infinity',
    took interval not null default '0'
);
insert into private.coherence_checks default values;
comment on table private.coherence_checks is 'When the house was last examined by the schedule, and how long that took.';
alter table private.coherence_checks enable row level security;

create function private.tell_coherence(judged private.judged_pair[]) returns void
language sql
set search_path = ''
as $$
    select private.raise_alert('coherence', (j.pair).name, format(
        '%s: %s missing and %s stale of %s, %s orphans among %s copies. %s',
        (j.pair).name, (j.pair).missing, (j.pair).stale, (j.pair).source_count, (j.pair).orphan, (j.pair).copy_count,
        private.coherence_action(j)
    ))
    from unnest(judged) as j
    where j.verdict = 'alert';
    -- Also that of a pair which is no more.
    select private.resolve_alert(a.kind, a.subject)
    from public.alerts as a
    where a.kind = 'coherence' and a.resolved_at is null
        and not exists (select from unnest(judged) as j where j.verdict = 'alert' and (j.pair).name = a.subject);
$$;
comment on function private.tell_coherence(private.judged_pair[]) is 'Raises an alert for each pair that needs a person, and resolves those of the others.';
revoke all on function private.tell_coherence(private.judged_pair[]) from public;

create function private.watch_coherence() returns void
language plpgsql
set search_path = ''
as $$
declare
    began constant timestamptz := clock_timestamp();
    is_due boolean;
    judged private.judged_pair[];
begin
    -- One that takes longer than five minutes is not begun anew meanwhile.
    if not pg_try_advisory_xact_lock(hashtextextended('accord coherence', 0)) then
        return;
    end if;
    -- A large house is examined less often: that takes a twentieth of the time at most.
    select began >= c.checked_at + c.took * 20 into is_due from private.coherence_checks as c;
    if not is_due then
        return;
    end if;
    judged := array(select j from private.judge_pairs() as j);
    update private.coherence_checks set checked_at = began, took = clock_timestamp() - began;
    perform private.keep_history(judged);
    delete from public.coherence_history
    where checked_at < now() - make_interval(days => (private.setting('coherence_history_days') #>> '{}')::integer);
    perform private.tell_coherence(judged);
    -- Last, because from here on rows of queues may be held that edits wait for.
    perform private.repair_pairs(judged, false);
end
$$;
comment on function private.watch_coherence() is
    'Examines the house, tells what needs a person and has put right what needs none. Scheduled every five minutes.';
revoke all on function private.watch_coherence() from public;

select cron.schedule('accord-coherence', '*/5 * * * *', 'select private.watch_coherence()');

create function private.coherence_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules
set search_path = ''
as $$
    select s.* from private.schedule_health('accord-coherence') as s;
$$;
revoke all on function private.coherence_health() from public;

-- Coherence restored.
--
--   repair     what is safe, by itself and when asked for
--   schedule   the check every five minutes, its alerts, and what must be in place

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
    reachable bigint;
    is_time_over boolean := false;
    failed text[] := array[]::text[];
    done jsonb := '[]'::jsonb;
    remaining jsonb := '[]'::jsonb;
begin
    foreach each_pair in array judged loop
        pair := each_pair.pair;
        continue when pair.missing + pair.stale + pair.orphan = 0 and pair.problem is null;
        reachable := pair.missing + pair.stale + pair.orphan - pair.waiting;
        if each_pair.drift <> 'alert' and pair.repair is not null and reachable > 0 and not is_time_over
            and (is_asked or each_pair.drift = 'auto_sync' or pair.overdue > 0 or pair.orphan > 0)
        then
            begin
                execute 'select ' || pair.repair
                using case when is_asked or each_pair.drift = 'auto_sync' then grace else greatest(grace, heal_after) end;
                done := done || jsonb_build_array(jsonb_build_object('pair', pair.name, 'rows', reachable));
                continue when pair.problem is null;
            exception
                when lock_not_available or deadlock_detected then
                    -- Somebody edits these rows. They go first.
                    remaining := remaining || jsonb_build_array(jsonb_build_object(
                        'pair', pair.name, 'action', 'Somebody else held its rows; the next check tries again.'
                    ));
                    continue;
                when others or query_canceled or assert_failure then
                    -- It takes neither the other pairs along nor what the check has found. Whoever cancels is obeyed: none
                    -- is begun after that.
                    is_time_over := sqlstate = '57014';
                    failed := failed || pair.name;
                    perform private.raise_alert(
                        'coherence_repair', pair.name,
                        format('%s cannot be put right (SQLSTATE %s): %s', pair.name, sqlstate, left(sqlerrm, 300))
                    );
                    remaining := remaining || jsonb_build_array(jsonb_build_object(
                        'pair', pair.name,
                        'action', format('It cannot be put right (SQLSTATE %s): %s', sqlstate, left(sqlerrm, 300))
                    ));
                    continue;
            end;
        end if;
        remaining := remaining || jsonb_build_array(jsonb_build_object('pair', pair.name, 'action', private.coherence_action(each_pair)));
    end loop;
    perform private.resolve_alert(a.kind, a.subject)
    from public.alerts as a
    where a.kind = 'coherence_repair' and a.resolved_at is null and a.subject <> all (failed);
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
set lock_timeout = '5s'
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

create function private.tell_coherence(judged private.judged_pair[]) returns void
language sql
set search_path = ''
as $$
    select private.raise_alert('coherence', (j.pair).name, case
        when j.is_examined then format(
            '%s: %s missing and %s stale of %s, %s orphans among %s copies. %s',
            (j.pair).name, (j.pair).missing, (j.pair).stale, (j.pair).source_count, (j.pair).orphan, (j.pair).copy_count,
            private.coherence_action(j)
        )
        else format('%s: %s', (j.pair).name, (j.pair).problem)
    end)
    from unnest(judged) as j
    where j.verdict = 'alert';
    -- Also that of a pair which is no more; but where something could not be examined, nobody knows which pairs are.
    select private.resolve_alert(a.kind, a.subject)
    from public.alerts as a
    left join unnest(judged) as j on (j.pair).name = a.subject
    where a.kind = 'coherence' and a.resolved_at is null
        and case
            when j.verdict is null then not exists (select from unnest(judged) as k where not k.is_examined)
            else j.verdict <> 'alert'
        end;
$$;
comment on function private.tell_coherence(private.judged_pair[]) is
    'Raises an alert for each pair that needs a person, and resolves those of the others.';
revoke all on function private.tell_coherence(private.judged_pair[]) from public;

create function private.watch_coherence() returns void
language plpgsql
set search_path = ''
set lock_timeout = '5s' -- as coherence_report()
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
    perform private.keep_history(judged);
    delete from public.coherence_history
    where checked_at < now() - make_interval(days => (private.setting('coherence_history_days') #>> '{}')::integer);
    perform private.tell_coherence(judged);
    -- Last, because from here on rows of queues may be held that edits wait for.
    perform private.repair_pairs(judged, false);
    update private.coherence_checks
    set checked_at = began, took = clock_timestamp() - began, report = private.report_of(judged);
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
    select s.* from private.schedule_health('accord-coherence') as s

    union all

    select
        'check of coherence',
        c.is_recent,
        case when isfinite(c.checked_at) then format('made at %s UTC', to_char(c.checked_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
            else 'not made yet' end,
        case when not c.is_recent then 'See why in cron.job_run_details, then run: select private.watch_coherence();' end
    from (
        select
            k.checked_at,
            -- Twice the time that may lie between two.
            greatest(k.checked_at, k.installed_at) > now() - greatest(interval '30 minutes', k.took * 40) as is_recent
        from private.coherence_checks as k
    ) as c;
$$;
revoke all on function private.coherence_health() from public;

-- Coherence: whether sources and copies agree, in the whole house, and the mending of what does not. Its first file: what
-- a pair is, and how far source and copy may differ. Those after it: the report, the pairs of embeddings and of buckets,
-- the repair and its schedule.
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
    'With more missing and stale rows than this, or more orphans, nothing is done by itself: an alert names the command for a person.',
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
    'coherence_orphan_rows',
    '20',
    'So few orphans are removed whatever share of the copy they are, unless the source is empty.',
    minimum => 0,
    maximum => 1000000
);
select private.define_setting(
    'coherence_grace_seconds',
    '300',
    'An object that has changed within so many seconds is in flight: neither missing nor stale.',
    minimum => 0,
    maximum => 86400
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
    -- Null where the pair could not be examined.
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
    -- Of the three, those that no repair reaches: they failed, or nobody takes them.
    waiting bigint,
    detail text,
    -- What keeps the pair from staying in agreement until a person mends it, with the way out; null where nothing does.
    problem text,
    -- An SQL call that puts the pair right, or begins to; safe at any time. $1 in it is the age from which what differs is
    -- to be put right. Null where there is none.
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
    verdict text,
    is_examined boolean
);

create function private.unexamined_pair(name text, reason text) returns private.coherence_pair
language plpgsql
immutable
set search_path = ''
as $$
declare
    pair private.coherence_pair;
begin
    pair.name := unexamined_pair.name;
    pair.problem := format('It cannot be examined: %s', left(reason, 300));
    return pair;
end
$$;
comment on function private.unexamined_pair(text, text) is 'A pair of which nothing is known but why.';
revoke all on function private.unexamined_pair(text, text) from public;

create function private.shell_word(word text) returns text
language sql
immutable
set search_path = ''
as $$
    select case when word ~ '^[A-Za-z0-9_./:@%+=,-]+$' then word else '''' || replace(word, '''', '''\''''') || '''' end;
$$;
comment on function private.shell_word(text) is 'A word as a shell takes it, whatever is in it.';
revoke all on function private.shell_word(text) from public;

create function private.breaks_copy(source_count bigint, copy_count bigint, orphan bigint) returns boolean
language sql
stable
set search_path = ''
as $$
    select orphan > 0 and (
        source_count = 0
        or orphan > (private.setting('coherence_alert_rows') #>> '{}')::bigint
        or (
            orphan > (private.setting('coherence_orphan_rows') #>> '{}')::bigint
            and orphan * 100 > copy_count * (private.setting('coherence_orphan_percent') #>> '{}')::numeric
        )
    );
$$;
comment on function private.breaks_copy(bigint, bigint, bigint) is
    'The breaker: whether so much of a copy lacks its source that the source is to be doubted, and not the copy.';
revoke all on function private.breaks_copy(bigint, bigint, bigint) from public;

create function private.coherence_verdict(
    source_count bigint, copy_count bigint, missing bigint, stale bigint, orphan bigint
) returns text
language sql
stable
set search_path = ''
as $$
    select case
        when missing + stale > (private.setting('coherence_alert_rows') #>> '{}')::bigint then 'alert'
        when private.breaks_copy(source_count, copy_count, orphan) then 'alert'
        when missing + stale > 0
            and (missing + stale) * 100 >= source_count * (private.setting('coherence_auto_percent') #>> '{}')::numeric then 'auto_sync'
        else 'ok'
    end;
$$;
comment on function private.coherence_verdict(bigint, bigint, bigint, bigint, bigint) is
    'How far source and copy may differ: ok, auto_sync in the background, or alert, where nothing is done by itself. Who judges asks here.';
revoke all on function private.coherence_verdict(bigint, bigint, bigint, bigint, bigint) from public;

create function private.failed_problem(source_count bigint, failed bigint) returns text
language sql
stable
set search_path = ''
as $$
    -- As many as would have been put right by themselves, had they not failed.
    select format('%s failed. See last_error in the queue, mend what is wrong, and run: npm run accord -- retry.', failed)
    where private.coherence_verdict(source_count, source_count, failed, 0, 0) <> 'ok';
$$;
comment on function private.failed_problem(bigint, bigint) is
    'The problem of a pair so much of which has failed that a person is needed; else null.';
revoke all on function private.failed_problem(bigint, bigint) from public;

create function private.failed_detail(source_count bigint, failed bigint) returns text
language sql
stable
set search_path = ''
as $$
    select format('%s failed and wait for: npm run accord -- retry', failed)
    where failed > 0 and private.failed_problem(source_count, failed) is null;
$$;
comment on function private.failed_detail(bigint, bigint) is 'What is said of a pair of which less than that has failed; null where nothing has.';
revoke all on function private.failed_detail(bigint, bigint) from public;

create function private.tell_pairs() returns private.coherence_pair[]
language plpgsql
set search_path = ''
as $$
declare
    teller regprocedure;
    told private.coherence_pair[];
    pair private.coherence_pair;
    pairs private.coherence_pair[] := array[]::private.coherence_pair[];
    is_time_over boolean := false;
begin
    for teller in
        select p.oid::regprocedure
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'private'::regnamespace
            and p.prorettype = 'private.coherence_pair'::regtype
            and p.pronargs = 0
        order by p.oid
    loop
        -- One that cannot be examined is told, and hides none of the others.
        begin
            if is_time_over then
                told := array[private.unexamined_pair(teller::text, 'the time was over')];
            else
                execute format('select array_agg(p) from %s as p', teller::text) into told;
            end if;
        exception
            when query_canceled then
                -- Whoever cancels means all of it. The time limit of a statement strikes once: what was told until then stands.
                if sqlerrm !~ 'statement timeout' then
                    raise;
                end if;
                is_time_over := true;
                told := array[private.unexamined_pair(teller::text, sqlerrm)];
            when others or assert_failure then
                told := array[private.unexamined_pair(teller::text, sqlerrm)];
        end;
        foreach pair in array coalesce(told, '{}') loop
            if pair.name is null then
                pair := private.unexamined_pair(teller::text, 'it has no name');
            end if;
            pairs := pairs || pair;
        end loop;
    end loop;
    return pairs;
end
$$;
comment on function private.tell_pairs() is 'What all capabilities tell of their pairs.';
revoke all on function private.tell_pairs() from public;

create function private.judge_pairs() returns setof private.judged_pair
language sql
set search_path = ''
as $$
    select
        row(
            -- No name stands for two: metrics and alerts go by it.
            t.name || case when t.namesake > 1 then format(' (%s)', t.namesake) else '' end,
            t.source_count, t.copy_count, t.missing, t.stale, t.orphan, t.in_flight, t.overdue, t.waiting,
            t.detail, t.problem, t.repair, t.by_hand
        )::private.coherence_pair,
        judged.drift,
        case when t.problem is null then judged.drift else 'alert' end,
        t.is_examined
    from (
        select
            p.name, p.place, p.detail, p.problem, p.repair, p.by_hand,
            row_number() over (partition by p.name order by p.place) as namesake,
            p.source_count is not null as is_examined,
            coalesce(p.source_count, 0) as source_count,
            coalesce(p.copy_count, 0) as copy_count,
            coalesce(p.missing, 0) as missing,
            coalesce(p.stale, 0) as stale,
            coalesce(p.orphan, 0) as orphan,
            coalesce(p.in_flight, 0) as in_flight,
            coalesce(p.overdue, 0) as overdue,
            coalesce(p.waiting, 0) as waiting
        from unnest(private.tell_pairs()) with ordinality as p (
            name, source_count, copy_count, missing, stale, orphan, in_flight, overdue, waiting, detail, problem, repair, by_hand, place
        )
    ) as t
    cross join lateral (select private.coherence_verdict(t.source_count, t.copy_count, t.missing, t.stale, t.orphan) as drift) as judged
    order by t.place;
$$;
comment on function private.judge_pairs() is 'Every pair of the house as it is now, with its verdict.';
revoke all on function private.judge_pairs() from public;

-- Workers: Edge Functions that empty a queue; what wakes them, and how many of them run.
--
--   kinds     a capability names its function, its queue and how it is told that something is due
--   waking    right after a commit: one call, however many rows and transactions
--   seats     a worker is let in, or there are enough already
--   fan-out   by schedule: as many workers as the work deserves
--
-- A kind has its settings by its prefix: …_wake (cron, immediate or manual), …_wake_interval_seconds, …_workers and
-- …_rows_per_worker.

create table private.worker_kinds (
    function_name text primary key,
    queue regclass not null,
    setting_prefix text not null,
    -- The function that tells whether a worker would find anything.
    has_due text not null,
    called_at timestamptz not null default '-infinity'
);
comment on table private.worker_kinds is 'The functions that empty queues, and when each was last called at a commit.';
alter table private.worker_kinds enable row level security;

create function private.worker_setting(kind private.worker_kinds, name text) returns text
language sql
stable
set search_path = ''
as $$
    select private.setting(kind.setting_prefix || '_' || worker_setting.name) #>> '{}';
$$;
comment on function private.worker_setting(private.worker_kinds, text) is 'A setting of one kind of workers, by its name without the prefix.';
revoke all on function private.worker_setting(private.worker_kinds, text) from public;

-- Waking --------------------------------------------------------------------------------------------------------------

-- In immediate mode a trigger on the queue leaves one row here for each transaction that queues; another one, at its
-- commit, calls the worker. In the other modes the first is off and costs nobody anything.
create table private.worker_wishes (
    transaction_id xid8 not null default pg_current_xact_id(),
    function_name text not null,
    primary key (transaction_id, function_name)
);
alter table private.worker_wishes enable row level security;

create function private.wish_for_worker() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into private.worker_wishes (function_name) values (tg_argv[0]) on conflict do nothing;
    return null;
end
$$;
revoke all on function private.wish_for_worker() from public;

create function private.wake_worker(function_name text) returns void
language plpgsql
set search_path = ''
as $$
declare
    kind private.worker_kinds;
    interval_since interval;
    is_due boolean;
begin
    -- Somebody else who commits just now makes the call for both.
    select k.* into kind from private.worker_kinds as k where k.function_name = wake_worker.function_name for update skip locked;
    if not found then
        return;
    end if;
    interval_since := make_interval(secs => private.worker_setting(kind, 'wake_interval_seconds')::integer);
    if kind.called_at >= clock_timestamp() - interval_since then
        return;
    end if;
    execute format('select %s()', kind.has_due::regproc) into is_due;
    if is_due then
        update private.worker_kinds as k set called_at = clock_timestamp() where k.function_name = kind.function_name;
        -- Whoever commits within the interval makes no call of its own: the worker watches the queue for so long.
        perform private.call_edge_function(kind.function_name, jsonb_build_object(
            'action', 'process', 'lingerMs', 1000 * extract(epoch from interval_since) + 500
        ));
    end if;
end
$$;
comment on function private.wake_worker(text) is 'Calls a worker, unless that was done a moment ago or nothing is due.';
revoke all on function private.wake_worker(text) from public;

create function private.wake_at_commit() returns trigger
language plpgsql
security definer -- calls the worker
set search_path = ''
set lock_timeout = '300ms' -- an edit does not wait for long
as $$
begin
    delete from private.worker_wishes where transaction_id = new.transaction_id and function_name = new.function_name;
    begin
        perform private.wake_worker(new.function_name);
    exception when others then
        -- The edit that this is the commit of must stand; the schedule wakes the worker all the same.
        raise warning 'Nobody was woken to process the queue (SQLSTATE %)', sqlstate;
    end;
    return null;
end
$$;
revoke all on function private.wake_at_commit() from public;
create constraint trigger worker_wishes_at_commit
after insert on private.worker_wishes
deferrable initially deferred
for each row execute function private.wake_at_commit();

create function private.apply_wake() returns trigger
language plpgsql
set search_path = ''
as $$
declare
    kind private.worker_kinds;
begin
    for kind in select k.* from private.worker_kinds as k where k.setting_prefix || '_wake' = new.name loop
        execute format(
            'alter table %s %s trigger wakes_worker',
            kind.queue, case when private.worker_setting(kind, 'wake') = 'immediate' then 'enable' else 'disable' end
        );
    end loop;
    return null;
end
$$;
revoke all on function private.apply_wake() from public;

create trigger settings_wake
after update of value on private.settings
for each row when (new.name like '%\_wake') execute function private.apply_wake();

create function private.define_worker(function_name text, queue regclass, setting_prefix text, has_due text) returns void
language plpgsql
set search_path = ''
as $$
begin
    insert into private.worker_kinds as k (function_name, queue, setting_prefix, has_due)
    values (function_name, queue, setting_prefix, has_due);
    execute format(
        'create trigger wakes_worker after insert on %s for each statement execute function private.wish_for_worker(%L)',
        queue, function_name
    );
    execute format('alter table %s disable trigger wakes_worker', queue);
end
$$;
comment on function private.define_worker(text, regclass, text, text) is 'Declares the function that empties a queue.';
revoke all on function private.define_worker(text, regclass, text, text) from public;

create function private.wish(function_name text) returns void
language sql
set search_path = ''
as $$
    insert into private.worker_wishes (function_name)
    select k.function_name
    from private.worker_kinds as k
    where k.function_name = wish.function_name and private.worker_setting(k, 'wake') = 'immediate'
    on conflict do nothing;
$$;
comment on function private.wish(text) is 'In immediate mode has a worker called at the commit, where rows became due without being queued anew.';
revoke all on function private.wish(text) from public;

-- Seats ---------------------------------------------------------------------------------------------------------------

create table private.workers (
    worker uuid primary key,
    function_name text not null references private.worker_kinds on delete cascade,
    -- When it last gave a sign; one that gives none for as long as a call can last is dead.
    seen_at timestamptz not null default clock_timestamp()
);
comment on table private.workers is 'The workers that run just now.';
alter table private.workers enable row level security;

create function private.running_workers(function_name text) returns integer
language sql
stable
set search_path = ''
as $$
    select count(*)::integer
    from private.workers as w
    where w.function_name = running_workers.function_name and w.seen_at > clock_timestamp() - interval '150 seconds';
$$;
revoke all on function private.running_workers(text) from public;

create function private.has_free_seat(function_name text) returns boolean
language sql
stable
set search_path = ''
as $$
    select private.running_workers(k.function_name) < private.worker_setting(k, 'workers')::integer
    from private.worker_kinds as k
    where k.function_name = has_free_seat.function_name;
$$;
revoke all on function private.has_free_seat(text) from public;

create function private.admit_worker(function_name text, worker uuid) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    update private.workers as w set seen_at = clock_timestamp() where w.worker = admit_worker.worker;
    if found then
        return true;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('accord workers ' || function_name, 0));
    -- Another lane of the same worker may have come first.
    if exists (select from private.workers as w where w.worker = admit_worker.worker) then
        return true;
    end if;
    delete from private.workers as w
    where w.function_name = admit_worker.function_name and w.seen_at < clock_timestamp() - interval '150 seconds';
    if not private.has_free_seat(function_name) then
        return false;
    end if;
    insert into private.workers (worker, function_name) values (admit_worker.worker, admit_worker.function_name);
    return true;
end
$$;
comment on function private.admit_worker(text, uuid) is 'Lets a worker in, or notes that it is still there; false where there are enough.';
revoke all on function private.admit_worker(text, uuid) from public;

create function private.dismiss_worker(function_name text, worker uuid, goes_on boolean) returns void
language plpgsql
set search_path = ''
as $$
declare
    kind private.worker_kinds;
    is_due boolean;
begin
    delete from private.workers as w where w.worker = dismiss_worker.worker;
    select k.* into kind from private.worker_kinds as k where k.function_name = dismiss_worker.function_name;
    -- One that broke wakes nobody: the schedule tries again.
    if not goes_on or private.worker_setting(kind, 'wake') = 'manual' or not private.has_free_seat(function_name) then
        return;
    end if;
    execute format('select %s()', kind.has_due::regproc) into is_due;
    if is_due then
        perform private.call_edge_function(kind.function_name, '{"action": "process"}');
    end if;
end
$$;
comment on function private.dismiss_worker(text, uuid, boolean) is 'A worker ends, and wakes the next one if there is work left.';
revoke all on function private.dismiss_worker(text, uuid, boolean) from public;

-- Fan-out -------------------------------------------------------------------------------------------------------------

create function private.wake_workers(function_name text, at_most integer default null) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    kind private.worker_kinds;
    per_worker integer;
    most integer;
    is_due boolean;
    due bigint;
    wanted integer;
    called bigint;
begin
    select k.* into kind from private.worker_kinds as k where k.function_name = wake_workers.function_name;
    if private.worker_setting(kind, 'wake') = 'manual' then
        return null;
    end if;
    execute format('select %s()', kind.has_due::regproc) into is_due;
    if is_due is not true then
        return null;
    end if;
    per_worker := private.worker_setting(kind, 'rows_per_worker')::integer;
    most := private.worker_setting(kind, 'workers')::integer;
    execute format(
        $sql$
        select count(*)
        from (
            select from %s where processed_at is null and failed_at is null and visible_at <= clock_timestamp() limit $1
        ) as waiting
        $sql$,
        kind.queue
    ) into due using per_worker * most;
    wanted := least(most, ceil(due::numeric / per_worker)::integer) - private.running_workers(function_name);
    for i in 1..least(wanted, at_most) loop
        called := private.call_edge_function(function_name, '{"action": "process"}');
    end loop;
    return called;
end
$$;
comment on function private.wake_workers(text, integer) is 'Wakes as many workers as there is work for; null where nobody was called.';
revoke all on function private.wake_workers(text, integer) from public;

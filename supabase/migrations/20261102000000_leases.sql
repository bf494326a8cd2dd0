-- Leases: how a queue of Accord hands out work, and takes it back, without losing an edit.
--
-- A queue is a table whose rows say "make this copy agree with its source", one row per source row, and that has the
-- columns of private.lease. Each function takes the queue as an argument; a capability adds its own columns, its
-- triggers and its account of the work.
--
--   enqueue   in the edit's own transaction; bumps the revision, always              (each queue's own statement)
--   claim     a short transaction: a token, the revision claimed, an end             private.claim
--   finish    one transaction: hold by token, write the copy, settle                 private.hold, private.settle
--   fail      the same fence: back off, or give up at the limit                      private.fail
--   give back unfinished and uncharged                                               private.give_back
--
-- The text of the source is read in a statement after the claim, and no transaction is open while anybody outside
-- the database is asked for anything. tests/postgres/interleavings.test.ts proves the whole.

create table private.lease (
    -- Counts requests. Work done for an older revision is written, but does not settle the row.
    revision bigint not null default 1,
    -- What people wait for comes first: 0 an edit, 1 what is caught up with in the background.
    priority smallint not null default 0,
    -- When the row may next be claimed; while it is leased, when the lease ends.
    visible_at timestamptz not null default clock_timestamp(),
    retry_count integer not null default 0,
    last_error text,
    -- When the row began to wait.
    created_at timestamptz not null default clock_timestamp(),
    processed_at timestamptz,
    failed_at timestamptz,
    lease_token uuid,
    leased_revision bigint,
    -- Kept by the functions below and not generated: every edit would pay for that, and for each constraint, so there is
    -- one.
    status text not null default 'pending',
    constraint status_is_true check (
        status = case
            when failed_at is not null then 'failed'
            when processed_at is not null then 'completed'
            when lease_token is not null then 'processing'
            else 'pending'
        end
        and (lease_token is null) = (leased_revision is null)
        and num_nonnulls(lease_token, processed_at, failed_at) <= 1
    )
);
comment on table private.lease is 'The columns that every queue has; a pattern for `create table … (like private.lease including all)`, never filled.';
alter table private.lease enable row level security;

create function private.claim(
    queue regclass,
    batch integer,
    lease interval,
    retry_limit integer,
    least_urgent integer default 1,
    abandoned text default '%s workers ended without a word while they had this row'
) returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
    tokens uuid[];
begin
    -- A row whose workers die every time is not handed out forever.
    execute format(
        $sql$
        with abandoned as (
            select ctid
            from %1$s
            where processed_at is null and failed_at is null and lease_token is not null
                and visible_at <= clock_timestamp() and retry_count >= $1
            for update skip locked
        )
        update %1$s as q
        set
            status = 'failed',
            lease_token = null,
            leased_revision = null,
            failed_at = clock_timestamp(),
            last_error = format($2, q.retry_count)
        from abandoned
        where q.ctid = abandoned.ctid
        $sql$,
        queue
    ) using retry_limit, abandoned;

    execute format(
        $sql$
        with due as (
            select ctid
            from %1$s
            where processed_at is null and failed_at is null and visible_at <= clock_timestamp() and priority <= $3
            order by priority, visible_at
            limit $1
            for update skip locked
        ), claimed as (
            update %1$s as q
            set
                status = 'processing',
                lease_token = gen_random_uuid(),
                leased_revision = q.revision,
                retry_count = q.retry_count + 1,
                visible_at = clock_timestamp() + $2
            from due
            where q.ctid = due.ctid
            returning q.lease_token
        )
        select coalesce(array_agg(lease_token), '{}') from claimed
        $sql$,
        queue
    ) into tokens using batch, lease, least_urgent;
    return tokens;
end
$$;
comment on function private.claim(regclass, integer, interval, integer, integer, text) is
    'Leases up to so many due rows, the most urgent first, and gives their tokens. Waits for nobody. `abandoned` is said of a row that ended every worker that had it, %s of them.';
revoke all on function private.claim(regclass, integer, interval, integer, integer, text) from public;

create function private.hold(queue regclass, tokens uuid[]) returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
    held uuid[];
begin
    -- A worker holds rows and reads their tables, so it must wait for nobody: an edit may hold what it waits for and
    -- wait for what it holds, and the edit is a user's. Rows that are locked just now are left out, to be asked for again.
    execute format(
        $sql$
        select coalesce(array_agg(lease_token), '{}')
        from (
            select lease_token from %s where lease_token = any ($1) for update skip locked
        ) as leased
        $sql$,
        queue
    ) into held using tokens;
    return held;
end
$$;
comment on function private.hold(regclass, uuid[]) is
    'The fence: locks the rows that are still leased by these tokens and gives their tokens. Nothing may be written for the others.';
revoke all on function private.hold(regclass, uuid[]) from public;

create function private.settle(queue regclass, held uuid[]) returns table (token uuid, outcome text)
language plpgsql
set search_path = ''
as $$
begin
    return query execute format(
        $sql$
        with done as (
            select ctid, lease_token as token, revision = leased_revision as is_settled
            from %1$s
            where lease_token = any ($1)
        )
        update %1$s as q
        set
            status = case when done.is_settled then 'completed' else 'pending' end,
            lease_token = null,
            leased_revision = null,
            retry_count = 0,
            last_error = null,
            processed_at = case when done.is_settled then clock_timestamp() end,
            visible_at = case when done.is_settled then q.visible_at else clock_timestamp() end
        from done
        where q.ctid = done.ctid
        returning done.token, case when done.is_settled then 'completed' else 'requeued' end
        $sql$,
        queue
    ) using held;
end
$$;
comment on function private.settle(regclass, uuid[]) is
    'Completes held rows; one that was edited since its claim is due again at once. In the transaction that wrote the copies.';
revoke all on function private.settle(regclass, uuid[]) from public;

create function private.fail(
    queue regclass, held uuid[], messages text[], retry_limit integer, first_delay interval
) returns table (token uuid, outcome text)
language plpgsql
set search_path = ''
as $$
begin
    return query execute format(
        $sql$
        with failing as (
            select
                q.ctid,
                q.lease_token as token,
                f.message,
                q.revision > q.leased_revision as was_edited,
                q.revision = q.leased_revision and q.retry_count >= $3 as is_last
            from %1$s as q
            join unnest($1, $2) as f (token, message) on q.lease_token = f.token
        )
        update %1$s as q
        set
            status = case when failing.is_last then 'failed' else 'pending' end,
            lease_token = null,
            leased_revision = null,
            last_error = failing.message,
            retry_count = case when failing.was_edited then 0 else q.retry_count end,
            failed_at = case when failing.is_last then clock_timestamp() end,
            visible_at = case
                when failing.was_edited then clock_timestamp()
                -- Twice as long each time, with jitter, so that rows that failed together do not return together.
                else clock_timestamp()
                    + least(interval '1 hour', $4 * 2 ^ (q.retry_count - 1)) * (0.5 + random() / 2)
            end
        from failing
        where q.ctid = failing.ctid
        returning failing.token, case
            when failing.is_last then 'failed'
            when failing.was_edited then 'requeued'
            else 'retry'
        end
        $sql$,
        queue
    ) using held, messages, retry_limit, first_delay;
end
$$;
comment on function private.fail(regclass, uuid[], text[], integer, interval) is
    'Charges held rows a failure: they wait longer each time and at the limit for a person. An edited one is due at once, with all its attempts.';
revoke all on function private.fail(regclass, uuid[], text[], integer, interval) from public;

create function private.give_back(queue regclass, held uuid[], delay interval default '0') returns integer
language plpgsql
set search_path = ''
as $$
declare
    given_back integer;
begin
    execute format(
        $sql$
        update %s
        set
            status = 'pending',
            lease_token = null,
            leased_revision = null,
            retry_count = greatest(0, retry_count - 1),
            visible_at = clock_timestamp() + $2
        where lease_token = any ($1)
        $sql$,
        queue
    ) using held, delay;
    get diagnostics given_back = row_count;
    return given_back;
end
$$;
comment on function private.give_back(regclass, uuid[], interval) is 'Returns held rows unfinished, without charging them.';
revoke all on function private.give_back(regclass, uuid[], interval) from public;

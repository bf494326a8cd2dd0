-- Embeddings: rows of any table and their embeddings, kept in agreement.
--
--   sources   which tables, what text of a row, and when a row counts as published
--   queue     one row per source row that may disagree with its embeddings
--   triggers  made for each source when it is registered
--
-- The files after this one: the copies and their profiles, limits and costs, the worker and what wakes it, and what
-- people see and do.

-- Settings ------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'embedding_wake',
    '"cron"',
    'What starts the worker: cron (every five minutes), immediate (right after a commit, and cron besides), manual (only whoever calls it).',
    kind => 'text',
    choices => '{cron,immediate,manual}'
);
select private.define_setting(
    'embedding_wake_interval_seconds',
    '3',
    'In immediate mode the worker is woken at most once in so many seconds, however many rows change.',
    minimum => 1,
    maximum => 50
);
select private.define_setting(
    'embedding_lease_seconds', '180', 'How long a worker may keep a row before another one takes it.', minimum => 1, maximum => 3600
);
select private.define_setting(
    'embedding_retry_limit', '3', 'After so many failures a row waits for a person.', minimum => 1, maximum => 20
);
select private.define_setting(
    'embedding_retry_seconds', '10', 'The wait after a first failure; it doubles with each.', minimum => 0, maximum => 3600
);
select private.define_setting(
    'embedding_content_limit',
    '3500000',
    'Characters a row''s text may have; a longer one fails, because nobody meant to pay for it, and one call could not cut it.',
    minimum => 1000,
    maximum => 50000000
);
select private.define_setting(
    'keep_completed_jobs_days', '7', 'Days for which completed queue rows are kept, so that status can count them.', minimum => 0, maximum => 365
);

-- Sources -------------------------------------------------------------------------------------------------------------

create table private.embedding_sources (
    -- The table's name; with its schema unless that is public.
    source_table text collate "C" primary key,
    relation regclass not null unique,
    key_columns text[] not null check (cardinality(key_columns) > 0),
    -- SQL expressions over one row.
    content text not null,
    published text not null,
    -- Tokens of a chunk, and those it repeats of the one before; null where the profile decides.
    chunk_tokens integer check (chunk_tokens between 16 and 8000),
    chunk_overlap integer check (chunk_overlap >= 0 and chunk_overlap * 2 < chunk_tokens),
    created_at timestamptz not null default now()
);
comment on table private.embedding_sources is 'Tables whose rows are embedded; see register_embedding_source().';
alter table private.embedding_sources enable row level security;

create view private.present_sources with (security_invoker = true) as
select s.*
from private.embedding_sources as s
where exists (select from pg_catalog.pg_class as c where c.oid = s.relation);
comment on view private.present_sources is 'The sources whose tables have not been dropped. Whoever reads a source asks here.';

-- Queue ---------------------------------------------------------------------------------------------------------------

create table public.embedding_sync_queue (
    -- No foreign key: every edit would pay for its check. Only registered sources write here, and one that leaves takes
    -- its rows along.
    source_table text collate "C" not null,
    -- The key of the source row as text; a composite key as a JSON object of its columns.
    source_id text collate "C" not null,
    -- The last operation (insert, update or delete), a hint for people: the worker makes the copy agree with the row as
    -- it finds it.
    action text not null default 'update',
    -- Null: the source is read. Else the text that somebody gave in its place.
    content text,
    -- How many edits one embedding answers for.
    edits integer not null default 1,
    like private.lease including all,
    primary key (source_table, source_id)
);
comment on table public.embedding_sync_queue is 'One row per source row: make its embeddings agree with it.';
create index embedding_sync_queue_due on public.embedding_sync_queue (priority, visible_at)
    where processed_at is null and failed_at is null;
create index embedding_sync_queue_leases on public.embedding_sync_queue (lease_token) where lease_token is not null;

alter table public.embedding_sync_queue enable row level security;
grant select on public.embedding_sync_queue to authenticated, service_role;
create policy "administrators read the queue" on public.embedding_sync_queue
    for select to authenticated using ((select public.is_admin()));

-- Enqueueing ----------------------------------------------------------------------------------------------------------

create function private.enqueue_statement(
    source_table text, ids text, action text, content text default 'null', priority text default null,
    are_unknown boolean default false
) returns text
language sql
immutable
set search_path = ''
as $$
    -- In order of the key, so that two bulk edits cannot wait for each other.
    select format(
        $sql$
        insert into public.embedding_sync_queue as q (source_table, source_id, action, content%s)
        select distinct on (requested.id collate "C") %s, requested.id, %s, %s%s
        from (%s) as requested (id)
        order by requested.id collate "C"
        %s
        $sql$,
        case when priority is not null then ', priority' end, source_table, action, content, ', ' || priority, ids,
        -- Always an update, so that no edit is swallowed: this is what the whole protocol stands on.
        case when not are_unknown then $sql$
            on conflict on constraint embedding_sync_queue_pkey do update
            set
                revision = q.revision + 1,
                edits = case
                    when q.lease_token is null and q.processed_at is null and q.failed_at is null then q.edits + 1 - excluded.priority
                    else 1
                end,
                action = excluded.action,
                -- A text that somebody gave stands until the row's own next edit.
                content = case when excluded.priority = 0 then excluded.content else q.content end,
                priority = case when q.processed_at is null and q.failed_at is null then least(q.priority, excluded.priority) else excluded.priority end,
                status = case when q.lease_token is null then excluded.status else q.status end,
                visible_at = case when q.lease_token is null then excluded.visible_at else q.visible_at end,
                created_at = case when q.processed_at is null and q.failed_at is null then q.created_at else excluded.created_at end,
                retry_count = 0,
                last_error = null,
                processed_at = null,
                failed_at = null
        $sql$ end
    );
$$;
comment on function private.enqueue_statement(text, text, text, text, text, boolean) is
    'The one statement by which rows are queued, made of SQL expressions and of a query that gives their ids. It fails if some are in the queue though they were said to be unknown there.';
revoke all on function private.enqueue_statement(text, text, text, text, text, boolean) from public;

do $generate$
begin
    -- Made from the statement above, so that there is one of it and no plan is made anew for each call.
    execute format(
        $create$
        create function private.enqueue_embeddings(
            source_table text, source_ids text[], action text, content text default null, priority integer default 0
        ) returns void
        language plpgsql
        security definer -- whoever may write a row may have it embedded; nobody may write the queue
        set search_path = ''
        as $body$
        begin
            if cardinality(source_ids) = 0 then
                return;
            end if;
            %s;
        end
        $body$
        $create$,
        private.enqueue_statement(
            'enqueue_embeddings.source_table', 'select unnest(source_ids)', 'enqueue_embeddings.action', 'enqueue_embeddings.content',
            'enqueue_embeddings.priority'
        )
    );
end
$generate$;
comment on function private.enqueue_embeddings(text, text[], text, text, integer) is 'Queues these rows of a source.';
revoke all on function private.enqueue_embeddings(text, text[], text, text, integer) from public;

-- Catching up ---------------------------------------------------------------------------------------------------------

select private.define_setting(
    'embedding_backfill_batch', '5000', 'Rows that are queued at a time where a whole table is to be caught up with.', minimum => 1, maximum => 100000
);

create table private.embedding_backfills (
    source_table text collate "C" primary key references private.embedding_sources on delete cascade,
    -- First the rows of the source in the order of their keys, then the copies, for those whose rows are gone.
    phase text not null default 'rows' check (phase in ('rows', 'copies')),
    -- The last one that was queued.
    reached text collate "C",
    enqueued bigint not null default 0,
    started_at timestamptz not null default clock_timestamp()
);
comment on table private.embedding_backfills is 'Tables that are being caught up with, and how far: queued in batches, behind every edit.';
alter table private.embedding_backfills enable row level security;

create function private.begin_backfill(source_table text) returns void
language sql
set search_path = ''
as $$
    insert into private.embedding_backfills (source_table) values (begin_backfill.source_table)
    on conflict on constraint embedding_backfills_pkey do update
    set phase = 'rows', reached = null, enqueued = 0, started_at = clock_timestamp();
$$;
comment on function private.begin_backfill(text) is 'Has every row of a source looked at, from the start again where that is under way already.';
revoke all on function private.begin_backfill(text) from public;

create function private.advance_backfill(source_table text, batch integer) returns bigint
language plpgsql
security definer -- reads the source past its policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '100ms'
as $$
declare
    backfill private.embedding_backfills;
    source private.embedding_sources;
    seen text[];
    ids text[];
begin
    select b.* into backfill
    from private.embedding_backfills as b
    where b.source_table = advance_backfill.source_table
    for update skip locked;
    if not found then
        return null;
    end if;
    select s.* into source from private.present_sources as s where s.source_table = advance_backfill.source_table;
    if not found then
        return null;
    end if;
    if backfill.phase = 'rows' then
        execute format(
            $sql$
            select array(
                select %2$s from %1$s as %3$I
                where coalesce((%4$s
                ), false) and ($1 is null or (%5$s) > (%6$s))
                order by %5$s
                limit $2
            )
            $sql$,
            source.relation, private.source_key(source), private.name_of(source.relation), source.published,
            -- With the table's name: without it, an id would be ordered as the text that is selected.
            (select string_agg(format('%I.%I', private.name_of(source.relation), k.name), ', ' order by k.place) from unnest(source.key_columns) with ordinality as k (name, place)),
            private.source_key_values(source, '$1')
        ) into ids using backfill.reached, batch;
        seen := ids;
    else
        seen := array(
            select distinct r.source_id
            from private.embedded_rows as r
            where r.source_table = source.source_table and (backfill.reached is null or r.source_id > backfill.reached)
            order by r.source_id
            limit batch
        );
        execute format(
            $sql$
            select array(
                select accord_copy.id from unnest($1) as accord_copy (id)
                where not exists (select from %1$s as %2$I where %3$s and coalesce((%4$s
                ), false))
            )
            $sql$,
            source.relation, private.name_of(source.relation), private.source_match(source, 'accord_copy.id'), source.published
        ) into ids using seen;
    end if;
    perform private.enqueue_embeddings(source.source_table, ids, 'update', priority => 1);
    if cardinality(seen) = batch then
        update private.embedding_backfills as b
        set reached = seen[batch], enqueued = b.enqueued + cardinality(ids)
        where b.source_table = source.source_table;
    elsif backfill.phase = 'rows' then
        update private.embedding_backfills as b
        set phase = 'copies', reached = null, enqueued = b.enqueued + cardinality(ids)
        where b.source_table = source.source_table;
    else
        delete from private.embedding_backfills as b where b.source_table = source.source_table;
    end if;
    return cardinality(ids)::bigint;
exception when lock_not_available or deadlock_detected then
    -- An edit holds some of these rows, and may be waiting for the table that was read here. It goes first.
    return null;
end
$$;
comment on function private.advance_backfill(text, integer) is 'Queues the next batch of a source that is being caught up with, and tells how many rows that were; null where there is nothing to do, or somebody else does it.';
revoke all on function private.advance_backfill(text, integer) from public;

create function private.advance_backfills() returns bigint
language plpgsql
set search_path = ''
as $$
declare
    batch constant integer := (private.setting('embedding_backfill_batch') #>> '{}')::integer;
    next_source text;
    added bigint;
    enqueued bigint := 0::bigint;
begin
    for next_source in select b.source_table from private.embedding_backfills as b order by b.started_at loop
        -- The queue stays short: as long as there is a batch of them in it, no more are added.
        exit when exists (
            select from public.embedding_sync_queue as q
            where q.processed_at is null and q.failed_at is null and q.priority = 1
            offset batch - 1
        );
        -- None, and not yet over: there is more to look through. Not for as long as it takes, because somebody waits.
        for attempt in 1..20 loop
            begin
                added := private.advance_backfill(next_source, batch);
            exception when others then
                -- One that cannot be read keeps none of the others waiting, nor the worker that calls this.
                added := null;
                if not private.is_told_broken(next_source) then
                    perform private.tell_broken_source(next_source, private.reading_fault(sqlstate));
                end if;
            end;
            enqueued := enqueued + coalesce(added, 0);
            exit when added is distinct from 0;
        end loop;
    end loop;
    return enqueued;
end
$$;
comment on function private.advance_backfills() is 'Queues the next batch of what is being caught up with, unless the last one still waits.';
revoke all on function private.advance_backfills() from public;

-- Triggers ------------------------------------------------------------------------------------------------------------

create function private.name_of(relation regclass) returns name
language sql
stable
set search_path = ''
as $$
    select c.relname from pg_catalog.pg_class as c where c.oid = relation;
$$;
revoke all on function private.name_of(regclass) from public;

create function private.source_key(source private.embedding_sources, record text default null) returns text
language sql
immutable
set search_path = ''
as $$
    -- One column as its text; several as a JSON object, in the order that jsonb gives them.
    select case cardinality(source.key_columns)
        when 1 then format('%s%I::text', record || '.', source.key_columns[1])
        else format(
            'jsonb_build_object(%s)::text',
            (select string_agg(format('%L, %s%I', c, record || '.', c), ', ') from unnest(source.key_columns) as c)
        )
    end;
$$;
comment on function private.source_key(private.embedding_sources, text) is
    'The SQL expression that gives the source_id of a row, or of a record such as OLD.';
revoke all on function private.source_key(private.embedding_sources, text) from public;

create function private.source_match(source private.embedding_sources, id text) returns text
language sql
stable
set search_path = ''
as $$
    -- The other way about: a condition on the key columns themselves, so that the primary key's index serves.
    select string_agg(
        format(
            '%I = (%s)::%s',
            c,
            case cardinality(source.key_columns) when 1 then id else format('%s::jsonb ->> %L', id, c) end,
            format_type(a.atttypid, a.atttypmod)
        ),
        ' and '
    )
    from unnest(source.key_columns) as c
    join pg_catalog.pg_attribute as a on a.attrelid = source.relation and a.attname = c;
$$;
comment on function private.source_match(private.embedding_sources, text) is 'The SQL condition that finds the row of a source_id.';
revoke all on function private.source_match(private.embedding_sources, text) from public;

create function private.source_key_values(source private.embedding_sources, id text) returns text
language sql
stable
set search_path = ''
as $$
    select string_agg(
        format(
            '(%s)::%s',
            case cardinality(source.key_columns) when 1 then id else format('%s::jsonb ->> %L', id, k.name) end,
            format_type(a.atttypid, a.atttypmod)
        ),
        ', ' order by k.place
    )
    from unnest(source.key_columns) with ordinality as k (name, place)
    join pg_catalog.pg_attribute as a on a.attrelid = source.relation and a.attname = k.name;
$$;
comment on function private.source_key_values(private.embedding_sources, text) is 'The values of the key columns that are in a source_id, as SQL.';
revoke all on function private.source_key_values(private.embedding_sources, text) from public;

create function private.probe_expressions(source private.embedding_sources) returns void
language plpgsql
set search_path = ''
as $$
declare
    probe refcursor;
begin
    -- A cursor takes one statement alone, and this one is never fetched from: what an expression could do is not done.
    open probe for execute format(
        E'select (%s\n)::text, (%s\n)::boolean from %s as %I', source.content, source.published, source.relation,
        private.name_of(source.relation)
    );
    close probe;
    -- What is not the source's own to say: its key, and the columns that templates name.
    open probe for execute format(
        'select %s, %s from %s', private.source_key(source), private.fields_sql(private.columns_of_templates()), source.relation
    );
    close probe;
end
$$;
comment on function private.probe_expressions(private.embedding_sources) is
    'Fails where the expressions of a source do not fit its table. No row is read, so the error tells nothing of any.';
revoke all on function private.probe_expressions(private.embedding_sources) from public;

create function private.counted_columns(source private.embedding_sources) returns name[]
language plpgsql
set search_path = ''
as $$
declare
    tree text;
    columns name[];
begin
    begin
        perform private.probe_expressions(source);
    exception when lock_not_available then
        raise;
    when others then
        raise exception 'The expressions for % do not fit: %', source.source_table, sqlerrm
            using
                errcode = 'invalid_parameter_value',
                hint = 'content and published are SQL expressions over one row; functions outside pg_catalog need their schema.';
    end;
    execute format(
        E'create temporary view accord_probe as select (%s\n)::text as content, (%s\n)::boolean as published from %s as %I',
        source.content, source.published, source.relation, private.name_of(source.relation)
    );
    select r.ev_action::text into tree
    from pg_catalog.pg_rewrite as r
    where r.ev_class = to_regclass('pg_temp.accord_probe');

    select array_agg(distinct a.attname) into columns
    from pg_catalog.pg_attribute as a
    where a.attrelid = source.relation and a.attnum > 0 and not a.attisdropped
        and (
            a.attname = any (source.key_columns)
            or a.attname = any (private.columns_of_templates())
            or tree ~ ':varattno 0 '
            or exists (
                select
                from pg_catalog.pg_depend as d
                join pg_catalog.pg_rewrite as r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
                where r.ev_class = to_regclass('pg_temp.accord_probe')
                    and d.refobjid = source.relation and d.refobjsubid = a.attnum
            )
        );
    drop view pg_temp.accord_probe;

    if tree ~ '\{SUBLINK' then
        raise exception 'The expressions for % read other rows', source.source_table
            using errcode = 'invalid_parameter_value', hint = 'A change of those rows would go unnoticed: use columns of the row alone.';
    end if;
    if exists (
        select
        from regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') as used (id)
        join pg_catalog.pg_proc as p on p.oid = used.id[1]::oid
        where p.provolatile = 'v' or p.prokind <> 'f'
    ) then
        raise exception 'The expressions for % may write, change from call to call, or need several rows', source.source_table
            using errcode = 'invalid_parameter_value', hint = 'Use functions that are immutable or stable.';
    end if;
    return columns;
end
$$;
comment on function private.counted_columns(private.embedding_sources) is
    'The columns on which key, content, published and the templates of the profiles depend; refuses expressions that cannot be trusted.';
revoke all on function private.counted_columns(private.embedding_sources) from public;

create function private.differs(relation regclass, columns name[]) returns text
language sql
stable
set search_path = ''
as $$
    -- A type that knows no equality, such as json, is compared as text.
    select string_agg(
        case
            when exists (
                select
                from pg_catalog.pg_operator as o
                where o.oprname = '=' and o.oprleft = base.oid and o.oprright = base.oid
            ) or base.typcategory in ('A', 'S', 'E', 'R') then format('old.%1$I is distinct from new.%1$I', a.attname)
            else format('old.%1$I::text is distinct from new.%1$I::text', a.attname)
        end,
        ' or '
    )
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_type as t on t.oid = a.atttypid
    join pg_catalog.pg_type as base on base.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
    where a.attrelid = relation and a.attname = any (columns);
$$;
comment on function private.differs(regclass, name[]) is 'The SQL condition that is true when an UPDATE changed one of these columns.';
revoke all on function private.differs(regclass, name[]) from public;

create function private.drop_source_triggers(relation regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
    made record;
begin
    for made in
        select t.tgname, t.tgfoid::regprocedure as function
        from pg_catalog.pg_trigger as t
        where t.tgrelid = relation and t.tgname like 'accord\_embed\_%' and not t.tgisinternal
    loop
        execute format('drop trigger %I on %s', made.tgname, relation);
        execute format('drop function %s', made.function);
    end loop;
end
$$;
revoke all on function private.drop_source_triggers(regclass) from public;

create function private.rewrites_updates(relation regclass) returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from pg_catalog.pg_trigger as t
        where t.tgrelid = relation and not t.tgisinternal and t.tgtype & 2 = 2 and t.tgtype & 16 = 16
    );
$$;
comment on function private.rewrites_updates(regclass) is 'Whether a BEFORE trigger may change columns that an UPDATE does not name.';
revoke all on function private.rewrites_updates(regclass) from public;

create function private.create_source_triggers(source private.embedding_sources, counted name[]) returns void
language plpgsql
set search_path = ''
as $$
declare
    relation_name name := private.name_of(source.relation);
    prefix text := left(relation_name, 30) || '_' || substr(md5(source.source_table), 1, 8);
    -- `update of` overlooks what a BEFORE trigger rewrites and what is generated: then the condition alone decides.
    sees_all boolean := private.rewrites_updates(source.relation) or exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = source.relation and a.attname = any (counted) and a.attgenerated <> ''
    );
    -- Keys and conditions must mean the same to every writer and to the worker; where they are too simple to depend on
    -- the session, a writer does not pay for its being set.
    depends_on_session constant boolean := source.published !~ '^\w+$' or exists (
        select from pg_catalog.pg_attribute as a
        join pg_catalog.pg_type as t on t.oid = a.atttypid
        where a.attrelid = source.relation and a.attname = any (source.key_columns) and t.typtype <> 'e'
            and a.atttypid <> all ('{uuid,smallint,integer,bigint,text,varchar,bpchar}'::regtype[])
    );
    published_ids constant text := format(
        E'select %s from changed as %I where (%s\n)', private.source_key(source), relation_name, source.published
    );
    was_published constant text := format(
        E'(select coalesce((%s\n), false) from (select old.*) as %I)', source.published, relation_name
    );
    is_published constant text := format(
        E'(select coalesce((%s\n), false) from (select new.*) as %I)', source.published, relation_name
    );
    made text;
    body text;
    verb text;
    clause text;
begin
    foreach verb in array '{insert,update,delete,truncate}'::text[] loop
        made := format('embed_%s_%s', prefix, verb);
        body := case verb
            -- Many new rows at once are seldom in the queue already, and a quarter cheaper to queue if none is. A few do
            -- not pay for the question: the first condition costs nothing.
            when 'insert' then format(
                E'begin
                    if pg_stat_get_xact_tuples_inserted(tg_relid) > 100 then
                        if exists (select from changed offset 100) then
                            begin
                                %s;
                                return null;
                            exception when unique_violation then
                                -- Some are, such as those deleted a moment ago.
                            end;
                        end if;
                    end if;
                    %s;
                    return null;
                end',
                private.enqueue_statement(quote_literal(source.source_table), published_ids, quote_literal('insert'), are_unknown => true),
                private.enqueue_statement(quote_literal(source.source_table), published_ids, quote_literal('insert'))
            )
            when 'delete' then format(
                'begin %s; return null; end',
                private.enqueue_statement(
                    quote_literal(source.source_table), format('select %s from changed', private.source_key(source)), quote_literal('delete')
                )
            )
            when 'truncate' then format(
                'begin perform private.enqueue_embeddings(%1$L, array(select source_id from private.embedded_rows where source_table = %1$L union select source_id from public.embedding_sync_queue where source_table = %1$L and processed_at is null), ''delete''); return null; end',
                source.source_table
            )
            else format(
                E'begin
                    if %1$s <> %2$s then
                        %3$s;
                    end if;
                    %4$s;
                    return null;
                end',
                private.source_key(source, 'old'), private.source_key(source, 'new'),
                private.enqueue_statement(
                    quote_literal(source.source_table),
                    format('select %s where %s', private.source_key(source, 'old'), was_published),
                    quote_literal('delete')
                ),
                private.enqueue_statement(
                    quote_literal(source.source_table),
                    format(
                        'select %2$s where %3$s or %1$s = %2$s and %4$s',
                        private.source_key(source, 'old'), private.source_key(source, 'new'), is_published, was_published
                    ),
                    format('case when %s then ''update'' else ''delete'' end', is_published)
                )
            )
        end;
        -- A column may be called anything, such as new.
        execute format(
            -- Or replaced: those of a table that was dropped are left behind.
            'create or replace function private.%I() returns trigger language plpgsql security definer set search_path = '''' %s as %L',
            made,
            case when depends_on_session then 'set timezone = ''UTC'' set datestyle = ''ISO''' else '' end,
            E'#variable_conflict use_column\n' || body
        );
        execute format('revoke all on function private.%I() from public', made);
        clause := case verb
            when 'insert' then 'after insert on %1$s referencing new table as changed for each statement'
            when 'delete' then 'after delete on %1$s referencing old table as changed for each statement'
            when 'truncate' then 'after truncate on %1$s for each statement'
            else 'after update %2$s on %1$s for each row when (%3$s)'
        end;
        -- Replaced and not dropped: that would shut out who reads the table.
        execute format('create or replace trigger %I ', 'accord_embed_' || verb) || format(
            clause,
            source.relation,
            case when sees_all then '' else 'of ' || (select string_agg(quote_ident(c), ', ') from unnest(counted) as c) end,
            private.differs(source.relation, counted)
        ) || format(' execute function private.%I()', made);
    end loop;
end
$$;
revoke all on function private.create_source_triggers(private.embedding_sources, name[]) from public;

create function public.register_embedding_source(
    source regclass,
    content text,
    published text default 'true',
    chunk_tokens integer default null,
    chunk_overlap integer default null
) returns jsonb
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
declare
    before private.embedding_sources;
    registered private.embedding_sources;
    counted name[];
    advanced bigint;
    enqueued bigint := 0::bigint;
begin
    select
        case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end,
        c.oid::regclass,
        array(
            select a.attname::text
            from pg_catalog.pg_index as i
            cross join unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
            where i.indrelid = c.oid and i.indisprimary
            order by k.place
        )
    into registered.source_table, registered.relation, registered.key_columns
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = source and c.relkind = 'r' and not c.relispartition;
    registered.content := register_embedding_source.content;
    registered.published := register_embedding_source.published;
    registered.chunk_tokens := register_embedding_source.chunk_tokens;
    registered.chunk_overlap := register_embedding_source.chunk_overlap;

    if registered.relation is null then
        raise exception '% is not a table', source
            using
                errcode = 'wrong_object_type',
                hint = 'Register the table that a view reads from. A partitioned one cannot be: what moves between partitions would go unnoticed.';
    end if;
    if cardinality(registered.key_columns) = 0 then
        raise exception 'Table % has no primary key', source
            using errcode = 'invalid_parameter_value', hint = 'Its rows could not be told apart: give it one first.';
    end if;
    if coalesce(btrim(content), '') = '' or coalesce(btrim(published), '') = '' then
        raise exception '% of % must be an SQL expression, not %',
            case when coalesce(btrim(content), '') = '' then 'content' else 'published' end, source,
            coalesce(quote_literal(case when coalesce(btrim(content), '') = '' then content else published end), 'null')
            using
                errcode = 'invalid_parameter_value',
                hint = 'content gives the text of one row, such as title; published tells whether it counts, such as true or is_published.';
    end if;
    if chunk_tokens not between 16 and 8000 then
        raise exception 'chunk_tokens must be from 16 to 8000, not %', chunk_tokens using errcode = 'invalid_parameter_value';
    end if;
    if chunk_overlap < 0 or chunk_overlap * 2 >= coalesce(chunk_tokens, 0) then
        raise exception 'chunk_overlap must be less than half of chunk_tokens, which is %, not %', coalesce(chunk_tokens::text, 'not given'), chunk_overlap
            using errcode = 'invalid_parameter_value';
    end if;
    perform private.require_template_columns(registered.relation);
    counted := private.counted_columns(registered);

    -- Edits wait until the triggers stand, so that none falls between them and what is enqueued below.
    execute format('lock table %s in share row exclusive mode', source);
    -- "a.b".c and a."b.c" have one name, and a table that was renamed is known by its old one.
    select s.* into before
    from private.present_sources as s
    where (s.source_table = registered.source_table) <> (s.relation = registered.relation)
    limit 1;
    if found then
        raise exception 'Table % cannot be registered as "%": % is registered as "%"',
            source, registered.source_table, before.relation, before.source_table
            using errcode = 'invalid_parameter_value', hint = format(
                'One name stands for one table. That one can leave first: select public.unregister_embedding_source(%L);', before.relation
            );
    end if;
    select * into before from private.embedding_sources as s where s.source_table = registered.source_table for update;
    insert into private.embedding_sources (
        source_table, relation, key_columns, content, published, chunk_tokens, chunk_overlap
    )
    values (
        registered.source_table, registered.relation, registered.key_columns, registered.content, registered.published,
        registered.chunk_tokens, registered.chunk_overlap
    )
    on conflict on constraint embedding_sources_pkey do update
    set
        relation = excluded.relation,
        key_columns = excluded.key_columns,
        content = excluded.content,
        published = excluded.published,
        chunk_tokens = excluded.chunk_tokens,
        chunk_overlap = excluded.chunk_overlap;
    perform private.create_source_triggers(registered, counted);

    -- A table that was dropped and made anew is another one of the same name.
    if (before.relation, before.key_columns, before.content, before.published, before.chunk_tokens, before.chunk_overlap)
        is distinct from (
            registered.relation, registered.key_columns, registered.content, registered.published, registered.chunk_tokens,
            registered.chunk_overlap
        )
    then
        -- A table that fits into one batch is queued here and now; of a larger one the first.
        perform private.begin_backfill(registered.source_table);
        loop
            advanced := private.advance_backfill(
                registered.source_table, (private.setting('embedding_backfill_batch') #>> '{}')::integer
            );
            enqueued := enqueued + coalesce(advanced, 0);
            exit when advanced is distinct from 0;
        end loop;
    end if;
    return jsonb_build_object('sourceTable', registered.source_table, 'enqueued', enqueued);
exception when lock_not_available or deadlock_detected then
    -- Whoever comes after it would have to wait behind it as well.
    raise exception 'Table % is in use just now', source
        using errcode = 'PT409', hint = 'Somebody writes it or changes it in a transaction that is still open. Try again in a while.';
end
$$;
comment on function public.register_embedding_source(regclass, text, text, integer, integer) is
    'Keeps a table embedded from now on, what is in it included. Called again with the same expressions, it changes nothing.';
revoke all on function public.register_embedding_source(regclass, text, text, integer, integer) from public, anon, authenticated, service_role;

create function private.forget_source(source_table text) returns void
language plpgsql
set search_path = ''
as $$
begin
    -- The queue first: whoever holds a row of it writes copies, and these ask for the source.
    delete from public.embedding_sync_queue as q where q.source_table = forget_source.source_table;
    delete from private.embedding_sources as s where s.source_table = forget_source.source_table;
    perform private.resolve_alert(kind, source_table) from unnest('{embedding_source_broken,embeddings_differ}'::text[]) as kind;
end
$$;
comment on function private.forget_source(text) is 'Removes a source with its copies and what waits for them.';
revoke all on function private.forget_source(text) from public;

create function private.forget_dropped_sources() returns void
language sql
set search_path = ''
as $$
    -- A table that is dropped has deleted its rows, though no trigger has told so.
    select private.forget_source(s.source_table)
    from private.embedding_sources as s
    where not exists (select from private.present_sources as p where p.source_table = s.source_table);
$$;
comment on function private.forget_dropped_sources() is 'Forgets sources whose tables were dropped. Called by the schedule.';
revoke all on function private.forget_dropped_sources() from public;

create function public.unregister_embedding_source(source regclass) returns void
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
declare
    left_source constant text := (select s.source_table from private.embedding_sources as s where s.relation = source);
begin
    if left_source is null then
        raise exception '% is not registered', source
            using errcode = 'invalid_parameter_value', hint = 'embedding_sync_status lists what is.';
    end if;
    -- Nobody writes copies meanwhile: who did would wait for those that are deleted here, and hold what is wanted next.
    perform private.lock_profiles();
    delete from private.embedded_rows as r where r.source_table = left_source;
    -- What took long is done, and readers and writers of the table were kept from nothing. From here on they are.
    perform private.drop_source_triggers(source);
    perform private.forget_source(left_source);
exception when lock_not_available or deadlock_detected then
    -- Whoever reads the table would have to wait behind it as well.
    raise exception 'Table % is in use just now', source
        using errcode = 'PT409', hint = 'Somebody reads, writes or embeds it in a transaction that is still open. Try again in a while.';
end
$$;
comment on function public.unregister_embedding_source(regclass) is 'Ends the embedding of a table and removes its embeddings.';
revoke all on function public.unregister_embedding_source(regclass) from public, anon, authenticated, service_role;

-- Embeddings: rows of any table and their embeddings, kept in agreement.
--
--   sources   which tables, what text of a row, and when a row counts as published
--   queue     one row per source row that may disagree with its embeddings
--   copies    documentation_embeddings, a row per piece of text and profile
--   triggers  made for each source when it is registered
--   worker    claim, finish, fail: what the Edge Function process-embedding-queue calls
--   waking    by schedule, right after a commit, or by hand
--   people    status, resync, retry

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
    '2000000',
    'Characters a row''s text may have; a longer one fails, because nobody meant to pay for it.',
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
    created_at timestamptz not null default now()
);
comment on table private.embedding_sources is 'Tables whose rows are embedded; see register_embedding_source().';
alter table private.embedding_sources enable row level security;

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
    like private.lease including all,
    primary key (source_table, source_id)
);
comment on table public.embedding_sync_queue is 'One row per source row: make its embeddings agree with it.';
create index embedding_sync_queue_due on public.embedding_sync_queue (visible_at)
    where processed_at is null and failed_at is null;
create index embedding_sync_queue_leases on public.embedding_sync_queue (lease_token) where lease_token is not null;

alter table public.embedding_sync_queue enable row level security;
grant select on public.embedding_sync_queue to authenticated, service_role;
create policy "administrators read the queue" on public.embedding_sync_queue
    for select to authenticated using ((select public.is_admin()));

-- Copies --------------------------------------------------------------------------------------------------------------

create table private.embedding_profiles (
    name text primary key,
    dimensions integer not null check (dimensions between 1 and 4000),
    is_active boolean not null default false,
    created_at timestamptz not null default now()
);
comment on table private.embedding_profiles is 'How texts were embedded: provider, model and dimensions. Vectors of two profiles cannot be compared.';
create unique index embedding_profiles_one_active on private.embedding_profiles (is_active) where is_active;
alter table private.embedding_profiles enable row level security;

create table public.documentation_embeddings (
    source_table text collate "C" not null references private.embedding_sources on delete cascade,
    source_id text collate "C" not null,
    profile text not null references private.embedding_profiles,
    chunk_index integer not null check (chunk_index >= 0),
    content text not null,
    content_hash text not null,
    token_count integer not null check (token_count >= 0),
    metadata jsonb not null default '{}',
    embedding extensions.halfvec not null,
    updated_at timestamptz not null default now(),
    primary key (source_table, source_id, profile, chunk_index)
);
comment on table public.documentation_embeddings is 'The embeddings of every source, of any dimension; each profile has its own index.';
create index documentation_embeddings_profile on public.documentation_embeddings (profile);

alter table public.documentation_embeddings enable row level security;
grant select on public.documentation_embeddings to authenticated, service_role;
create policy "administrators read embeddings" on public.documentation_embeddings
    for select to authenticated using ((select public.is_admin()));

create function private.use_embedding_profile(profile text, dimensions integer) returns void
language plpgsql
security definer -- makes an index
set search_path = ''
as $$
declare
    known private.embedding_profiles;
begin
    select * into known from private.embedding_profiles as p where p.name = profile;
    if known.is_active and known.dimensions = use_embedding_profile.dimensions then
        return;
    end if;
    -- Two workers may meet a new profile at once.
    perform pg_advisory_xact_lock(hashtextextended('accord embedding profiles', 0));
    select * into known from private.embedding_profiles as p where p.name = profile;
    if known.name is not null and known.dimensions <> use_embedding_profile.dimensions then
        raise exception 'Profile "%" has % dimensions, not %', profile, known.dimensions, dimensions
            using errcode = 'invalid_parameter_value', hint = 'Another number of dimensions is another profile, under another name.';
    end if;
    if known.name is null then
        insert into private.embedding_profiles (name, dimensions) values (profile, dimensions);
        execute format(
            'create index %I on public.documentation_embeddings using hnsw ((embedding::extensions.halfvec(%s)) extensions.halfvec_cosine_ops) where profile = %L',
            'documentation_embeddings_' || substr(md5(profile), 1, 12), dimensions, profile
        );
    end if;
    if not coalesce(known.is_active, false) then
        update private.embedding_profiles set is_active = false where is_active;
        update private.embedding_profiles set is_active = true where name = profile;
        -- Whatever another profile made is no answer to a question of this one.
        perform private.enqueue_source(s.source_table) from private.embedding_sources as s;
    end if;
end
$$;
revoke all on function private.use_embedding_profile(text, integer) from public;

-- Enqueueing ----------------------------------------------------------------------------------------------------------

create function private.enqueue_statement(
    source_table text, ids text, action text, content text default 'null', are_unknown boolean default false
) returns text
language sql
immutable
set search_path = ''
as $$
    -- In order of the key, so that two bulk edits cannot wait for each other.
    select format(
        $sql$
        insert into public.embedding_sync_queue as q (source_table, source_id, action, content)
        select %s, requested.id, %s, %s
        from (
            select distinct on (id collate "C") id from (%s) as requested (id) order by id collate "C"
        ) as requested
        %s
        $sql$,
        source_table, action, content, ids,
        -- Always an update, so that no edit is swallowed: this is what the whole protocol stands on.
        case when not are_unknown then $sql$
            on conflict on constraint embedding_sync_queue_pkey do update
            set
                revision = q.revision + 1,
                action = excluded.action,
                content = excluded.content,
                visible_at = case when q.lease_token is null then excluded.visible_at else q.visible_at end,
                created_at = case when q.processed_at is null and q.failed_at is null then q.created_at else excluded.created_at end,
                retry_count = 0,
                last_error = null,
                processed_at = null,
                failed_at = null
        $sql$ end
    );
$$;
comment on function private.enqueue_statement(text, text, text, text, boolean) is
    'The one statement by which rows are queued, made of SQL expressions and of a query that gives their ids. It fails if some are in the queue though they were said to be unknown there.';
revoke all on function private.enqueue_statement(text, text, text, text, boolean) from public;

do $generate$
begin
    -- Made from the statement above, so that there is one of it and no plan is made anew for each call.
    execute format(
        $create$
        create function private.enqueue_embeddings(
            source_table text, source_ids text[], action text, content text default null
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
            'enqueue_embeddings.source_table', 'select unnest(source_ids)', 'enqueue_embeddings.action', 'enqueue_embeddings.content'
        )
    );
end
$generate$;
comment on function private.enqueue_embeddings(text, text[], text, text) is 'Queues these rows of a source.';
revoke all on function private.enqueue_embeddings(text, text[], text, text) from public;

create function private.enqueue_source(source_table text) returns bigint
language plpgsql
security definer -- reads the source past its policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    source private.embedding_sources;
    ids text[];
begin
    select * into strict source from private.embedding_sources as s where s.source_table = enqueue_source.source_table;
    -- What is published, and what is embedded and no longer there.
    execute format(
        $sql$
        select array(
            select %2$s from %1$s as %3$I where coalesce((%4$s
            ), false)
            union
            select source_id from public.documentation_embeddings where source_table = $1
        )
        $sql$,
        source.relation, private.source_key(source), private.name_of(source.relation), source.published
    ) into ids using source.source_table;
    perform private.enqueue_embeddings(source.source_table, ids, 'update');
    return cardinality(ids)::bigint;
end
$$;
revoke all on function private.enqueue_source(text) from public;

-- Waking --------------------------------------------------------------------------------------------------------------

-- In immediate mode a trigger on the queue leaves one row here for each transaction that queues; another one, at its
-- commit, calls the worker. In the other modes the first is off and costs nobody anything.
create table private.embedding_wishes (
    transaction_id xid8 primary key default pg_current_xact_id()
);
alter table private.embedding_wishes enable row level security;

create function private.wish_for_worker() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into private.embedding_wishes default values on conflict do nothing;
    return null;
end
$$;
revoke all on function private.wish_for_worker() from public;

create trigger embedding_sync_queue_wakes
after insert on public.embedding_sync_queue
for each statement execute function private.wish_for_worker();
alter table public.embedding_sync_queue disable trigger embedding_sync_queue_wakes;

create function private.apply_embedding_wake() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    execute format(
        'alter table public.embedding_sync_queue %s trigger embedding_sync_queue_wakes',
        case when private.setting('embedding_wake') = '"immediate"' then 'enable' else 'disable' end
    );
    return null;
end
$$;
revoke all on function private.apply_embedding_wake() from public;

create trigger settings_embedding_wake
after update of value on private.settings
for each row when (new.name = 'embedding_wake') execute function private.apply_embedding_wake();

create table private.embedding_wakes (
    is_only_row boolean primary key default true check (is_only_row),
    called_at timestamptz not null default '-infinity'
);
insert into private.embedding_wakes default values;
alter table private.embedding_wakes enable row level security;

create function private.has_due_embeddings() returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from public.embedding_sync_queue
        where processed_at is null and failed_at is null and visible_at <= clock_timestamp()
    );
$$;
comment on function private.has_due_embeddings() is 'Whether a worker would find anything: an empty queue makes no call.';
revoke all on function private.has_due_embeddings() from public;

create function private.wake_at_commit() returns trigger
language plpgsql
security definer -- calls the worker
set search_path = ''
as $$
declare
    interval_since interval := make_interval(secs => (private.setting('embedding_wake_interval_seconds') #>> '{}')::integer);
begin
    delete from private.embedding_wishes where transaction_id = new.transaction_id;
    update private.embedding_wakes
    set called_at = clock_timestamp()
    where is_only_row in (
        select is_only_row
        from private.embedding_wakes
        where called_at < clock_timestamp() - interval_since and private.has_due_embeddings()
        for update skip locked
    );
    if found then
        -- Whoever commits within the interval makes no call of its own: the worker watches the queue for so long.
        perform private.call_edge_function('process-embedding-queue', jsonb_build_object(
            'action', 'process', 'lingerMs', 1000 * extract(epoch from interval_since) + 500
        ));
    end if;
    return null;
end
$$;
revoke all on function private.wake_at_commit() from public;

create constraint trigger embedding_wishes_at_commit
after insert on private.embedding_wishes
deferrable initially deferred
for each row execute function private.wake_at_commit();

create function private.dispatch_embeddings() returns bigint
language sql
set search_path = ''
as $$
    select private.call_edge_function('process-embedding-queue', '{"action": "process"}')
    where private.has_due_embeddings() and private.setting('embedding_wake') <> '"manual"';
$$;
comment on function private.dispatch_embeddings() is 'Wakes the worker if there is work. Scheduled every five minutes.';
revoke all on function private.dispatch_embeddings() from public;

select cron.schedule('accord-embeddings', '*/5 * * * *', 'select private.dispatch_embeddings()');

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

create function private.counted_columns(source private.embedding_sources) returns name[]
language plpgsql
set search_path = ''
as $$
declare
    probe refcursor;
    tree text;
    columns name[];
begin
    -- A cursor takes one statement alone, and this one is never fetched from: what an expression could do is not done.
    begin
        open probe for execute format(
            E'select (%s\n)::text, (%s\n)::boolean from %s as %I', source.content, source.published, source.relation,
            private.name_of(source.relation)
        );
        close probe;
    exception when others then
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
    'The columns on which key, content and published depend; refuses expressions that cannot be trusted.';
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

create function private.create_source_triggers(source private.embedding_sources, counted name[]) returns void
language plpgsql
set search_path = ''
as $$
declare
    relation_name name := private.name_of(source.relation);
    prefix text := left(relation_name, 30) || '_' || substr(md5(source.source_table), 1, 8);
    -- `update of` overlooks what a BEFORE trigger rewrites and what is generated: then the condition alone decides.
    sees_all boolean := exists (
        select from pg_catalog.pg_trigger as t
        where t.tgrelid = source.relation and not t.tgisinternal and t.tgtype & 2 = 2 and t.tgtype & 16 = 16
    ) or exists (
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
                'begin perform private.enqueue_embeddings(%1$L, array(select source_id from public.documentation_embeddings where source_table = %1$L union select source_id from public.embedding_sync_queue where source_table = %1$L and processed_at is null), ''delete''); return null; end',
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
            'create function private.%I() returns trigger language plpgsql security definer set search_path = '''' %s as %L',
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
        execute format('create trigger %I ', 'accord_embed_' || verb) || format(
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
    source regclass, content text, published text default 'true'
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    before private.embedding_sources;
    registered private.embedding_sources;
    counted name[];
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
    where c.oid = source and c.relkind in ('r', 'p');
    registered.content := register_embedding_source.content;
    registered.published := register_embedding_source.published;

    if registered.relation is null then
        raise exception '% is not a table', source
            using errcode = 'wrong_object_type', hint = 'Register the table that a view reads from.';
    end if;
    if cardinality(registered.key_columns) = 0 then
        raise exception 'Table % has no primary key', source
            using errcode = 'invalid_parameter_value', hint = 'Its rows could not be told apart: give it one first.';
    end if;
    counted := private.counted_columns(registered);

    -- Edits wait until the triggers stand, so that none falls between them and what is enqueued below.
    execute format('lock table %s in share row exclusive mode', source);
    select * into before from private.embedding_sources as s where s.source_table = registered.source_table for update;
    insert into private.embedding_sources (source_table, relation, key_columns, content, published)
    values (registered.source_table, registered.relation, registered.key_columns, registered.content, registered.published)
    on conflict on constraint embedding_sources_pkey do update
    set relation = excluded.relation, key_columns = excluded.key_columns, content = excluded.content, published = excluded.published;
    perform private.drop_source_triggers(source);
    perform private.create_source_triggers(registered, counted);

    if (before.key_columns, before.content, before.published)
        is distinct from (registered.key_columns, registered.content, registered.published)
    then
        enqueued := private.enqueue_source(registered.source_table);
    end if;
    return jsonb_build_object('sourceTable', registered.source_table, 'enqueued', enqueued);
end
$$;
comment on function public.register_embedding_source(regclass, text, text) is
    'Keeps a table embedded from now on, what is in it included. Called again with the same expressions, it changes nothing.';
revoke all on function public.register_embedding_source(regclass, text, text) from public, anon, authenticated, service_role;

create function public.unregister_embedding_source(source regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
    left_source text;
begin
    perform private.drop_source_triggers(source);
    delete from private.embedding_sources where relation = source returning embedding_sources.source_table into left_source;
    delete from public.embedding_sync_queue where source_table = left_source;
    if left_source is null then
        raise exception '% is not registered', source
            using errcode = 'invalid_parameter_value', hint = 'embedding_sync_status lists what is.';
    end if;
end
$$;
comment on function public.unregister_embedding_source(regclass) is 'Ends the embedding of a table and removes its embeddings.';
revoke all on function public.unregister_embedding_source(regclass) from public, anon, authenticated, service_role;

-- Worker --------------------------------------------------------------------------------------------------------------

create function public.read_embedding_jobs(tokens uuid[], profile text) returns jsonb
language plpgsql
security definer -- reads sources past their policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    source private.embedding_sources;
    content_limit integer := (private.setting('embedding_content_limit') #>> '{}')::integer;
    part jsonb;
    jobs jsonb := '[]'::jsonb;
begin
    for source in
        select s.*
        from private.embedding_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (tokens)
        )
    loop
        execute format(
            $sql$
            select jsonb_agg(jsonb_build_object(
                'token', accord_job.lease_token,
                'sourceTable', accord_job.source_table,
                'sourceId', accord_job.source_id,
                'content', case when length(found.content) <= $3 then found.content end,
                'tooLong', case when length(found.content) > $3 then length(found.content) end,
                'limit', $3,
                'hashes', (
                    select coalesce(jsonb_agg(e.content_hash order by e.chunk_index), '[]')
                    from public.documentation_embeddings as e
                    where e.source_table = accord_job.source_table and e.source_id = accord_job.source_id and e.profile = $2
                )
            ))
            from public.embedding_sync_queue as accord_job
            left join lateral (
                select coalesce(accord_job.content, (%2$s
                )::text) as content
                from %1$s as %3$I
                where %4$s and coalesce((%5$s
                )::boolean, false)
            ) as found on true
            where accord_job.lease_token = any ($1) and accord_job.source_table = %6$L
            $sql$,
            source.relation, source.content, private.name_of(source.relation),
            private.source_match(source, 'accord_job.source_id'), source.published, source.source_table
        ) into part using tokens, profile, content_limit;
        jobs := jobs || coalesce(part, '[]');
    end loop;
    return jobs;
end
$$;
comment on function public.read_embedding_jobs(uuid[], text) is
    'The text of each row that is still leased by these tokens, null where there is nothing to embed any more.';
revoke all on function public.read_embedding_jobs(uuid[], text) from public, anon, authenticated;
grant execute on function public.read_embedding_jobs(uuid[], text) to service_role;

create function public.claim_embedding_jobs(batch_size integer, profile text, dimensions integer) returns uuid[]
language plpgsql
security definer -- leases rows that nobody may write
set search_path = ''
as $$
begin
    if batch_size is null or batch_size not between 1 and 500 then
        raise exception 'batchSize must be from 1 to 500, not %', batch_size using errcode = 'invalid_parameter_value';
    end if;
    perform private.use_embedding_profile(profile, dimensions);
    return private.claim(
        'public.embedding_sync_queue',
        batch_size,
        make_interval(secs => (private.setting('embedding_lease_seconds') #>> '{}')::integer),
        (private.setting('embedding_retry_limit') #>> '{}')::integer
    );
end
$$;
comment on function public.claim_embedding_jobs(integer, text, integer) is
    'Leases due rows to a worker and gives their tokens. It reads them in a transaction of its own, after this one: what a
    claim sees of the source may be older than the revision it claims, and nobody may hold a queue row and wait for a source.';
revoke all on function public.claim_embedding_jobs(integer, text, integer) from public, anon, authenticated;
grant execute on function public.claim_embedding_jobs(integer, text, integer) to service_role;

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
        from private.embedding_sources as s
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

create function public.finish_embedding_jobs(profile text, results jsonb) returns jsonb
language plpgsql
security definer -- writes the copies, which nobody else may
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    queue constant regclass := 'public.embedding_sync_queue'::regclass;
    asked uuid[] := array(select (r ->> 'token')::uuid from jsonb_array_elements(results) as r);
    relation regclass;
    held uuid[];
    writable uuid[];
    outcomes jsonb;
    busy uuid[];
begin
    if not exists (select from private.embedding_profiles as p where p.name = profile and p.is_active) then
        raise exception 'Profile "%" is not the active one', profile
            using errcode = 'object_not_in_prerequisite_state', hint = 'Claim again: the rows are still due.';
    end if;
    -- The tables first and then the queue, in the order in which an edit takes them: whoever TRUNCATEs a table holds it
    -- and waits for rows of the queue.
    for relation in
        select s.relation
        from private.embedding_sources as s
        where s.source_table in (
            select q.source_table from public.embedding_sync_queue as q where q.lease_token = any (asked)
        )
        order by s.source_table
    loop
        execute format('lock table %s in access share mode', relation);
    end loop;
    held := private.hold(queue, asked);
    writable := private.eligible(held);

    -- What is gone, unpublished or without text has no copy, whatever the worker found a moment ago; neither have the
    -- pieces beyond a text's new end, nor those of a profile that is no more in use.
    delete from public.documentation_embeddings as e
    using public.embedding_sync_queue as q
    left join jsonb_array_elements(results) as r on (r ->> 'token')::uuid = q.lease_token
    where q.lease_token = any (held)
        and e.source_table = q.source_table and e.source_id = q.source_id
        and (
            not q.lease_token = any (writable)
            or e.profile <> finish_embedding_jobs.profile
            or (r ? 'pieces' and e.chunk_index >= jsonb_array_length(r -> 'pieces'))
        );

    insert into public.documentation_embeddings as e (
        source_table, source_id, profile, chunk_index, content, content_hash, token_count, embedding
    )
    select
        q.source_table, q.source_id, finish_embedding_jobs.profile, p.place - 1,
        p.piece ->> 'content', p.piece ->> 'hash', (p.piece ->> 'tokens')::integer,
        (p.piece ->> 'embedding')::extensions.halfvec
    from public.embedding_sync_queue as q
    join jsonb_array_elements(results) as r on (r ->> 'token')::uuid = q.lease_token
    cross join jsonb_array_elements(r -> 'pieces') with ordinality as p (piece, place)
    where q.lease_token = any (writable)
        -- A piece without a vector is one that the worker found unchanged.
        and p.piece ? 'embedding'
    on conflict on constraint documentation_embeddings_pkey do update
    set
        content = excluded.content,
        content_hash = excluded.content_hash,
        token_count = excluded.token_count,
        metadata = excluded.metadata,
        embedding = excluded.embedding,
        updated_at = excluded.updated_at;

    select coalesce(jsonb_object_agg(s.token, s.outcome), '{}') into outcomes from private.settle(queue, held) as s;
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
comment on function public.finish_embedding_jobs(text, jsonb) is
    'Writes the copies of rows that are still leased, in one transaction with their settling; gives token: completed, requeued, busy or lost_lease.';
revoke all on function public.finish_embedding_jobs(text, jsonb) from public, anon, authenticated;
grant execute on function public.finish_embedding_jobs(text, jsonb) to service_role;

create function public.fail_embedding_jobs(failures jsonb) returns jsonb
language plpgsql
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
declare
    queue constant regclass := 'public.embedding_sync_queue'::regclass;
    failure record;
    held uuid[];
    outcome text;
    outcomes jsonb := '{}'::jsonb;
begin
    -- A row that an edit holds just now is not charged: the edit will have it done anew.
    for failure in
        select f.token, left(f.message, 1000) as message, coalesce(f.permanent, false) as permanent
        from jsonb_to_recordset(failures) as f (token uuid, message text, permanent boolean)
        join public.embedding_sync_queue as q on q.lease_token = f.token
        order by q.source_table, q.source_id
    loop
        outcome := null;
        held := private.hold(queue, array[failure.token]);
        select f.outcome into outcome
        from private.fail(
            queue, held, array[failure.message],
            case when failure.permanent then 0 else (private.setting('embedding_retry_limit') #>> '{}')::integer end,
            make_interval(secs => (private.setting('embedding_retry_seconds') #>> '{}')::integer)
        ) as f;
        outcomes := outcomes || jsonb_build_object(failure.token::text, coalesce(outcome, 'lost_lease'));
    end loop;
    return outcomes;
end
$$;
comment on function public.fail_embedding_jobs(jsonb) is
    'Charges leased rows a failure; gives token: retry, failed, requeued or lost_lease. A permanent one is not tried again.';
revoke all on function public.fail_embedding_jobs(jsonb) from public, anon, authenticated;
grant execute on function public.fail_embedding_jobs(jsonb) to service_role;

create function public.release_embedding_jobs(tokens uuid[], delay_seconds integer default 0) returns integer
language sql
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
    select private.give_back(
        'public.embedding_sync_queue',
        private.hold('public.embedding_sync_queue', tokens),
        make_interval(secs => delay_seconds)
    );
$$;
comment on function public.release_embedding_jobs(uuid[], integer) is 'Returns leased rows unfinished and uncharged, such as when the provider as a whole fails.';
revoke all on function public.release_embedding_jobs(uuid[], integer) from public, anon, authenticated;
grant execute on function public.release_embedding_jobs(uuid[], integer) to service_role;

create function public.due_embedding_jobs() returns bigint
language sql
stable
security definer -- as finish_embedding_jobs()
set search_path = ''
as $$
    select count(*)
    from public.embedding_sync_queue
    where processed_at is null and failed_at is null and visible_at <= clock_timestamp();
$$;
comment on function public.due_embedding_jobs() is 'How many rows a worker could claim now.';
revoke all on function public.due_embedding_jobs() from public, anon, authenticated;
grant execute on function public.due_embedding_jobs() to service_role;

create function public.wake_embedding_worker() returns bigint
language sql
security definer -- calls the worker
set search_path = ''
as $$
    select private.call_edge_function('process-embedding-queue', '{"action": "process"}');
$$;
comment on function public.wake_embedding_worker() is 'A worker that runs out of its time wakes the next one.';
revoke all on function public.wake_embedding_worker() from public, anon, authenticated;
grant execute on function public.wake_embedding_worker() to service_role;

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
    set failed_at = null, retry_count = 0, visible_at = clock_timestamp(), created_at = clock_timestamp()
    where q.failed_at is not null
        and (retry_failed_embeddings.source_table is null or q.source_table = retry_failed_embeddings.source_table);
    get diagnostics revived = row_count;
    if private.setting('embedding_wake') = '"immediate"' then
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

-- What is embedded from the start ---------------------------------------------------------------------------------------

select public.register_embedding_source('public.faq_items', $$concat_ws(E'\n\n', question, answer)$$, 'is_published');
select public.register_embedding_source('public.documents', $$concat_ws(E'\n\n', title, content)$$, 'is_published');

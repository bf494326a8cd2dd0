-- The copies, and the profiles they are made with.
--
--   profiles   provider, model, dimensions, chunking and template; vectors of two profiles cannot be compared
--   copies     embedded_rows, a row per source row and profile, and documentation_embeddings, one per chunk
--   changing   a profile is built beside the active one, takes its place in one transaction, and can be gone back from

-- Profiles ------------------------------------------------------------------------------------------------------------

create table private.embedding_profiles (
    name text collate "C" primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}$'),
    provider text not null check (provider ~ '^[a-z][a-z0-9-]*$'),
    model text not null,
    dimensions integer not null check (dimensions between 1 and 4000),
    chunk_tokens integer not null default 192 check (chunk_tokens between 16 and 8000),
    chunk_overlap integer not null default 0 check (chunk_overlap >= 0 and chunk_overlap * 2 < chunk_tokens),
    -- What is embedded of a chunk: {chunk}, {headings}, and {any_column} of the row.
    template text not null check (position('{chunk}' in template) > 0),
    usd_per_million_tokens numeric not null default 0 check (usd_per_million_tokens >= 0),
    -- building and active are kept up to date; kept is what was active before.
    state text not null default 'building' check (state in ('building', 'active', 'kept')),
    -- Takes the active one's place as soon as it is complete, without being asked.
    activates_itself boolean not null default false,
    created_at timestamptz not null default now(),
    activated_at timestamptz
);
comment on table private.embedding_profiles is 'How texts are embedded: provider, model, dimensions, chunking and template.';
create unique index embedding_profiles_one_active on private.embedding_profiles (state) where state = 'active';
alter table private.embedding_profiles enable row level security;
grant select on private.embedding_profiles to authenticated, service_role;
create policy "administrators read profiles" on private.embedding_profiles
    for select to authenticated using ((select public.is_admin()));

-- What the environment asked for when a worker last ran: only a change of it is a wish for another profile.
create table private.embedding_default (
    is_only_row boolean primary key default true check (is_only_row),
    profile text not null
);
alter table private.embedding_default enable row level security;

create function private.template_columns(template text) returns text[]
language sql
immutable
set search_path = ''
as $$
    select coalesce(array_agg(distinct found.name[1] order by found.name[1]), '{}')
    from regexp_matches(template, '\{([A-Za-z_][A-Za-z0-9_]*)\}', 'g') as found (name)
    where found.name[1] not in ('chunk', 'headings');
$$;
comment on function private.template_columns(text) is 'The columns of a row that a template names.';
revoke all on function private.template_columns(text) from public;

create function private.columns_of_templates() returns text[]
language sql
stable
set search_path = ''
as $$
    select coalesce(array_agg(distinct c), '{}')
    from private.embedding_profiles as p
    cross join unnest(private.template_columns(p.template)) as c;
$$;
revoke all on function private.columns_of_templates() from public;

create function private.require_columns(relation regclass, columns text[], template text) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    missing text;
begin
    select c into missing
    from unnest(columns) as c
    where not exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = relation and a.attname = c and a.attnum > 0 and not a.attisdropped
    )
    limit 1;
    if missing is not null then
        raise exception 'The template "%" names {%}, which is no column of %', template, missing, relation
            using errcode = 'invalid_parameter_value', hint = 'It may name {chunk}, {headings} and columns that every registered table has.';
    end if;
end
$$;
revoke all on function private.require_columns(regclass, text[], text) from public;

create function private.require_template_columns(relation regclass) returns void
language sql
stable
set search_path = ''
as $$
    select private.require_columns(relation, private.template_columns(p.template), p.template) from private.embedding_profiles as p;
$$;
comment on function private.require_template_columns(regclass) is 'Refuses a table that lacks a column which a profile''s template names.';
revoke all on function private.require_template_columns(regclass) from public;

-- Copies --------------------------------------------------------------------------------------------------------------

create table private.embedded_rows (
    profile text collate "C" not null references private.embedding_profiles,
    source_table text collate "C" not null references private.embedding_sources on delete cascade,
    source_id text collate "C" not null,
    -- Of the text, the columns of the template and the way it is cut: what has the same one need not be looked at.
    fingerprint uuid not null,
    -- Whether somebody gave a text in place of the row's own.
    is_given boolean not null default false,
    chunk_count integer not null check (chunk_count >= 0),
    token_count bigint not null check (token_count >= 0),
    updated_at timestamptz not null default now(),
    primary key (profile, source_table, source_id)
);
comment on table private.embedded_rows is 'Which version of a row its chunks are of; a row without text has no chunks.';
create index embedded_rows_source on private.embedded_rows (source_table, source_id);
alter table private.embedded_rows enable row level security;

create table public.documentation_embeddings (
    source_table text collate "C" not null,
    source_id text collate "C" not null,
    profile text collate "C" not null,
    chunk_index integer not null check (chunk_index >= 0),
    content text not null,
    -- Of all that was embedded; the vector is never another one.
    content_hash text collate "C" not null,
    -- Which one, of several equal chunks of a row.
    occurrence integer not null default 0 check (occurrence >= 0),
    token_count integer not null check (token_count >= 0),
    -- Where the chunk is in the row's text, and the headings above it.
    metadata jsonb not null default '{}',
    embedding extensions.halfvec not null,
    updated_at timestamptz not null default now(),
    -- Not the index: a chunk that is moved stays the same row, and its place in the graph is not paid for again.
    primary key (profile, source_table, source_id, content_hash, occurrence),
    foreign key (profile, source_table, source_id) references private.embedded_rows on delete cascade
) partition by list (profile);
comment on table public.documentation_embeddings is 'The embeddings of every source: a partition for each profile, with an index of its own dimension.';
create index documentation_embeddings_hash on public.documentation_embeddings using hash (content_hash);

alter table public.documentation_embeddings enable row level security;
grant select on public.documentation_embeddings to authenticated, service_role;
create policy "administrators read embeddings" on public.documentation_embeddings
    for select to authenticated using ((select public.is_admin()));

-- Vectors that were paid for and could not be written yet, because others of the same row were not to be had.
create table private.embedding_stock (
    profile text collate "C" not null references private.embedding_profiles on delete cascade,
    content_hash text collate "C" not null,
    embedding extensions.halfvec not null,
    created_at timestamptz not null default now(),
    primary key (profile, content_hash)
);
alter table private.embedding_stock enable row level security;

create function private.partition_of(profile text) returns text
language sql
immutable
set search_path = ''
as $$
    select 'embeddings_' || substr(md5(profile), 1, 12);
$$;
comment on function private.partition_of(text) is 'The table, in `private`, that holds the chunks of a profile.';
revoke all on function private.partition_of(text) from public;

create function private.recipe_sql(source private.embedding_sources, profile_alias text) returns text
language sql
immutable
set search_path = ''
as $$
    select format(
        'md5(concat_ws('' '', 1, %s, %s, %3$s.template))',
        coalesce(source.chunk_tokens::text, profile_alias || '.chunk_tokens'),
        coalesce(source.chunk_overlap::text, case when source.chunk_tokens is null then profile_alias || '.chunk_overlap' else '0' end),
        profile_alias
    );
$$;
comment on function private.recipe_sql(private.embedding_sources, text) is
    'The SQL expression for how a source''s texts are cut and dressed in a profile. Its number counts the versions of the chunker.';
revoke all on function private.recipe_sql(private.embedding_sources, text) from public;

create function private.fingerprint_sql(recipe text, fields text, content text) returns text
language sql
immutable
set search_path = ''
as $$
    select format('md5(concat(%s, E''\n'', %s, E''\n'', %s))::uuid', recipe, fields, content);
$$;
comment on function private.fingerprint_sql(text, text, text) is 'The SQL expression that gives a row''s fingerprint, made of others.';
revoke all on function private.fingerprint_sql(text, text, text) from public;

-- Changing ------------------------------------------------------------------------------------------------------------

-- A profile changes its state only while no copies are being written.
create function private.lock_profiles() returns void
language sql
set search_path = ''
as $$
    select pg_advisory_xact_lock(hashtextextended('accord embedding profiles', 0));
$$;
comment on function private.lock_profiles() is 'Waits until no copies are being written; until the end of the transaction none are. finish_embedding_jobs() is the other side.';
revoke all on function private.lock_profiles() from public;

create function private.require_profile_values(made private.embedding_profiles) returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
    -- What each must be, and what was given.
    wrong record;
begin
    select v.* into wrong
    from (values
        (
            coalesce(made.name ~ '^[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}$', false), 'name',
            'up to 100 letters, digits and any of : . _ / -, the first one a letter or a digit', to_jsonb(made.name)
        ),
        (coalesce(made.provider ~ '^[a-z][a-z0-9-]*$', false), 'provider', 'lower-case letters, digits and hyphens, such as openai', to_jsonb(made.provider)),
        (coalesce(made.model ~ '\S', false), 'model', 'the name of a model of the provider', to_jsonb(made.model)),
        (coalesce(made.dimensions between 1 and 4000, false), 'dimensions', 'from 1 to 4000', to_jsonb(made.dimensions)),
        (coalesce(made.chunk_tokens between 16 and 8000, false), 'chunk_tokens', 'from 16 to 8000', to_jsonb(made.chunk_tokens)),
        (
            coalesce(made.chunk_overlap >= 0 and made.chunk_overlap * 2 < made.chunk_tokens, false), 'chunk_overlap',
            'from 0 to less than half of chunk_tokens', to_jsonb(made.chunk_overlap)
        ),
        (
            coalesce(position('{chunk}' in made.template) > 0, false), 'template',
            'a text with {chunk} in it, and {headings} or {a_column} if wanted', to_jsonb(made.template)
        ),
        (coalesce(made.usd_per_million_tokens >= 0, false), 'usd_per_million_tokens', '0 or more', to_jsonb(made.usd_per_million_tokens))
    ) as v (is_right, name, allowed, given)
    where not v.is_right
    limit 1;
    if found then
        raise exception 'The % of a profile must be %, not %', wrong.name, wrong.allowed, coalesce(wrong.given::text, 'null')
            using errcode = 'invalid_parameter_value', hint = 'Nothing was made. Give another one.';
    end if;
end
$$;
comment on function private.require_profile_values(private.embedding_profiles) is 'Says which value of a profile cannot be, and what can: the constraints say it to nobody.';
revoke all on function private.require_profile_values(private.embedding_profiles) from public;

create function private.create_profile(made private.embedding_profiles) returns void
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
declare
    source private.embedding_sources;
begin
    perform private.require_profile_values(made);
    for source in select s.* from private.present_sources as s order by s.source_table loop
        perform private.require_columns(source.relation, private.template_columns(made.template), made.template);
    end loop;
    insert into private.embedding_profiles values (made.*);
    for source in select s.* from private.present_sources as s order by s.source_table loop
        -- The columns of its template count from now on; of a table that cannot be read, once it is registered anew.
        if private.template_columns(made.template) <> '{}'
            and coalesce((private.source_fault(source.source_table)).state, '55P03') = '55P03'
        then
            execute format('lock table %s in share row exclusive mode', source.relation);
            perform private.create_source_triggers(source, private.counted_columns(source));
        end if;
    end loop;
    -- Attached, and not made where it belongs: that would lock out whoever searches, until the end of all this.
    execute format(
        'create table private.%I (like public.documentation_embeddings including all) with (fillfactor = 85)',
        private.partition_of(made.name)
    );
    execute format('alter table private.%I enable row level security', private.partition_of(made.name));
    execute format(
        'alter table private.%I add constraint dimensions_are_the_profiles check (extensions.vector_dims(embedding) = %s)',
        private.partition_of(made.name), made.dimensions
    );
    execute format(
        'alter table public.documentation_embeddings attach partition private.%I for values in (%L)',
        private.partition_of(made.name), made.name
    );
    perform private.begin_backfill(s.source_table) from private.present_sources as s;
exception when lock_not_available or deadlock_detected then
    -- Who writes the tables before it would have to wait as well.
    raise exception 'Profile "%" cannot be made just now', made.name
        using errcode = 'PT409', hint = format(
            'Its template names columns, and somebody writes %s in a transaction that is still open. Try again in a while.', source.relation
        );
end
$$;
revoke all on function private.create_profile(private.embedding_profiles) from public;

create function private.use_default_profile(wanted jsonb) returns void
language plpgsql
security definer -- makes a partition
set search_path = ''
as $$
declare
    asked private.embedding_profiles := jsonb_populate_record(null::private.embedding_profiles, wanted);
    known private.embedding_profiles;
    last_default text;
begin
    select p.* into known from private.embedding_profiles as p where p.name = asked.name;
    select d.profile into last_default from private.embedding_default as d;
    if known.name is not null and known.dimensions <> asked.dimensions then
        raise exception 'Profile "%" has % dimensions, not %', asked.name, known.dimensions, asked.dimensions
            using errcode = 'invalid_parameter_value', hint = 'Another number of dimensions is another profile, under another name.';
    end if;
    if last_default = asked.name then
        return;
    end if;
    perform private.lock_profiles();
    select p.* into known from private.embedding_profiles as p where p.name = asked.name;
    if known.name is null then
        asked.created_at := now();
        asked.state := 'building';
        asked.activates_itself := true;
        if not exists (select from private.embedding_profiles as p where p.state = 'active') then
            asked.state := 'active';
            asked.activated_at := now();
        end if;
        perform private.create_profile(asked);
    elsif known.state <> 'active' then
        update private.embedding_profiles as p set state = 'building', activates_itself = true where p.name = known.name;
        perform private.begin_backfill(s.source_table) from private.embedding_sources as s where known.state = 'kept';
    end if;
    -- What was asked for before takes nobody's place any more. It is built on until it is retired: workers of two
    -- environments, such as while functions are being deployed, ask for one and the other in turn.
    update private.embedding_profiles as p set activates_itself = false where p.activates_itself and p.name <> asked.name;
    insert into private.embedding_default (profile) values (asked.name)
    on conflict on constraint embedding_default_pkey do update set profile = excluded.profile;
    perform private.advance_backfills();
end
$$;
comment on function private.use_default_profile(jsonb) is
    'What the environment asks for: the first profile is active at once, another one is built beside it and takes its place when it is complete.';
revoke all on function private.use_default_profile(jsonb) from public;

create function private.require_profile(name text) returns private.embedding_profiles
language plpgsql
stable
set search_path = ''
as $$
declare
    known private.embedding_profiles;
begin
    select p.* into known from private.embedding_profiles as p where p.name = require_profile.name;
    if not found then
        raise exception 'There is no profile "%"', require_profile.name
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'There are: ' || (select string_agg(p.name, ', ' order by p.name) from private.embedding_profiles as p) || '.',
                'The first one is made when the worker first runs.'
            );
    end if;
    return known;
end
$$;
revoke all on function private.require_profile(text) from public;

create function public.prepare_embedding_profile(
    name text,
    provider text,
    model text,
    dimensions integer,
    chunk_tokens integer,
    chunk_overlap integer,
    template text,
    usd_per_million_tokens numeric default 0
) returns jsonb
language plpgsql
security definer -- makes a partition; require_admin() keeps everybody else out
set search_path = ''
as $$
declare
    known private.embedding_profiles;
    made private.embedding_profiles;
begin
    perform private.require_admin();
    perform private.lock_profiles();
    select p.* into known from private.embedding_profiles as p where p.name = prepare_embedding_profile.name;
    made := row(
        name, provider, model, dimensions, chunk_tokens, chunk_overlap, template, usd_per_million_tokens, 'building', false, now(), null::timestamptz
    );
    if known.name is null then
        perform private.create_profile(made);
    elsif (known.provider, known.model, known.dimensions, known.chunk_tokens, known.chunk_overlap, known.template)
        is distinct from (made.provider, made.model, made.dimensions, made.chunk_tokens, made.chunk_overlap, made.template)
    then
        raise exception 'There is another profile "%" already', name
            using errcode = 'invalid_parameter_value', hint = 'Give this one a name of its own, or retire that one.';
    elsif known.state = 'kept' then
        update private.embedding_profiles as p set state = 'building' where p.name = known.name;
        perform private.begin_backfill(s.source_table) from private.embedding_sources as s;
    end if;
    perform private.advance_backfills();
    return (
        select jsonb_build_object('name', p.name, 'state', p.state) from private.embedding_profiles as p
        where p.name = prepare_embedding_profile.name
    );
end
$$;
comment on function public.prepare_embedding_profile is 'Builds a profile beside the active one, in the background and behind every edit.';
revoke all on function public.prepare_embedding_profile from public, anon, authenticated;
grant execute on function public.prepare_embedding_profile to authenticated, service_role;

create function private.has_nearest_index(profile text) returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select
        from pg_catalog.pg_index as i
        where i.indexrelid = to_regclass(format('private.%I', private.partition_of(profile) || '_nearest')) and i.indisvalid
    );
$$;
revoke all on function private.has_nearest_index(text) from public;

create function private.is_large(profile text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
    is_large boolean;
begin
    execute format('select exists (select from private.%I offset 2000)', private.partition_of(profile)) into is_large;
    return is_large;
end
$$;
comment on function private.is_large(text) is 'Whether its chunks are too many to be gone through for each question, or indexed while somebody waits.';
revoke all on function private.is_large(text) from public;

create function private.index_profile(profile private.embedding_profiles) returns void
language plpgsql
set search_path = ''
as $$
declare
    partition constant text := private.partition_of(profile.name);
    index_sql constant text := format(
        '%I on private.%I using hnsw ((embedding::extensions.halfvec(%s)) extensions.halfvec_cosine_ops)',
        partition || '_nearest', partition, profile.dimensions
    );
    leftover oid := to_regclass(format('private.%I', partition || '_nearest'))::oid;
begin
    if not private.is_large(profile.name) then
        execute 'create index if not exists ' || index_sql;
    elsif leftover is not null and not exists (select from pg_catalog.pg_stat_progress_create_index as b where b.index_relid = leftover) then
        -- One that was broken off; the next round begins again.
        execute format('drop index private.%I', partition || '_nearest');
    else
        -- A job of its own, because only outside of a transaction can it be built while others write.
        perform cron.schedule('accord-embeddings-index', '10 seconds', 'create index concurrently if not exists ' || index_sql);
    end if;
end
$$;
comment on function private.index_profile(private.embedding_profiles) is
    'Makes the index for nearest neighbours. A profile is filled without one, because filling the graph row by row costs several times more.';
revoke all on function private.index_profile(private.embedding_profiles) from public;

create function private.advance_profiles() returns void
language plpgsql
security definer -- makes indexes
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
    profile private.embedding_profiles;
    -- Since when profiles are being filled.
    filling_since timestamptz;
begin
    -- Several workers may end at once.
    if not pg_try_advisory_xact_lock(hashtextextended('accord embedding profiles advance', 0)) then
        return;
    end if;
    select min(f.since) into filling_since
    from (
        select b.started_at from private.embedding_backfills as b
        union all
        select q.created_at from public.embedding_sync_queue as q
        where q.processed_at is null and q.failed_at is null and q.priority = 1
    ) as f (since);
    for profile in select p.* from private.embedding_profiles as p where p.state in ('building', 'active') order by p.state loop
        -- What is still being filled stays bare; but not the one that search uses, once it is large and a budget, or a table
        -- that cannot be read, may hold the rest back for weeks.
        continue when filling_since is not null and not (
            profile.state = 'active' and private.is_large(profile.name)
            and (private.least_urgent_affordable() < 1 or filling_since < clock_timestamp() - interval '1 day')
        );
        if not private.has_nearest_index(profile.name) then
            perform private.index_profile(profile);
            -- One thing at a time: who holds the index's table must not wait for who writes into it.
            return;
        end if;
        if profile.state = 'building' and profile.activates_itself
            and not exists (select from public.embedding_sync_queue as q where q.processed_at is null and q.failed_at is null)
            -- Rows that wait for a person would hold it up for ever.
            and not exists (select from private.differing_embeddings(profile.name) as v where v.queued is distinct from 'failed')
            -- Rows may be held here that somebody waits for who changes a profile just now.
            and pg_try_advisory_xact_lock(hashtextextended('accord embedding profiles', 0))
        then
            -- Still: it may have been retired, or taken back, since it was looked up.
            perform private.switch_profile(p.name)
            from private.embedding_profiles as p
            where p.name = profile.name and p.state = 'building' and p.activates_itself;
        end if;
    end loop;
    perform cron.unschedule(j.jobid) from cron.job as j where j.jobname = 'accord-embeddings-index';
exception when lock_not_available or deadlock_detected then
    -- Copies are being written, or a profile is being made or retired: the next round tries again.
    return;
when undefined_table then
    -- Retired since it was looked up; otherwise something is wrong.
    if exists (select from private.embedding_profiles as p where p.name = profile.name) then
        raise;
    end if;
end
$$;
comment on function private.advance_profiles() is 'Indexes profiles that are filled, and activates those that do so by themselves. Called after each run and by the schedule.';
revoke all on function private.advance_profiles() from public;

create function private.switch_profile(name text) returns void
language plpgsql
set search_path = ''
as $$
begin
    -- Nothing of a profile is locked before this: who writes copies holds it and asks for the profile.
    perform private.lock_profiles();
    perform private.require_profile(switch_profile.name);
    update private.embedding_profiles as p set state = 'kept' where p.state = 'active' and p.name <> switch_profile.name;
    update private.embedding_profiles as p
    set state = 'active', activated_at = clock_timestamp(), activates_itself = false
    where p.name = switch_profile.name and p.state <> 'active';
end
$$;
revoke all on function private.switch_profile(text) from public;

create function public.activate_embedding_profile(name text, force boolean default false) returns jsonb
language plpgsql
security definer -- as prepare_embedding_profile()
set search_path = ''
set statement_timeout = '5min'
as $$
declare
    profile private.embedding_profiles;
    wrong bigint;
    unproven text;
    eligible bigint;
    enqueued bigint;
begin
    perform private.require_admin();
    profile := private.require_profile(name);
    if profile.state = 'active' then
        return jsonb_build_object('name', profile.name, 'state', 'active', 'enqueued', 0);
    end if;
    if not force then
        select count(distinct (v.source_table, v.source_id)) filter (where v.source_id is not null),
            min(format('table %s, %s', v.source_table, v.detail)) filter (where v.source_id is null)
        into wrong, unproven
        from private.differing_embeddings(profile.name) as v;
    end if;
    if unproven is not null then
        raise exception 'Whether profile "%" is complete cannot be told: %', profile.name, unproven
            using errcode = 'PT409', hint = 'Have the table mended, as accord doctor says. With force the profile is activated as it is, and the table gone through later.';
    end if;
    if wrong > 0 then
        select coalesce(sum(private.count_eligible(s.source_table)), 0)::bigint into eligible from private.present_sources as s;
        raise exception 'Profile "%" lacks % of % rows', profile.name, wrong, greatest(eligible, wrong)
            using errcode = 'PT409', hint = case profile.state
                when 'building' then 'It is being built: see embedding_profile_status. With force it is activated as it is.'
                else 'Prepare it again, or go back to it with rollback_embedding_profile().'
            end;
    end if;
    if private.is_large(profile.name) and not private.has_nearest_index(profile.name) and not force then
        raise exception 'The index of profile "%" is not built yet', profile.name
            using errcode = 'PT409', hint = 'The schedule builds it. Without it search would read every chunk; force accepts that.';
    end if;
    perform private.switch_profile(profile.name);
    -- Under the lock: what is edited before it and finished without this profile is found here, and what is finished after
    -- it has this profile as well. Whoever wants to write copies meanwhile waits for nobody and comes again.
    enqueued := private.resync(profile.name, leaves_none_out => true);
    return jsonb_build_object('name', profile.name, 'state', 'active', 'enqueued', enqueued);
end
$$;
comment on function public.activate_embedding_profile(text, boolean) is
    'Lets search use a profile, in one transaction; the one before is kept for rollback_embedding_profile(). Refused while rows are lacking, unless forced.';
revoke all on function public.activate_embedding_profile(text, boolean) from public, anon, authenticated;
grant execute on function public.activate_embedding_profile(text, boolean) to authenticated, service_role;

create function public.rollback_embedding_profile() returns jsonb
language plpgsql
security definer -- as prepare_embedding_profile()
set search_path = ''
set statement_timeout = '5min'
as $$
declare
    before text;
    enqueued bigint;
begin
    perform private.require_admin();
    select p.name into before
    from private.embedding_profiles as p
    where p.state = 'kept'
    order by p.activated_at desc nulls last
    limit 1;
    if before is null then
        raise exception 'There is no profile to go back to'
            using errcode = 'PT409', hint = 'A profile is kept when another one takes its place, until it is retired.';
    end if;
    perform private.switch_profile(before);
    -- What was edited since is put right first thing; under the lock, as above.
    enqueued := private.resync(before, leaves_none_out => true);
    return jsonb_build_object('name', before, 'state', 'active', 'enqueued', enqueued);
end
$$;
comment on function public.rollback_embedding_profile() is 'Goes back to the profile that was active before, and has what was edited since embedded with it.';
revoke all on function public.rollback_embedding_profile() from public, anon, authenticated;
grant execute on function public.rollback_embedding_profile() to authenticated, service_role;

create function public.retire_embedding_profile(name text) returns jsonb
language plpgsql
security definer -- as prepare_embedding_profile()
set search_path = ''
set statement_timeout = '5min'
set lock_timeout = '2s'
as $$
declare
    profile private.embedding_profiles;
begin
    perform private.require_admin();
    perform private.lock_profiles();
    profile := private.require_profile(name);
    if profile.state = 'active' then
        raise exception 'Profile "%" is the active one', name
            using errcode = 'PT409', hint = 'Activate another one first: search would find nothing.';
    end if;
    -- With its chunks gone at once, the rest is short: until the end of the transaction nobody can search.
    execute format('drop table private.%I', private.partition_of(profile.name));
    delete from private.embedded_rows as r where r.profile = retire_embedding_profile.name;
    delete from private.embedding_profiles as p where p.name = retire_embedding_profile.name;
    return jsonb_build_object('name', name, 'state', 'retired');
exception when lock_not_available or deadlock_detected then
    -- Whoever searches would have to wait behind it as well.
    raise exception 'Profile "%" is in use just now', name
        using errcode = 'PT409', hint = 'Somebody embeds, searches, verifies or saves the database. Try again in a while.';
end
$$;
comment on function public.retire_embedding_profile(text) is 'Drops a profile that is not active, and its copies.';
revoke all on function public.retire_embedding_profile(text) from public, anon, authenticated;
grant execute on function public.retire_embedding_profile(text) to authenticated, service_role;

-- The proof of embeddings: which copies differ from their rows, found in the data itself and not in the queue's memory.
--
--   sources   those that cannot be read are told, and keep none of the others from being proven
--   proof     what is missing, stale, orphaned or there twice; how much of a source there is to embed, and is

-- Sources that cannot be read ------------------------------------------------------------------------------------------

create function private.reading_fault(state text) returns text
language sql
immutable
set search_path = ''
as $$
    -- Not the error's own words: they quote values of rows.
    select case
        when state = '55P03' then 'somebody has it locked just now'
        when state like '22%' then 'an expression fails on a value of a row'
        else 'an expression fails'
    end || format(' (SQLSTATE %s)', state);
$$;
comment on function private.reading_fault(text) is 'Why a source could not be read, by the SQLSTATE alone.';
revoke all on function private.reading_fault(text) from public;

create function private.source_fault(source_table text, reads_rows boolean default false, out state text, out reason text)
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '500ms'
as $$
declare
    source private.embedding_sources;
begin
    select s.* into source from private.present_sources as s where s.source_table = source_fault.source_table;
    if not found then
        return;
    end if;
    begin
        perform private.probe_expressions(source);
    exception when others then
        state := sqlstate;
        reason := case when state = '55P03' then private.reading_fault(state) else format('%s (SQLSTATE %s)', sqlerrm, state) end;
        return;
    end;
    if reads_rows then
        execute format(
            E'select count(%s), count((%s\n)::text), count(%s) from %s as %I where coalesce((%s\n)::boolean, false)',
            private.source_key(source), source.content, private.fields_sql(private.columns_of_templates()), source.relation,
            private.name_of(source.relation), source.published
        );
    end if;
exception when others then
    state := sqlstate;
    reason := private.reading_fault(state);
end
$$;
comment on function private.source_fault(text, boolean) is
    'Why a source cannot be read, null where it can: whether its expressions fit the table and, if asked, each of its rows. Holds nothing of a row.';
revoke all on function private.source_fault(text, boolean) from public;

create function private.broken_source_mend(source_table text) returns text
language sql
stable
set search_path = ''
as $$
    select format(
        'Give the table back what its expressions need (content: %s; published: %s), or register it with others: select public.register_embedding_source(%L, <content>, <published>); or have it leave: select public.unregister_embedding_source(%3$L);',
        s.content, s.published, s.relation
    )
    from private.present_sources as s
    where s.source_table = broken_source_mend.source_table;
$$;
comment on function private.broken_source_mend(text) is 'What to do about a source that cannot be read.';
revoke all on function private.broken_source_mend(text) from public;

create function private.is_told_broken(source_table text) returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from public.alerts as a
        where a.kind = 'embedding_source_broken' and a.subject = is_told_broken.source_table and a.resolved_at is null
    );
$$;
revoke all on function private.is_told_broken(text) from public;

create function private.tell_broken_source(source_table text, reason text) returns void
language sql
set search_path = ''
as $$
    select private.raise_alert('embedding_source_broken', source_table, format(
        'Table "%s" cannot be read: %s. Its embeddings stay as they are, edits of it may fail, and until it is mended no profile takes the active one''s place by itself. %s',
        source_table, reason, private.broken_source_mend(source_table)
    ));
$$;
comment on function private.tell_broken_source(text, text) is 'Raises the alert that a source cannot be read.';
revoke all on function private.tell_broken_source(text, text) from public;

create function private.watch_sources() returns void
language plpgsql
set search_path = ''
as $$
declare
    source text;
    is_told boolean;
    fault record;
begin
    for source in select s.source_table from private.present_sources as s order by s.source_table loop
        is_told := private.is_told_broken(source);
        -- Its rows are read only where one of them may be what is told.
        select f.* into fault from private.source_fault(source, is_told) as f;
        if fault.state is null and is_told then
            perform private.resolve_alert('embedding_source_broken', source);
        elsif fault.state <> '55P03' then
            perform private.tell_broken_source(source, fault.reason);
        end if;
    end loop;
end
$$;
comment on function private.watch_sources() is 'Tells of sources that cannot be read, until they can.';
revoke all on function private.watch_sources() from public;

-- Proof ---------------------------------------------------------------------------------------------------------------

create function private.embedding_problems(profile text, only_source text default null) returns table (
    source_table text, source_id text, profile_name text, problem text, detail text, queued text
)
language plpgsql
stable
security definer -- reads sources past their policies
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set work_mem = '64MB' -- a million rows are hashed, not sorted on disk
set parallel_tuple_cost = 0
-- A source that was just filled is unknown to the statistics: it is guessed to have one row, and would be gone through
-- once for each row of it.
set enable_nestloop = off
set jit = off -- what must be nested all the same is priced so high that everything would be compiled
set lock_timeout = '2s'
as $$
#variable_conflict use_column
declare
    examined private.embedding_profiles;
    source private.embedding_sources;
    recipe text;
begin
    select p.* into examined from private.embedding_profiles as p where p.name = embedding_problems.profile;
    for source in
        select s.* from private.present_sources as s where only_source is null or s.source_table = only_source order by s.source_table
    loop
        -- Once, and not beside the row, whose columns may have the names of a profile's.
        execute format('select %s from (select ($1).*) as accord_profile', private.recipe_sql(source, 'accord_profile'))
        into recipe using examined;
        return query execute format(
            $sql$
            with wanted as not materialized (
                select %2$s collate "C" as id, %7$s as fingerprint
                from %1$s as %3$I
                where coalesce((%4$s
                )::boolean, false)
            ), copies as not materialized (
                select r.source_id as id, r.fingerprint, r.is_given, r.chunk_count
                from private.embedded_rows as r
                where r.profile = %5$L and r.source_table = %6$L
            ), differing as materialized (
                select
                    coalesce(w.id, c.id) as id,
                    case when w.id is null then 'orphan' when c.id is null then 'missing' else 'stale' end as problem,
                    case
                        when w.id is null then 'its row is gone or not published'
                        when c.id is null then 'nothing is embedded'
                        else 'the text has changed since'
                    end as detail
                from wanted as w
                full join copies as c on c.id = w.id
                where w.id is null or c.id is null or (not c.is_given and c.fingerprint <> w.fingerprint)
            ), expected as materialized (
                -- What a row of so many chunks adds to the sums below.
                select n, (sum(case when n > 0 then %8$s else 0 end) over (order by n))::bigint as first,
                    (sum(case when n > 0 then %9$s else 0 end) over (order by n))::bigint as second
                from generate_series(0, (select max(c.chunk_count) from copies as c)) as n
            ), sums as materialized (
                -- Whether each row has the chunks 0, 1, 2 … up to its last: told by two sums over all of them, in which a
                -- fault would have to cancel itself out by a chance of one in billions. Grouping a million chunks by their
                -- rows costs as much as all the rest, and is done only where the sums differ.
                select found.n = known.n and found.first = known.first and found.second = known.second as agree
                from (
                    select count(*) as n, coalesce(sum(%10$s * %8$s), 0) as first, coalesce(sum(%11$s * %9$s), 0) as second
                    from (
                        select e.source_id as id, e.chunk_index + 1 as n
                        from public.documentation_embeddings as e
                        where e.profile = %5$L and e.source_table = %6$L
                    ) as k
                ) as found
                cross join (
                    select
                        coalesce(sum(k.chunk_count), 0) as n, coalesce(sum(%10$s * x.first), 0) as first,
                        coalesce(sum(%11$s * x.second), 0) as second
                    from copies as k
                    join expected as x on x.n = k.chunk_count
                ) as known
            ), chunks as not materialized (
                select
                    e.source_id as id, count(*) as chunk_count, count(distinct e.chunk_index) as places,
                    max(e.chunk_index) + 1 as last_index
                from public.documentation_embeddings as e
                where e.profile = %5$L and e.source_table = %6$L
                group by e.source_id
            ), incomplete as materialized (
                -- No chunk is without its copy: a foreign key sees to that.
                select c.id, c.chunk_count, coalesce(k.chunk_count, 0) as found_chunks
                from copies as c
                left join chunks as k on k.id = c.id
                where not (select agree from sums) and (
                    coalesce(k.chunk_count, 0) <> c.chunk_count
                    or coalesce(k.places, 0) <> c.chunk_count
                    or coalesce(k.last_index, 0) <> c.chunk_count
                )
            ), problems as (
                select d.id, d.problem, d.detail from differing as d
                union all
                select i.id, case when i.found_chunks < i.chunk_count then 'missing' else 'duplicate' end,
                    case
                        when i.found_chunks = i.chunk_count then 'chunks out of place'
                        else format('%%s chunks where %%s belong', i.found_chunks, i.chunk_count)
                    end
                from incomplete as i
                where not exists (select from differing as d where d.id = i.id)
            )
            select %6$L, p.id, %5$L, p.problem, p.detail,
                (
                    select q.status
                    from public.embedding_sync_queue as q
                    where q.source_table = %6$L and q.source_id = p.id and q.status <> 'completed'
                )
            from problems as p
            $sql$,
            source.relation, private.source_key(source), private.name_of(source.relation), source.published,
            examined.name, source.source_table,
            private.fingerprint_sql(
                quote_literal(recipe),
                case when private.template_columns(examined.template) = '{}' then 'null'
                    else private.fields_sql(private.template_columns(examined.template)) end,
                format(E'coalesce((%s\n)::text, '''')', source.content)
            ),
            -- Small enough that a row of a hundred thousand chunks does not overflow.
            '(hashint8extended(n, 1) & 4194303)', '(hashint8extended(n, 2) & 4194303)',
            '(hashtextextended(k.id, 1) & 4194303)', '(hashtextextended(k.id, 2) & 4194303)'
        );
    end loop;
    return query
    select r.source_table, r.source_id, r.profile, 'wrong_profile', 'its profile is gone', null
    from private.embedded_rows as r
    where not exists (select from private.embedding_profiles as p where p.name = r.profile)
        and (only_source is null or r.source_table = only_source)
    union all
    select r.source_table, r.source_id, r.profile, 'orphan', 'its table was dropped', null
    from private.embedded_rows as r
    where r.profile = examined.name
        and not exists (select from private.present_sources as p where p.source_table = r.source_table)
        and (only_source is null or r.source_table = only_source);
end
$$;
comment on function private.embedding_problems(text, text) is
    'Where copies and rows differ in a profile, found in the data itself and not in what the queue remembers; queued tells what is about to be done.';
revoke all on function private.embedding_problems(text, text) from public;

create function private.differing_embeddings(profile text, only_source text default null) returns table (
    source_table text, source_id text, profile_name text, problem text, detail text, queued text
)
language plpgsql
stable
security definer -- as private.embedding_problems()
set search_path = ''
as $$
#variable_conflict use_column
declare
    source text;
    failure text;
begin
    for source in
        select s.source_table from private.embedding_sources as s
        where only_source is null or s.source_table = only_source
        order by s.source_table
    loop
        begin
            -- By way of a whole answer: of one that breaks off nothing is given.
            return query select p.* from private.embedding_problems(profile, source) as p;
        exception when others then
            failure := sqlstate;
            return query
            select
                source, null::text, profile, case failure when '55P03' then 'locked' else 'unreadable' end,
                coalesce(case when f.state <> '55P03' then f.reason end, private.reading_fault(failure)), null::text
            from private.source_fault(source) as f;
        end;
    end loop;
end
$$;
comment on function private.differing_embeddings(text, text) is
    'The problems of every source, or of one; a source that cannot be examined is one row without an id, locked or unreadable, and hides none of the others.';
revoke all on function private.differing_embeddings(text, text) from public;

create function public.verify_embeddings(only_source text default null) returns table (
    source_table text, source_id text, profile text, problem text, detail text, queued text
)
language plpgsql
stable
security definer -- as private.embedding_problems()
set search_path = ''
set statement_timeout = '5min'
as $$
#variable_conflict use_column
begin
    perform private.require_admin();
    if only_source is not null then
        perform private.require_source(only_source);
    end if;
    return query
    select v.*
    from private.embedding_profiles as p
    cross join lateral private.differing_embeddings(p.name, only_source) as v
    where p.state = 'active';
end
$$;
comment on function public.verify_embeddings(text) is
    'Every row that disagrees with its embeddings: missing, stale, orphan, duplicate or wrong_profile; and, without an id, every table that is locked or unreadable. None, and all agree.';
revoke all on function public.verify_embeddings(text) from public, anon, authenticated;
grant execute on function public.verify_embeddings(text) to authenticated, service_role;

create function private.count_eligible(source_table text) returns bigint
language plpgsql
stable
security definer -- reads sources past their policies, by the expressions that are registered and no others
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '500ms' -- whoever looks at the status does not wait for a table
as $$
declare
    source private.embedding_sources;
    eligible bigint;
begin
    select s.* into source from private.present_sources as s where s.source_table = count_eligible.source_table;
    if not found then
        return 0::bigint;
    end if;
    execute format(
        E'select count(*) from %s as %I where coalesce((%s\n)::boolean, false)',
        source.relation, private.name_of(source.relation), source.published
    ) into eligible;
    return eligible;
exception when others then
    -- The status of the others is told all the same; an alert tells why this one cannot be read.
    return null;
end
$$;
comment on function private.count_eligible(text) is 'How many rows of a source are to be embedded; null where it is locked or cannot be read.';
revoke all on function private.count_eligible(text) from public;
grant execute on function private.count_eligible(text) to authenticated, service_role;

create function private.count_embedded(source_table text, profile text) returns bigint
language sql
stable
security definer -- reads copies past their policies
set search_path = ''
as $$
    select count(*) from private.embedded_rows as r where r.profile = count_embedded.profile and r.source_table = count_embedded.source_table;
$$;
comment on function private.count_embedded(text, text) is 'How many rows of a source have a copy in a profile.';
revoke all on function private.count_embedded(text, text) from public;
grant execute on function private.count_embedded(text, text) to authenticated, service_role;

-- Search: the texts nearest to a question, each with its live row, of what the caller may see.
--
-- Embeddings are found past their policies, by functions that only this file calls; the rows they belong to are read
-- under the caller's own rights, and only while they are published. So a row is gone from search the moment it is
-- deleted, unpublished or no longer the caller's to see, whatever the queue has still to do.

create function private.nearest_embeddings(
    query extensions.halfvec, profile text, dimensions integer, wanted integer, sources text[]
) returns table (source_table text, source_id text, chunk_index integer, content text, score double precision)
language plpgsql
stable
security definer -- reads embeddings past their policies: whoever asks is shown only rows that they may see
set search_path = ''
as $$
begin
    -- Filters are applied while the index is walked, so that they cannot leave a page half empty.
    perform set_config('hnsw.iterative_scan', 'strict_order', true);
    perform set_config('hnsw.ef_search', least(1000, greatest(40, wanted))::text, true);
    return query execute format(
        $sql$
        select e.source_table, e.source_id, e.chunk_index, e.content,
            1 - (e.embedding::extensions.halfvec(%1$s) operator(extensions.<=>) $1::extensions.halfvec(%1$s))
        from public.documentation_embeddings as e
        where e.profile = %2$L and ($2 is null or e.source_table = any ($2))
        order by e.embedding::extensions.halfvec(%1$s) operator(extensions.<=>) $1::extensions.halfvec(%1$s)
        limit $3
        $sql$,
        dimensions, profile
    ) using query, sources, wanted;
end
$$;
revoke all on function private.nearest_embeddings(extensions.halfvec, text, integer, integer, text[]) from public;
grant execute on function private.nearest_embeddings(extensions.halfvec, text, integer, integer, text[])
    to anon, authenticated, service_role;

create function private.embeddings_of(
    query extensions.halfvec, profile text, dimensions integer, wanted integer, source text, ids text[]
) returns table (source_table text, source_id text, chunk_index integer, content text, score double precision)
language plpgsql
stable
security definer -- as nearest_embeddings(); the rows are those that whoever asks has just seen
set search_path = ''
as $$
begin
    return query execute format(
        $sql$
        select e.source_table, e.source_id, e.chunk_index, e.content,
            1 - (e.embedding::extensions.halfvec(%1$s) operator(extensions.<=>) $1::extensions.halfvec(%1$s))
        from unnest($3) as accord_seen (id)
        join public.documentation_embeddings as e on e.profile = %2$L and e.source_table = $2 and e.source_id = accord_seen.id
        -- A sum, so that the index for nearest neighbours, which leaves some out, cannot be used.
        order by (e.embedding::extensions.halfvec(%1$s) operator(extensions.<=>) $1::extensions.halfvec(%1$s)) + 0
        limit $4
        $sql$,
        dimensions, profile
    ) using query, source, ids, wanted;
end
$$;
comment on function private.embeddings_of(extensions.halfvec, text, integer, integer, text, text[]) is
    'The chunks of these rows of a source that are nearest to a question, all of them compared.';
revoke all on function private.embeddings_of(extensions.halfvec, text, integer, integer, text, text[]) from public;
grant execute on function private.embeddings_of(extensions.halfvec, text, integer, integer, text, text[])
    to anon, authenticated, service_role;

create function private.active_profile() returns private.embedding_profiles
language sql
stable
security definer -- a name and a number, for whoever searches
set search_path = ''
as $$
    select p.* from private.embedding_profiles as p where p.state = 'active';
$$;
revoke all on function private.active_profile() from public;
grant execute on function private.active_profile() to anon, authenticated, service_role;

create function public.search_profile() returns jsonb
language sql
stable
set search_path = ''
as $$
    select jsonb_build_object(
        'name', p.name, 'provider', p.provider, 'model', p.model, 'dimensions', p.dimensions,
        'isAffordable', private.may_pay_for_question(p.name)
    )
    from private.active_profile() as p
    where p.name is not null;
$$;
comment on function public.search_profile() is 'How a question has to be embedded to be compared with the texts, and whether the budgets pay for it; null before anything was embedded.';
revoke all on function public.search_profile() from public, anon, authenticated;
grant execute on function public.search_profile() to anon, authenticated, service_role;

create function private.searchable_sources(only_sources text[]) returns setof private.embedding_sources
language sql
stable
security definer -- the expressions of a source, for whoever searches
set search_path = ''
as $$
    select s.*
    from private.present_sources as s
    where only_sources is null or s.source_table = any (only_sources)
    order by s.source_table;
$$;
revoke all on function private.searchable_sources(text[]) from public;
grant execute on function private.searchable_sources(text[]) to anon, authenticated, service_role;
grant execute on function private.name_of(regclass) to anon, authenticated, service_role;
grant execute on function private.source_key(private.embedding_sources, text) to anon, authenticated, service_role;
grant execute on function private.source_match(private.embedding_sources, text) to anon, authenticated, service_role;

create function private.visible_rows(source private.embedding_sources, ids text[]) returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '200ms' -- somebody waits, and there are other sources
as $$
declare
    rows jsonb;
begin
    if has_table_privilege(source.relation, 'select') is not true then
        return '{}'::jsonb;
    end if;
    execute format(
        $sql$
        select jsonb_object_agg(accord_hit.id, found.content)
        from unnest($1) as accord_hit (id)
        join lateral (
            select (select to_jsonb(accord_row) from (select %2$I.*) as accord_row) as content from %1$s as %2$I where %3$s and coalesce((%4$s
            )::boolean, false)
        ) as found on true
        $sql$,
        source.relation, private.name_of(source.relation), private.source_match(source, 'accord_hit.id'), source.published
    ) into rows using ids;
    return coalesce(rows, '{}');
exception when others then
    raise warning 'Search goes without table %, which cannot be read just now (SQLSTATE %)', source.source_table, sqlstate;
    return null;
end
$$;
comment on function private.visible_rows(private.embedding_sources, text[]) is
    'Those of these rows that are published and that the caller may see, by id; null where the source is locked or its expressions fail. The alerts tell of such a source.';
revoke all on function private.visible_rows(private.embedding_sources, text[]) from public;
grant execute on function private.visible_rows(private.embedding_sources, text[]) to anon, authenticated, service_role;

create function private.visible_ids(source private.embedding_sources, most integer) returns text[]
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
set lock_timeout = '200ms' -- as visible_rows()
as $$
declare
    ids text[];
begin
    if has_table_privilege(source.relation, 'select') is not true then
        return '{}'::text[];
    end if;
    execute format(
        $sql$
        select array(select %2$s from %1$s as %3$I where coalesce((%4$s
        )::boolean, false) limit $1)
        $sql$,
        source.relation, private.source_key(source), private.name_of(source.relation), source.published
    ) into ids using most;
    return ids;
exception when others then
    raise warning 'Search goes without table %, which cannot be read just now (SQLSTATE %)', source.source_table, sqlstate;
    return '{}'::text[];
end
$$;
comment on function private.visible_ids(private.embedding_sources, integer) is
    'Up to so many rows of a source that are published and that the caller may see.';
revoke all on function private.visible_ids(private.embedding_sources, integer) from public;
grant execute on function private.visible_ids(private.embedding_sources, integer) to anon, authenticated, service_role;

create function private.seen_embeddings(
    query extensions.halfvec, profile text, dimensions integer, wanted integer, source private.embedding_sources
) returns table (source_table text, source_id text, chunk_index integer, content text, score double precision)
language plpgsql
stable
set search_path = ''
as $$
declare
    most constant integer := 2000;
    ids constant text[] := private.visible_ids(source, most + 1);
begin
    -- Who sees so many rows finds enough of them among the nearest.
    if cardinality(ids) > most then
        return query select n.*
        from private.nearest_embeddings(query, profile, dimensions, 5 * most, array[source.source_table]) as n;
    else
        return query select e.* from private.embeddings_of(query, profile, dimensions, wanted, source.source_table, ids) as e;
    end if;
end
$$;
comment on function private.seen_embeddings(extensions.halfvec, text, integer, integer, private.embedding_sources) is
    'The chunks nearest to a question, beginning with the rows that the caller may see and not with the question.';
revoke all on function private.seen_embeddings(extensions.halfvec, text, integer, integer, private.embedding_sources) from public;
grant execute on function private.seen_embeddings(extensions.halfvec, text, integer, integer, private.embedding_sources)
    to anon, authenticated, service_role;

create function public.search_documentation(
    query_embedding text, profile text, match_count integer default 10, sources text[] default null
) returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
    active private.embedding_profiles := private.active_profile();
    source private.embedding_sources;
    unreadable text[] := '{}'::text[];
    wanted integer;
    candidates jsonb;
    rows jsonb;
    found_rows jsonb;
    hits jsonb;
begin
    if match_count is null or match_count not between 1 and 100 then
        raise exception 'limit must be from 1 to 100, not %', match_count using errcode = 'invalid_parameter_value';
    end if;
    if query_embedding is null then
        raise exception 'query_embedding must be the vector of a question, not null' using errcode = 'invalid_parameter_value';
    end if;
    if profile is null then
        raise exception 'profile must be the name that search_profile() gives, not null' using errcode = 'invalid_parameter_value';
    end if;
    if active.name is null then
        return '[]'::jsonb;
    end if;
    if active.name <> profile then
        raise exception 'The question was embedded with "%", the texts with "%"', profile, active.name
            using errcode = 'PT409', hint = 'Ask search_profile() again: another profile has just taken its place.';
    end if;
    -- Others may fill the page with rows that this caller may not see. Then more of the nearest are looked at, and at last
    -- those alone that the caller may see.
    foreach wanted in array array[match_count, match_count * 4, match_count * 16, null] loop
        select coalesce(jsonb_agg(jsonb_build_object(
            'sourceTable', n.source_table, 'sourceId', n.source_id, 'chunkIndex', n.chunk_index, 'content', n.content, 'score', n.score
        ) order by n.score desc), '[]') into candidates
        from (
            select e.*
            from private.nearest_embeddings(
                query_embedding::extensions.halfvec, active.name, active.dimensions, wanted, sources
            ) as e
            where wanted is not null
            union all
            select e.*
            from private.searchable_sources(sources) as s
            cross join lateral private.seen_embeddings(
                query_embedding::extensions.halfvec, active.name, active.dimensions, match_count, s
            ) as e
            where wanted is null and not s.source_table = any (unreadable)
        ) as n;

        -- The live rows, under the caller's own rights and policies, and only while they are published.
        rows := '{}'::jsonb;
        for source in
            select s.*
            from private.searchable_sources(array(select distinct c ->> 'sourceTable' from jsonb_array_elements(candidates) as c)) as s
            where not s.source_table = any (unreadable)
        loop
            found_rows := private.visible_rows(source, array(
                select distinct c ->> 'sourceId' from jsonb_array_elements(candidates) as c where c ->> 'sourceTable' = source.source_table
            ));
            if found_rows is null then
                unreadable := unreadable || source.source_table;
            end if;
            rows := rows || jsonb_build_object(source.source_table, coalesce(found_rows, '{}'));
        end loop;

        select coalesce(jsonb_agg(h.hit || jsonb_build_object('row', h.live) order by h.place), '[]') into hits
        from (
            select c as hit, rows -> (c ->> 'sourceTable') -> (c ->> 'sourceId') as live, place
            from jsonb_array_elements(candidates) with ordinality as listed (c, place)
            where rows -> (c ->> 'sourceTable') ? (c ->> 'sourceId')
            order by place
            limit match_count
        ) as h;
        -- Fewer than were wanted are all there are; but of some sources among many the index may not come to all.
        exit when jsonb_array_length(hits) >= match_count or sources is null and jsonb_array_length(candidates) < wanted;
    end loop;
    return hits;
end
$$;
comment on function public.search_documentation(text, text, integer, text[]) is
    'The pieces nearest to a question, each with its live row, of what the caller may see.';
revoke all on function public.search_documentation(text, text, integer, text[]) from public, anon, authenticated;
grant execute on function public.search_documentation(text, text, integer, text[]) to anon, authenticated, service_role;

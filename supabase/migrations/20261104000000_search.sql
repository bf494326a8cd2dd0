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
    select jsonb_build_object('name', p.name, 'provider', p.provider, 'model', p.model, 'dimensions', p.dimensions)
    from private.active_profile() as p
    where p.name is not null;
$$;
comment on function public.search_profile() is 'How a question has to be embedded to be compared with the texts; null before anything was embedded.';
revoke all on function public.search_profile() from public, anon, authenticated;
grant execute on function public.search_profile() to anon, authenticated, service_role;

create function private.searchable_source(source_table text) returns private.embedding_sources
language sql
stable
security definer -- the expressions of a source, for whoever searches
set search_path = ''
as $$
    select s.* from private.present_sources as s where s.source_table = searchable_source.source_table;
$$;
revoke all on function private.searchable_source(text) from public;
grant execute on function private.searchable_source(text) to anon, authenticated, service_role;
grant execute on function private.name_of(regclass) to anon, authenticated, service_role;
grant execute on function private.source_key(private.embedding_sources, text) to anon, authenticated, service_role;
grant execute on function private.source_match(private.embedding_sources, text) to anon, authenticated, service_role;

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
    wanted integer := match_count;
    candidates jsonb;
    ids text[];
    rows jsonb;
    found_rows jsonb;
    hits jsonb;
    name text;
begin
    if match_count is null or match_count not between 1 and 100 then
        raise exception 'limit must be from 1 to 100, not %', match_count using errcode = 'invalid_parameter_value';
    end if;
    if active.name is null then
        return '[]'::jsonb;
    end if;
    if active.name <> profile then
        raise exception 'The question was embedded with "%", the texts with "%"', profile, active.name
            using errcode = 'PT409', hint = 'Ask search_profile() again: another profile has just taken its place.';
    end if;
    loop
        select coalesce(jsonb_agg(jsonb_build_object(
            'sourceTable', n.source_table, 'sourceId', n.source_id, 'chunkIndex', n.chunk_index, 'content', n.content, 'score', n.score
        ) order by n.score desc), '[]') into candidates
        from private.nearest_embeddings(
            query_embedding::extensions.halfvec, active.name, active.dimensions, wanted, sources
        ) as n;

        -- The live rows, under the caller's own rights and policies, and only while they are published.
        rows := '{}'::jsonb;
        for name in select distinct c ->> 'sourceTable' from jsonb_array_elements(candidates) as c loop
            source := private.searchable_source(name);
            continue when has_table_privilege(source.relation, 'select') is not true;
            ids := array(
                select distinct c ->> 'sourceId' from jsonb_array_elements(candidates) as c where c ->> 'sourceTable' = name
            );
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
            ) into found_rows using ids;
            rows := rows || jsonb_build_object(name, coalesce(found_rows, '{}'));
        end loop;

        select coalesce(jsonb_agg(h.hit || jsonb_build_object('row', h.live) order by h.place), '[]') into hits
        from (
            select c as hit, rows -> (c ->> 'sourceTable') -> (c ->> 'sourceId') as live, place
            from jsonb_array_elements(candidates) with ordinality as listed (c, place)
            where rows -> (c ->> 'sourceTable') ? (c ->> 'sourceId')
            order by place
            limit match_count
        ) as h;
        -- Others may have filled the page with rows that this caller may not see: then look further.
        exit when jsonb_array_length(hits) >= match_count or jsonb_array_length(candidates) < wanted or wanted >= 3200;
        wanted := wanted * 4;
    end loop;
    return hits;
end
$$;
comment on function public.search_documentation(text, text, integer, text[]) is
    'The pieces nearest to a question, each with its live row, of what the caller may see.';
revoke all on function public.search_documentation(text, text, integer, text[]) from public, anon, authenticated;
grant execute on function public.search_documentation(text, text, integer, text[]) to anon, authenticated, service_role;

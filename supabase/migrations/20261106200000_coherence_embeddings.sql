-- Coherence of embeddings: each registered source, and its copies in the active profile.

create function private.compare_embeddings(source_table text, profile text) returns setof private.coherence_pair
language sql
stable
security definer -- reads sources past their policies
set search_path = ''
as $$
    select
        'embeddings of ' || compare_embeddings.source_table,
        e.rows,
        private.count_embedded(compare_embeddings.source_table, compare_embeddings.profile),
        p.missing, p.stale, p.orphan, p.in_flight,
        -- How old a difference of rows is nobody knows; the proof of each night has them embedded.
        0::bigint,
        p.failed,
        nullif(concat_ws(
            '; ',
            case when compare_embeddings.profile is null then 'nothing was ever embedded' end,
            private.failed_detail(e.rows, p.failed)
        ), ''),
        private.failed_problem(e.rows, p.failed),
        format('public.resync_embeddings(%L)', compare_embeddings.source_table),
        'npm run accord -- resync ' || private.shell_word(compare_embeddings.source_table)
    from (
        select
            count(*) filter (where v.kind = 'missing' and not v.is_in_flight) as missing,
            count(*) filter (where v.kind = 'stale' and not v.is_in_flight) as stale,
            count(*) filter (where v.kind = 'orphan' and not v.is_in_flight) as orphan,
            count(*) filter (where v.is_in_flight) as in_flight,
            count(*) filter (where v.queued = 'failed') as failed
        from (
            -- A row may differ in two ways; it is one row.
            select distinct on (p.source_id)
                p.queued,
                case
                    when p.problem = 'missing' then 'missing'
                    when p.problem in ('orphan', 'wrong_profile') then 'orphan'
                    else 'stale'
                end as kind,
                -- A table that is being caught up with is gone through to its end.
                coalesce(p.queued in ('pending', 'processing'), exists (
                    select from private.embedding_backfills as b where b.source_table = compare_embeddings.source_table
                )) as is_in_flight
            from private.embedding_problems(compare_embeddings.profile, compare_embeddings.source_table) as p
            order by p.source_id, p.problem
        ) as v
    ) as p
    cross join lateral (select private.count_eligible(compare_embeddings.source_table) as rows) as e;
$$;
comment on function private.compare_embeddings(text, text) is 'The rows of a source and their copies in a profile.';
revoke all on function private.compare_embeddings(text, text) from public;

create function private.embedding_coherence() returns setof private.coherence_pair
language plpgsql
stable
set search_path = ''
as $$
declare
    active constant text := (select p.name from private.embedding_profiles as p where p.state = 'active');
    source text;
begin
    for source in select s.source_table from private.present_sources as s order by s.source_table loop
        -- One that cannot be examined hides none of the others.
        begin
            return query select p.* from private.compare_embeddings(source, active) as p;
        exception when others or assert_failure then
            return next private.unexamined_pair('embeddings of ' || source, sqlerrm);
        end;
    end loop;
end
$$;
comment on function private.embedding_coherence() is 'Each registered source and its embeddings in the active profile.';
revoke all on function private.embedding_coherence() from public;

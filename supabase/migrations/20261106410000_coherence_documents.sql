-- Coherence of buckets: the files that were read, or should have been, and their documents.

create function private.are_files_left(bucket_id text, since timestamptz) returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
            select from public.files_queue as q
            where q.bucket_id = are_files_left.bucket_id
                and q.processed_at is null and q.failed_at is null and q.visible_at <= since
        )
        -- Whoever has a long queue before him waits, and is not left.
        and not exists (select from public.files_queue as q where greatest(q.processed_at, q.failed_at) > since);
$$;
comment on function private.are_files_left(text, timestamptz) is
    'Whether files of a bucket have been due since then, and none of any bucket was read.';
revoke all on function private.are_files_left(text, timestamptz) from public;

create function private.compare_documents(bucket_id text) returns setof private.coherence_pair
language plpgsql
stable
security definer -- reads documents past their policies
set search_path = ''
set work_mem = '64MB'
set parallel_tuple_cost = 0
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    in_flight_since constant timestamptz := private.moment_before('coherence_grace_seconds');
    overdue_since constant timestamptz := private.moment_before('coherence_heal_after_seconds');
    -- What has been due for longer than this, and nobody reads, is not about to be put right.
    left_since constant timestamptz := case
        when private.are_files_left(compare_documents.bucket_id, now() - interval '15 minutes') then now() - interval '15 minutes'
        else '-infinity'
    end;
    c record;
    orphans bigint := 0::bigint;
    excluded bigint := 0::bigint;
begin
    select
        count(*) filter (where f.is_settled or f.has_failed or f.is_left) as source_count,
        count(*) filter (where f.has_document) as copy_count,
        count(*) filter (where f.differs and not f.has_document and not f.is_in_flight) as missing,
        count(*) filter (where f.differs and f.has_document and not f.is_in_flight) as stale,
        count(*) filter (where f.is_unqueued and f.is_of_file) as unqueued,
        count(*) filter (where f.is_in_flight) as in_flight,
        count(*) filter (where f.is_settled and f.differs and f.processed_at <= least(in_flight_since, overdue_since)) as overdue,
        count(*) filter (where f.has_failed) as failed,
        count(*) filter (where f.has_failed and f.differs) as failed_differing,
        count(*) filter (where f.is_left) as left_files,
        count(*) filter (where f.is_left and f.differs) as left_differing
    into c
    from (
        select
            q.processed_at,
            q.file_path is null as is_unqueued,
            q.status = 'completed' as is_settled,
            q.status = 'failed' as has_failed,
            q.status in ('pending', 'processing') and q.visible_at <= left_since as is_left,
            d.file_path is not null as has_document,
            -- What somebody wrote by hand has no such tag, and is no copy of a file.
            d.content_tag is not null as is_of_file,
            q.file_path is not null and d.content_tag is distinct from q.content_tag as differs,
            case q.status
                when 'completed' then d.content_tag is distinct from q.content_tag and q.processed_at > in_flight_since
                when 'failed' then false
                else q.visible_at > left_since
            end as is_in_flight
        from (
            select f.file_path, f.content_tag, f.status, f.processed_at, f.visible_at
            from public.files_queue as f
            where f.bucket_id = compare_documents.bucket_id
        ) as q
        full join (
            select t.file_path, t.metadata ->> 'contentTag' as content_tag
            from public.documents as t
            where t.bucket_id = compare_documents.bucket_id
        ) as d on d.file_path = q.file_path
    ) as f;
    -- Of those that the queue does not know, some have their object: what the queue lacks is told of the queue.
    if c.unqueued > 0 then
        select count(*) filter (where not o.has_object), count(*) filter (where o.has_object) into orphans, excluded
        from private.orphans_of(compare_documents.bucket_id) as o
        where not o.is_queued;
    end if;
    return query
    select
        'documents of bucket ' || compare_documents.bucket_id,
        c.source_count::bigint, c.copy_count::bigint, c.missing::bigint, c.stale::bigint, orphans,
        c.in_flight::bigint, c.overdue::bigint, (c.failed_differing + c.left_differing)::bigint,
        nullif(concat_ws(
            '; ',
            private.failed_detail(c.source_count, c.failed),
            case when c.unqueued > orphans + excluded
                then format('%s whose objects are not in the queue', c.unqueued - orphans - excluded) end,
            private.excluded_detail(compare_documents.bucket_id, excluded)
        ), ''),
        nullif(concat_ws(
            ' ',
            private.failed_problem(c.source_count, c.failed),
            case when c.left_files > 0 then format(
                '%s have been due for a quarter of an hour, and nobody reads them; npm run accord -- doctor names the mend.', c.left_files
            ) end
        ), ''),
        format('private.begin_sync(%L, $1)', compare_documents.bucket_id),
        private.sync_command(compare_documents.bucket_id, private.breaks_copy(c.source_count, c.copy_count, orphans));
end
$$;
comment on function private.compare_documents(text) is 'The files of a bucket that were read or should have been, and their documents.';
revoke all on function private.compare_documents(text) from public;

create function private.bucket_coherence() returns setof private.coherence_pair
language plpgsql
stable
set search_path = ''
as $$
declare
    watched text;
begin
    for watched in select w.bucket_id from private.watched_buckets as w order by w.bucket_id loop
        -- One that cannot be examined hides none of the others.
        begin
            return query select p.* from private.compare_queue(watched) as p;
        exception when others or assert_failure then
            return next private.unexamined_pair('queue of bucket ' || watched, sqlerrm);
        end;
        begin
            return query select p.* from private.compare_documents(watched) as p;
        exception when others or assert_failure then
            return next private.unexamined_pair('documents of bucket ' || watched, sqlerrm);
        end;
    end loop;
end
$$;
comment on function private.bucket_coherence() is 'Each watched bucket: storage and queue, queue and documents.';
revoke all on function private.bucket_coherence() from public;

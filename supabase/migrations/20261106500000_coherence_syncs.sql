-- Coherence of buckets, restored batch by batch, by keyset: nothing is looked at twice, and each batch commits by itself.
--
--   objects     what the queue lacks or knows in another version
--   documents   files that were read and whose documents are missing or of other bytes
--
-- Orphans, and the batch of any phase, are in the file after this.
--
-- What joins the paths of a bucket does not believe the statistics, as in the file before this.

select private.define_setting(
    'coherence_batch', '50000', 'Objects of a bucket that are queued at a time where it is put right.', minimum => 1, maximum => 1000000
);

create type private.sync_step as (
    -- The last path that was looked at; null where there are no more.
    reached text,
    enqueued bigint,
    noted bigint
);

create function private.path_after(bucket_id text, phase text, reached text, paths integer) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
    -- Through the index alone, and never from the beginning again.
    if phase = 'objects' then
        return (
            select max(o.name)
            from (
                select i.name from storage.objects as i
                where i.bucket_id = path_after.bucket_id and i.name > reached
                order by i.name
                limit paths
            ) as o
        );
    end if;
    return (
        select max(q.file_path)
        from (
            select i.file_path from public.files_queue as i
            where i.bucket_id = path_after.bucket_id and i.file_path > reached and i.status = 'completed'
            order by i.file_path
            limit paths
        ) as q
    );
end
$$;
comment on function private.path_after(text, text, text, integer) is
    'The path that lies so many objects, or so many completed files, further on; null where there are no more.';
revoke all on function private.path_after(text, text, text, integer) from public;

-- Objects -------------------------------------------------------------------------------------------------------------

create function private.queue_changed(bucket_id text, names text[]) returns table (enqueued bigint, noted bigint)
language plpgsql
set search_path = ''
as $$
declare
    same constant text[] := private.keep_if_same(queue_changed.bucket_id, names);
begin
    noted := cardinality(same)::bigint;
    enqueued := private.enqueue_objects(
        queue_changed.bucket_id, array(select n from unnest(names) as n except select s from unnest(same) as s), 1
    );
    return next;
end
$$;
comment on function private.queue_changed(text, text[]) is
    'Queues objects that the queue knows in another version; of those with the same bytes the version alone is noted.';
revoke all on function private.queue_changed(text, text[]) from public;

create function private.queue_missing(
    bucket_id text, after_path text, up_to text, changed_before timestamptz
) returns table (enqueued bigint, changed text[])
language plpgsql
set search_path = ''
-- Along both indexes: how many rows lie between two paths is guessed wrongly, and a table sorted for each batch.
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
set enable_nestloop = 'off'
set jit = 'off'
as $$
begin
    return query
    with differing as materialized (
        select e.file_path, e.object_version, e.content_tag, e.file_size, e.mime_type, q.file_path is null as is_missing
        from private.dated_objects as e
        left join public.files_queue as q
            on q.bucket_id = queue_missing.bucket_id and q.file_path = e.file_path
            and q.file_path > after_path and q.file_path <= up_to
        where e.bucket_id = queue_missing.bucket_id and e.file_path > after_path and e.file_path <= up_to
            and e.changed_at <= changed_before
            and (q.file_path is null or q.object_version <> e.object_version)
        order by e.file_path
    ), inserted as (
        insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
        select queue_missing.bucket_id, d.file_path, d.object_version, d.content_tag, d.file_size, d.mime_type, 1
        from differing as d
        where d.is_missing
        -- Whoever uploads it just now queues it.
        on conflict do nothing
        returning 1
    )
    select (select count(*) from inserted), coalesce(array_agg(d.file_path), '{}')
    from differing as d
    where not d.is_missing;
end
$$;
comment on function private.queue_missing(text, text, text, timestamptz) is
    'Queues the objects from one path to another that the queue lacks, and tells those that it knows in another version.';
revoke all on function private.queue_missing(text, text, text, timestamptz) from public;

create function private.sync_objects_between(bucket_id text, after_path text, up_to text, age interval) returns private.sync_step
language plpgsql
set search_path = ''
as $$
declare
    found record;
    changed record;
begin
    select m.enqueued, m.changed into found
    from private.queue_missing(sync_objects_between.bucket_id, after_path, up_to, clock_timestamp() - age) as m;
    select c.enqueued, c.noted into changed from private.queue_changed(sync_objects_between.bucket_id, found.changed) as c;
    return row(up_to, found.enqueued + changed.enqueued, changed.noted);
end
$$;
comment on function private.sync_objects_between(text, text, text, interval) is
    'Queues the objects of a bucket, from one path to another, that the queue lacks or knows in another version.';
revoke all on function private.sync_objects_between(text, text, text, interval) from public;

create function private.sync_next_objects(bucket_id text, after_path text, most integer, age interval) returns private.sync_step
language plpgsql
set search_path = ''
set work_mem = '96MB'
set enable_nestloop = 'off'
set jit = 'off'
as $$
declare
    changed_before constant timestamptz := clock_timestamp() - age;
    found record;
    changed record;
    added bigint;
begin
    select
        coalesce(array_agg(d.file_path) filter (where d.is_missing), '{}') as missing,
        coalesce(array_agg(d.file_path) filter (where not d.is_missing), '{}') as changed,
        case when count(*) = most then max(d.file_path) end as reached
    into found
    from (
        select o.file_path, q.file_path is null as is_missing
        from (
            select e.file_path, hashtextextended(e.object_version, 0) as version, e.changed_at
            from private.dated_objects as e
            where e.bucket_id = sync_next_objects.bucket_id and e.file_path > after_path
        ) as o
        full join (
            select f.file_path, hashtextextended(f.object_version, 0) as version
            from public.files_queue as f
            where f.bucket_id = sync_next_objects.bucket_id and f.file_path > after_path
        ) as q on q.file_path = o.file_path
        -- So that it stays a full join: of a left one rows are guessed to be so few that each is looked up by itself.
        where q.version is distinct from o.version and coalesce(o.changed_at <= changed_before, false)
        order by o.file_path
        limit most
    ) as d;
    insert into public.files_queue (bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority)
    select e.bucket_id, e.file_path, e.object_version, e.content_tag, e.file_size, e.mime_type, 1
    from private.eligible_objects as e
    where e.bucket_id = sync_next_objects.bucket_id and e.file_path = any (found.missing)
    order by e.file_path
    on conflict do nothing;
    get diagnostics added = row_count;
    select c.enqueued, c.noted into changed from private.queue_changed(sync_next_objects.bucket_id, found.changed) as c;
    return row(found.reached, added + changed.enqueued, changed.noted);
end
$$;
comment on function private.sync_next_objects(text, text, integer, interval) is
    'Queues the next objects after a path that the queue lacks or knows in another version, found in one join of all.';
revoke all on function private.sync_next_objects(text, text, integer, interval) from public;

-- Documents -----------------------------------------------------------------------------------------------------------

create function private.sync_documents_between(bucket_id text, after_path text, up_to text, age interval) returns private.sync_step
language plpgsql
set search_path = ''
set enable_nestloop = 'off'
set jit = 'off'
as $$
declare
    completed_before constant timestamptz := clock_timestamp() - age;
begin
    return row(up_to, private.enqueue_objects(sync_documents_between.bucket_id, array(
        select q.file_path
        from public.files_queue as q
        left join public.documents as d on d.bucket_id = sync_documents_between.bucket_id and d.file_path = q.file_path
        where q.bucket_id = sync_documents_between.bucket_id and q.file_path > after_path and q.file_path <= up_to
            and q.status = 'completed' and q.processed_at <= completed_before
            and (d.id is null or d.metadata ->> 'contentTag' is distinct from q.content_tag)
    ), 1), 0::bigint);
end
$$;
comment on function private.sync_documents_between(text, text, text, interval) is
    'Queues the completed files of a bucket, from one path to another, whose documents are missing or of other bytes.';
revoke all on function private.sync_documents_between(text, text, text, interval) from public;

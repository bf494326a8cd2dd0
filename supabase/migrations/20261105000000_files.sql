-- Files: the objects of watched buckets, and the documents made of their texts, kept in agreement.
--
--   buckets    which are watched, which of their objects count, and who may read what becomes of them
--   queue      one row per object: make its document agree with it
--   trigger    on storage.objects, in the upload's own transaction, which it never fails
--   worker     what the Edge Function process-files-queue calls; large files pass in slices
--   people     retry, what is stuck, the status, health
--
-- Completed rows stay: the queue is also the account of which version of an object its document was made of.

-- Settings ------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'files_wake',
    '"cron"',
    'What starts the extraction of files: cron (every five minutes), immediate (right after an upload, and cron besides), manual (only whoever calls it).',
    kind => 'text',
    choices => '{cron,immediate,manual}'
);
select private.define_setting(
    'files_wake_interval_seconds',
    '3',
    'In immediate mode the extraction is woken at most once in so many seconds, however many files are uploaded.',
    minimum => 1,
    maximum => 50
);
select private.define_setting('files_workers', '2', 'How many extractions may run at once.', minimum => 1, maximum => 32);
select private.define_setting(
    'files_rows_per_worker', '100', 'A further extraction is started for each so many files that are due.', minimum => 1, maximum => 1000000
);
select private.define_setting(
    'files_lease_seconds', '180', 'How long a worker may keep a file before another one takes it.', minimum => 1, maximum => 3600
);
select private.define_setting('files_retry_limit', '3', 'After so many failures a file waits for a person.', minimum => 1, maximum => 20);
select private.define_setting('files_retry_seconds', '10', 'The wait after a first failure; it doubles with each.', minimum => 0, maximum => 3600);
select private.define_setting(
    'files_size_limit', '52428800', 'Bytes a file may have; a larger one fails, because it would not fit into a function''s memory.', minimum => 1, maximum => 500000000
);
select private.define_setting('files_failed_alert_rows', '10', 'From so many failed files on an alert is raised.', minimum => 1, maximum => 1000000);

-- Buckets -------------------------------------------------------------------------------------------------------------

create table private.watched_buckets (
    bucket_id text primary key,
    -- Patterns: * within a folder, ** across folders, ? one character.
    paths text not null default '**',
    types text[],
    -- The same as regular expressions; null: all.
    paths_regex text,
    types_regex text,
    -- Who may read the documents: whoever uploaded the file; the client that its first folder names; everyone. Where
    -- there is no such owner or folder, administrators alone.
    readers text not null check (readers in ('owner', 'folder', 'everyone')),
    -- Whether somebody said so, or it was taken from the bucket.
    are_readers_chosen boolean not null,
    created_at timestamptz not null default now()
);
comment on table private.watched_buckets is 'Buckets whose objects become documents; see watch_bucket().';
alter table private.watched_buckets enable row level security;
grant select on private.watched_buckets to authenticated, service_role;
create policy "administrators read watched buckets" on private.watched_buckets
    for select to authenticated using ((select public.is_admin()));

create function private.pattern_regex(pattern text) returns text
language sql
immutable
set search_path = ''
as $$
    -- In two steps, so that a star of the second kind is not taken for two of the first.
    select '^' || replace(replace(replace(replace(replace(replace(
        regexp_replace(pattern, '([].+^$(){}|\\[])', '\\\1', 'g'),
        '**/', E'\x01'), '**', E'\x02'), '*', '[^/]*'), '?', '[^/]'), E'\x01', '(.*/)?'), E'\x02', '.*') || '$';
$$;
comment on function private.pattern_regex(text) is 'The regular expression for a pattern of paths.';
revoke all on function private.pattern_regex(text) from public;

create function private.storage_keeps_versions() returns boolean
language sql
stable
set search_path = ''
as $$
    -- Storage servers that do archive a version instead of overwriting it, and mark a deletion instead of deleting.
    select count(*) = 2
    from pg_catalog.pg_attribute as a
    where a.attrelid = 'storage.objects'::regclass and a.attname in ('is_delete_marker', 'archived_at') and not a.attisdropped;
$$;
revoke all on function private.storage_keeps_versions() from public;

create function private.place_eligible_objects() returns void
language plpgsql
set search_path = ''
as $place$
begin
    execute format(
        $create$
        create or replace view private.eligible_objects with (security_invoker = true) as
        select
            o.bucket_id,
            o.name as file_path,
            coalesce(o.version, '') as object_version,
            -- What changes only when the bytes do, or what their uploader says of them.
            coalesce(nullif(o.metadata ->> 'eTag', ''), o.version, '')
                || case
                    when o.user_metadata ?| '{title,locale}'
                        then '/' || md5(concat_ws(E'\n', o.user_metadata ->> 'title', o.user_metadata ->> 'locale'))
                    else ''
                end as content_tag,
            case when o.metadata ->> 'size' ~ '^\d{1,18}$' then (o.metadata ->> 'size')::bigint end as file_size,
            o.metadata ->> 'mimetype' as mime_type,
            o.owner_id,
            o.user_metadata,
            w.readers,
            o.created_at,
            o.updated_at
        from private.watched_buckets as w
        join storage.objects as o on o.bucket_id = w.bucket_id
        where (w.paths_regex is null or o.name ~ w.paths_regex)
            -- Such as text/plain;charset=UTF-8.
            and (w.types_regex is null or lower(btrim(split_part(coalesce(o.metadata ->> 'mimetype', ''), ';', 1))) ~ w.types_regex)
            -- What the dashboard puts into a folder that is to look empty.
            and right(o.name, 23) <> '.emptyFolderPlaceholder'%s
        $create$,
        case when private.storage_keeps_versions() then ' and not o.is_delete_marker and o.archived_at is null' end
    );
end
$place$;
comment on function private.place_eligible_objects() is 'Makes the view of the objects that count, as the storage server has them.';
revoke all on function private.place_eligible_objects() from public;

select private.place_eligible_objects();
comment on view private.eligible_objects is 'The objects that have to have a document: of watched buckets, with a path and a type that count.';

-- Queue ---------------------------------------------------------------------------------------------------------------

create table public.files_queue (
    bucket_id text not null,
    file_path text not null,
    -- Of the object as it was when it was queued last.
    object_version text not null,
    content_tag text not null,
    file_size bigint,
    mime_type text,
    -- How far a file that is read in slices is.
    progress jsonb,
    like private.lease including all,
    processed boolean not null generated always as (processed_at is not null) stored,
    primary key (bucket_id, file_path)
);
comment on table public.files_queue is 'One row per object of a watched bucket: make its document agree with it.';
create index files_queue_due on public.files_queue (priority, visible_at) where processed_at is null and failed_at is null;
create index files_queue_leases on public.files_queue (lease_token) where lease_token is not null;

alter table public.files_queue enable row level security;
grant select on public.files_queue to authenticated, service_role;
create policy "administrators read the queue" on public.files_queue
    for select to authenticated using ((select public.is_admin()));

create table private.file_parts (
    bucket_id text not null,
    file_path text not null,
    object_version text not null,
    place integer not null,
    page integer,
    content text not null,
    primary key (bucket_id, file_path, place),
    foreign key (bucket_id, file_path) references public.files_queue on update cascade on delete cascade
);
comment on table private.file_parts is 'What has been read of files that are read in slices.';
alter table private.file_parts enable row level security;

create table private.missed_objects (
    bucket_id text not null,
    file_path text not null,
    problem text not null,
    seen_at timestamptz not null default clock_timestamp(),
    tried_at timestamptz not null default '-infinity',
    primary key (bucket_id, file_path)
);
comment on table private.missed_objects is 'Uploads, moves and deletions that could not be written into the queue; the schedule sees to them.';
alter table private.missed_objects enable row level security;

-- Agreement -----------------------------------------------------------------------------------------------------------

create function private.enqueue_objects(bucket_id text, names text[], priority integer default 0) returns bigint
language plpgsql
security definer -- writes the queue, whoever uploads
set search_path = ''
as $$
#variable_conflict use_column
declare
    enqueued bigint;
begin
    insert into public.files_queue as q (
        bucket_id, file_path, object_version, content_tag, file_size, mime_type, priority
    )
    select o.bucket_id, o.file_path, o.object_version, o.content_tag, o.file_size, o.mime_type, enqueue_objects.priority
    from private.eligible_objects as o
    where o.bucket_id = enqueue_objects.bucket_id and o.file_path = any (enqueue_objects.names)
    order by o.file_path
    on conflict on constraint files_queue_pkey do update
    set
        -- Always, as in every queue: an overwrite while the file is being read must not be taken for done.
        revision = q.revision + 1,
        object_version = excluded.object_version,
        content_tag = excluded.content_tag,
        file_size = excluded.file_size,
        mime_type = excluded.mime_type,
        progress = null,
        priority = case when q.processed_at is null and q.failed_at is null then least(q.priority, excluded.priority) else excluded.priority end,
        status = case when q.lease_token is null then excluded.status else q.status end,
        visible_at = case when q.lease_token is null then excluded.visible_at else q.visible_at end,
        created_at = case when q.processed_at is null and q.failed_at is null then q.created_at else excluded.created_at end,
        retry_count = 0,
        last_error = null,
        processed_at = null,
        failed_at = null;
    get diagnostics enqueued = row_count;
    return enqueued;
end
$$;
comment on function private.enqueue_objects(text, text[], integer) is 'Has the documents of these objects made to agree with them; those that do not count are left out.';
revoke all on function private.enqueue_objects(text, text[], integer) from public;

create function private.keep_if_same(bucket_id text, name text) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    -- Its document was made of the very same bytes: nothing is to be read again.
    update public.files_queue as q
    set object_version = o.object_version, file_size = o.file_size
    from private.eligible_objects as o
    where q.bucket_id = keep_if_same.bucket_id and q.file_path = keep_if_same.name
        and o.bucket_id = keep_if_same.bucket_id and o.file_path = keep_if_same.name
        and q.processed_at is not null and q.content_tag = o.content_tag and q.mime_type is not distinct from o.mime_type
        and exists (select from public.documents as d where d.bucket_id = q.bucket_id and d.file_path = q.file_path);
    if not found then
        return false;
    end if;
    -- It may be somebody else's now.
    update public.documents as d
    set client_id = r.client_id, owner_id = r.owner_id
    from private.readers_of(keep_if_same.bucket_id, keep_if_same.name) as r
    where d.bucket_id = keep_if_same.bucket_id and d.file_path = keep_if_same.name
        and (d.client_id, d.owner_id) is distinct from (r.client_id, r.owner_id);
    return true;
end
$$;
comment on function private.keep_if_same(text, text) is 'Whether an object still has the bytes that its document was made of; then only its version is noted.';
revoke all on function private.keep_if_same(text, text) from public;

create function private.remove_files(bucket_id text, names text[]) returns bigint
language plpgsql
security definer -- writes queue and documents, whoever deletes
set search_path = ''
as $$
#variable_conflict use_column
declare
    held text[];
    dead text[];
begin
    -- Held first, and proven in a statement of its own after that: an upload of the same name that is under way has been
    -- waited for by then, and is seen; a later one waits for these rows.
    held := array(
        select q.file_path from public.files_queue as q
        where q.bucket_id = remove_files.bucket_id and q.file_path = any (names)
        order by q.file_path
        for update
    );
    dead := array(
        select n from unnest(names) as n
        where not exists (
            select from private.eligible_objects as o where o.bucket_id = remove_files.bucket_id and o.file_path = n
        )
        order by n
    );
    delete from public.files_queue as q
    where q.bucket_id = remove_files.bucket_id and q.file_path = any (dead) and q.file_path = any (held);
    delete from public.documents as d
    where d.bucket_id = remove_files.bucket_id and d.file_path = any (dead)
        -- One that was queued meanwhile is not dead any more.
        and not exists (select from public.files_queue as q where q.bucket_id = d.bucket_id and q.file_path = d.file_path);
    return cardinality(dead)::bigint;
end
$$;
comment on function private.remove_files(text, text[]) is
    'Removes the queue rows and documents of objects that are no more there, or no longer count; gives the number of those objects.';
revoke all on function private.remove_files(text, text[]) from public;

create function private.readers_of(bucket_id text, name text) returns table (client_id text, owner_id uuid)
language sql
stable
set search_path = ''
as $$
    select
        named.client_id,
        -- The owner that nobody is: administrators alone.
        case
            when o.readers = 'everyone' or named.client_id is not null then null
            when o.readers = 'owner' and pg_input_is_valid(o.owner_id, 'uuid') then o.owner_id::uuid
            else '00000000-0000-0000-0000-000000000000'::uuid
        end
    from private.eligible_objects as o
    cross join lateral (
        select case when o.readers = 'folder' and position('/' in o.file_path) > 0 then nullif(split_part(o.file_path, '/', 1), '') end as client_id
    ) as named
    where o.bucket_id = readers_of.bucket_id and o.file_path = readers_of.name;
$$;
comment on function private.readers_of(text, text) is 'Whose the document of an object is.';
revoke all on function private.readers_of(text, text) from public;

create function private.move_file(from_bucket text, from_name text, to_bucket text, to_name text) returns void
language plpgsql
security definer -- as remove_files()
set search_path = ''
as $$
#variable_conflict use_column
declare
    readers record;
    is_named_by_path boolean;
begin
    select r.* into readers from private.readers_of(to_bucket, to_name) as r;
    if not found then
        perform private.remove_files(from_bucket, array[from_name]);
        return;
    end if;
    -- The document stays the same row, and so do its embeddings. Where it goes to there is no object but this one.
    delete from public.files_queue as q where q.bucket_id = to_bucket and q.file_path = to_name;
    update public.files_queue as q
    set bucket_id = to_bucket, file_path = to_name, revision = q.revision + 1
    where q.bucket_id = from_bucket and q.file_path = from_name;
    if found then
        delete from public.documents as d where d.bucket_id = to_bucket and d.file_path = to_name;
        update public.documents as d
        set bucket_id = to_bucket, file_path = to_name, client_id = readers.client_id, owner_id = readers.owner_id
        where d.bucket_id = from_bucket and d.file_path = from_name
        returning coalesce(d.metadata ->> 'titleFrom' = 'path', false) into is_named_by_path;
    end if;
    -- By its name a text may also be told to be a table, say.
    if is_named_by_path is not false
        or lower(substring(from_name from '\.[^./]+$')) is distinct from lower(substring(to_name from '\.[^./]+$'))
        or not private.keep_if_same(to_bucket, to_name)
    then
        perform private.enqueue_objects(to_bucket, array[to_name]);
    end if;
end
$$;
comment on function private.move_file(text, text, text, text) is 'Lets queue row and document go along with their object.';
revoke all on function private.move_file(text, text, text, text) from public;

-- Trigger -------------------------------------------------------------------------------------------------------------

create function private.follow_object() returns trigger
language plpgsql
security definer -- whoever uploads, queue and documents are the owner's
set search_path = ''
set lock_timeout = '300ms' -- an upload does not wait for long
as $$
begin
    -- A thousand deleted at once wait as long as one does, and not a thousand times.
    if current_setting('accord.upload_waited', true) = 'true' then
        perform set_config('lock_timeout', '1ms', true);
    end if;
    begin
        if not exists (
            select from private.watched_buckets as w where w.bucket_id in (old.bucket_id, new.bucket_id)
        ) then
            return null;
        end if;
        if tg_op = 'DELETE' then
            perform private.remove_files(old.bucket_id, array[old.name]);
        elsif tg_op = 'UPDATE' and (old.bucket_id, old.name) <> (new.bucket_id, new.name) then
            perform private.move_file(old.bucket_id, old.name, new.bucket_id, new.name);
        elsif not private.keep_if_same(new.bucket_id, new.name) and private.enqueue_objects(new.bucket_id, array[new.name]) = 0 then
            -- Overwritten with something that does not count.
            perform private.remove_files(new.bucket_id, array[new.name]);
        end if;
    exception when others then
        -- The upload must stand, whatever is wrong here. The schedule sees to what is noted, and the check of coherence
        -- to what could not even be noted.
        if sqlstate = '55P03' then
            perform set_config('accord.upload_waited', 'true', true);
        end if;
        begin
            insert into private.missed_objects as m (bucket_id, file_path, problem)
            select gone.bucket_id, gone.name, left(sqlerrm, 500)
            from (values (old.bucket_id, old.name), (new.bucket_id, new.name)) as gone (bucket_id, name)
            where gone.name is not null
            group by gone.bucket_id, gone.name
            on conflict on constraint missed_objects_pkey do update set problem = excluded.problem, seen_at = excluded.seen_at;
        exception when others then
            raise warning 'An upload to % was not queued (SQLSTATE %)', coalesce(new.bucket_id, old.bucket_id), sqlstate;
        end;
    end;
    return null;
end
$$;
comment on function private.follow_object() is 'Keeps the queue of files exact, and never fails the upload that it follows.';
revoke all on function private.follow_object() from public;

create function private.place_files_trigger() returns void
language plpgsql
set search_path = ''
as $$
begin
    perform private.place_eligible_objects();
    -- Replaced, it is also enabled again, which only the owner of the table may do in any other way.
    create or replace trigger accord_files
    after insert or delete or update of bucket_id, name, version on storage.objects
    for each row execute function private.follow_object();
    if private.storage_keeps_versions() then
        -- An earlier version is current again. That one is archived is followed when its successor comes.
        create or replace trigger accord_files_restored
        after update of archived_at, is_delete_marker on storage.objects
        for each row when (new.archived_at is null) execute function private.follow_object();
    end if;
end
$$;
comment on function private.place_files_trigger() is 'Makes the trigger on storage.objects and the view of what counts, or makes them whole again.';
revoke all on function private.place_files_trigger() from public;

select private.place_files_trigger();

create function private.trigger_problem() returns text
language sql
stable
set search_path = ''
as $$
    select case
        when count(*) = 0 then 'the trigger accord_files on storage.objects is missing'
        when count(*) filter (where t.tgenabled in ('O', 'A')) = 0 then 'the trigger accord_files on storage.objects is disabled'
        when private.storage_keeps_versions() and pg_get_viewdef('private.eligible_objects'::regclass) !~ 'archived_at'
            then 'the storage server keeps versions by now, and private.eligible_objects does not know it'
    end
    from pg_catalog.pg_trigger as t
    where t.tgrelid = 'storage.objects'::regclass and t.tgname = 'accord_files';
$$;
comment on function private.trigger_problem() is 'What keeps uploads from being queued; null when nothing does.';
revoke all on function private.trigger_problem() from public;

-- The objects of a Database Webhook, or any others.
create function public.sync_storage_objects(objects jsonb) returns bigint
language plpgsql
security definer -- as enqueue_objects()
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    asked record;
    enqueued bigint := 0::bigint;
begin
    -- What is said of them is not believed: only which they are. So it does no harm to be told twice, late or wrongly.
    for asked in
        select distinct o.bucket, o.name
        from jsonb_to_recordset(objects) as o (bucket text, name text)
        where o.bucket is not null and o.name is not null
        order by o.bucket, o.name
    loop
        delete from private.missed_objects as m where m.bucket_id = asked.bucket and m.file_path = asked.name;
        if exists (
            select from private.eligible_objects as o
            left join public.files_queue as q on q.bucket_id = o.bucket_id and q.file_path = o.file_path
            where o.bucket_id = asked.bucket and o.file_path = asked.name and q.object_version is distinct from o.object_version
        ) then
            if not private.keep_if_same(asked.bucket, asked.name) then
                enqueued := enqueued + private.enqueue_objects(asked.bucket, array[asked.name]);
            end if;
        elsif exists (select from private.watched_buckets as w where w.bucket_id = asked.bucket) then
            perform private.remove_files(asked.bucket, array[asked.name]);
        end if;
    end loop;
    return enqueued;
end
$$;
comment on function public.sync_storage_objects(jsonb) is
    'Makes the queue agree with these objects as they are now, given as [{bucket, name}], and gives how many were queued.';
revoke all on function public.sync_storage_objects(jsonb) from public, anon, authenticated;
grant execute on function public.sync_storage_objects(jsonb) to service_role;

create function private.settle_missed_objects() returns bigint
language plpgsql
set search_path = ''
as $$
declare
    missed record;
    enqueued bigint := 0::bigint;
begin
    for missed in select m.bucket_id, m.file_path from private.missed_objects as m order by m.tried_at, m.seen_at limit 1000 loop
        begin
            enqueued := enqueued + public.sync_storage_objects(
                jsonb_build_array(jsonb_build_object('bucket', missed.bucket_id, 'name', missed.file_path))
            );
        exception when others then
            -- One keeps no other waiting, nor the workers: it goes behind them.
            update private.missed_objects as m
            set problem = left(sqlerrm, 500), tried_at = clock_timestamp()
            where m.bucket_id = missed.bucket_id and m.file_path = missed.file_path;
            -- Where somebody holds the queue, each of the others would wait for as long.
            exit when sqlstate = '55P03';
        end;
    end loop;
    return enqueued;
end
$$;
comment on function private.settle_missed_objects() is 'Sees to what the trigger could not write into the queue. Called by the schedule.';
revoke all on function private.settle_missed_objects() from public;

-- Watching ------------------------------------------------------------------------------------------------------------

create function public.watch_bucket(
    bucket_id text, paths text default null, types text[] default null, readers text default null
) returns jsonb
language plpgsql
security definer -- writes what nobody else may; require_admin() keeps everybody else out
set search_path = ''
set statement_timeout = '5min' -- of a large bucket every document may change its readers
as $$
#variable_conflict use_column
declare
    is_public boolean;
    before private.watched_buckets;
    wanted private.watched_buckets;
    enqueued bigint;
begin
    perform private.require_admin();
    select b.public into is_public from storage.buckets as b where b.id = watch_bucket.bucket_id;
    if not found then
        raise exception 'There is no bucket "%"', watch_bucket.bucket_id
            using errcode = 'invalid_parameter_value', hint = coalesce(
                'There are: ' || (select string_agg(b.id, ', ' order by b.id) from storage.buckets as b) || '.', 'There is none yet.'
            );
    end if;
    if paths = '' then
        raise exception 'paths must be a pattern such as ** or contracts/*.pdf, not empty' using errcode = 'invalid_parameter_value';
    end if;
    if cardinality(types) = 0 or exists (select from unnest(types) as t where t is null or t !~ '^[^/\s]+/[^/\s]+$') then
        raise exception 'types must be types such as application/pdf or text/*, not %', types::text using errcode = 'invalid_parameter_value';
    end if;
    if readers not in ('owner', 'folder', 'everyone') then
        raise exception 'readers must be owner, folder or everyone, not %', readers using errcode = 'invalid_parameter_value';
    end if;

    -- What is not said stays as it was; and nobody meant to tell everyone what a private bucket holds.
    select w.* into before from private.watched_buckets as w where w.bucket_id = watch_bucket.bucket_id for update;
    wanted.paths := coalesce(watch_bucket.paths, before.paths, '**');
    wanted.types := coalesce(watch_bucket.types, before.types);
    wanted.are_readers_chosen := watch_bucket.readers is not null or coalesce(before.are_readers_chosen, false);
    wanted.readers := coalesce(
        watch_bucket.readers, case when before.are_readers_chosen then before.readers end, case when is_public then 'everyone' else 'owner' end
    );
    insert into private.watched_buckets as w (bucket_id, paths, types, paths_regex, types_regex, readers, are_readers_chosen)
    values (
        watch_bucket.bucket_id, wanted.paths, wanted.types,
        case when wanted.paths <> '**' then private.pattern_regex(wanted.paths) end,
        (select string_agg(private.pattern_regex(lower(t)), '|') from unnest(wanted.types) as t where not '*/*' = any (wanted.types)),
        wanted.readers, wanted.are_readers_chosen
    )
    on conflict on constraint watched_buckets_pkey do update
    set
        paths = excluded.paths, types = excluded.types, paths_regex = excluded.paths_regex, types_regex = excluded.types_regex,
        readers = excluded.readers, are_readers_chosen = excluded.are_readers_chosen;

    perform private.remove_files(watch_bucket.bucket_id, array_agg(q.file_path))
    from public.files_queue as q
    where q.bucket_id = watch_bucket.bucket_id
        and not exists (select from private.eligible_objects as o where o.bucket_id = q.bucket_id and o.file_path = q.file_path)
    having count(*) > 0;
    update public.documents as d
    set client_id = r.client_id, owner_id = r.owner_id
    from (
        select k.id, whose.client_id, whose.owner_id
        from public.documents as k
        cross join lateral private.readers_of(k.bucket_id, k.file_path) as whose
        where k.bucket_id = watch_bucket.bucket_id
    ) as r
    where d.id = r.id and (d.client_id, d.owner_id) is distinct from (r.client_id, r.owner_id);
    -- The first of what is in it; of a large bucket the rest is found missing by the check of coherence.
    select coalesce(private.enqueue_objects(watch_bucket.bucket_id, array_agg(o.file_path), 1), 0) into enqueued
    from (
        select o.file_path
        from private.eligible_objects as o
        where o.bucket_id = watch_bucket.bucket_id
            and not exists (select from public.files_queue as q where q.bucket_id = o.bucket_id and q.file_path = o.file_path)
        limit 5000
    ) as o
    having count(*) > 0;
    return jsonb_build_object('bucketId', watch_bucket.bucket_id, 'readers', wanted.readers, 'enqueued', coalesce(enqueued, 0::bigint));
end
$$;
comment on function public.watch_bucket(text, text, text[], text) is
    'Keeps documents of the objects of a bucket from now on, those that are in it included. Called again, it changes which, and who may read them; what is not said stays.';
revoke all on function public.watch_bucket(text, text, text[], text) from public, anon, authenticated;
grant execute on function public.watch_bucket(text, text, text[], text) to authenticated, service_role;

create function public.unwatch_bucket(bucket_id text) returns void
language plpgsql
security definer -- as watch_bucket()
set search_path = ''
set statement_timeout = '5min'
as $$
begin
    perform private.require_admin();
    -- The documents stay: their files are there.
    delete from public.files_queue as q where q.bucket_id = unwatch_bucket.bucket_id;
    delete from private.missed_objects as m where m.bucket_id = unwatch_bucket.bucket_id;
    delete from private.watched_buckets as w where w.bucket_id = unwatch_bucket.bucket_id;
    if not found then
        raise exception 'Bucket "%" is not watched', unwatch_bucket.bucket_id
            using errcode = 'invalid_parameter_value', hint = 'files_sync_status lists those that are.';
    end if;
end
$$;
comment on function public.unwatch_bucket(text) is 'Ends the watching of a bucket; documents that were made stay as they are.';
revoke all on function public.unwatch_bucket(text) from public, anon, authenticated;
grant execute on function public.unwatch_bucket(text) to authenticated, service_role;

-- Worker --------------------------------------------------------------------------------------------------------------

create function private.has_due_files() returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from public.files_queue where processed_at is null and failed_at is null and visible_at <= clock_timestamp()
    );
$$;
comment on function private.has_due_files() is 'Whether a worker would find anything: an empty queue makes no call.';
revoke all on function private.has_due_files() from public;

select private.define_worker('process-files-queue', 'public.files_queue', 'files', 'private.has_due_files');

create function public.claim_file_jobs(worker uuid, batch_size integer) returns jsonb
language plpgsql
security definer -- leases rows that nobody may write
set search_path = ''
as $$
begin
    if batch_size is null or batch_size not between 1 and 100 then
        raise exception 'batchSize must be from 1 to 100, not %', batch_size using errcode = 'invalid_parameter_value';
    end if;
    if not private.admit_worker('process-files-queue', worker) then
        return jsonb_build_object('tokens', '[]'::jsonb, 'idle', 'enough_workers');
    end if;
    return jsonb_build_object('tokens', to_jsonb(private.claim(
        'public.files_queue',
        batch_size,
        make_interval(secs => (private.setting('files_lease_seconds') #>> '{}')::integer),
        (private.setting('files_retry_limit') #>> '{}')::integer
    )), 'idle', null);
end
$$;
comment on function public.claim_file_jobs(uuid, integer) is 'Leases due files to a worker and gives their tokens; it reads them in a transaction of its own, after this one.';
revoke all on function public.claim_file_jobs(uuid, integer) from public, anon, authenticated;
grant execute on function public.claim_file_jobs(uuid, integer) to service_role;

create function public.read_file_jobs(tokens uuid[]) returns jsonb
language sql
stable
security definer -- reads storage past its policies
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'token', q.lease_token,
        'bucketId', q.bucket_id,
        'filePath', q.file_path,
        'isGone', o.file_path is null,
        'objectVersion', o.object_version,
        'fileSize', o.file_size,
        'sizeLimit', (private.setting('files_size_limit') #>> '{}')::bigint,
        'mimeType', o.mime_type,
        'userMetadata', o.user_metadata,
        'progress', case when o.object_version = q.object_version then q.progress end
    ) order by q.visible_at, q.file_path), '[]')
    from public.files_queue as q
    left join private.eligible_objects as o on o.bucket_id = q.bucket_id and o.file_path = q.file_path
    where q.lease_token = any (tokens);
$$;
comment on function public.read_file_jobs(uuid[]) is 'What is to be read for these leases, as it is now.';
revoke all on function public.read_file_jobs(uuid[]) from public, anon, authenticated;
grant execute on function public.read_file_jobs(uuid[]) to service_role;

create function public.save_file_progress(token uuid, object_version text, progress jsonb, parts jsonb) returns boolean
language plpgsql
security definer -- as claim_file_jobs()
set search_path = ''
set lock_timeout = '5s'
as $$
#variable_conflict use_column
declare
    job public.files_queue;
begin
    -- Here a worker may wait for an upload: it holds nothing that anybody waits for.
    select q.* into job from public.files_queue as q where q.lease_token = token for update;
    if not found then
        return false;
    end if;
    if job.revision <> job.leased_revision or job.object_version <> save_file_progress.object_version then
        -- Overwritten meanwhile: it is read anew from its beginning, also where the trigger has not told so.
        if job.revision = job.leased_revision then
            perform private.enqueue_objects(job.bucket_id, array[job.file_path]);
        end if;
        perform private.give_back('public.files_queue', array[token]);
        return false;
    end if;
    delete from private.file_parts as p
    where p.bucket_id = job.bucket_id and p.file_path = job.file_path
        and (job.progress is null or p.object_version <> job.object_version);
    insert into private.file_parts (bucket_id, file_path, object_version, place, page, content)
    select
        job.bucket_id, job.file_path, job.object_version,
        k.place + coalesce((select max(p.place) from private.file_parts as p where p.bucket_id = job.bucket_id and p.file_path = job.file_path), 0),
        (k.part ->> 'page')::integer, k.part ->> 'content'
    from jsonb_array_elements(parts) with ordinality as k (part, place);
    update public.files_queue as q
    set
        progress = save_file_progress.progress,
        -- Whoever gets further has not died of it.
        retry_count = 1,
        visible_at = clock_timestamp() + make_interval(secs => (private.setting('files_lease_seconds') #>> '{}')::integer)
    where q.lease_token = token;
    return true;
end
$$;
comment on function public.save_file_progress(uuid, text, jsonb, jsonb) is
    'Keeps a slice of a file, and the lease for as long again; false where the lease is lost or the file was overwritten.';
revoke all on function public.save_file_progress(uuid, text, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.save_file_progress(uuid, text, jsonb, jsonb) to service_role;

create function private.utf16_length(content text) returns integer
language sql
immutable
set search_path = ''
as $$
    -- As JavaScript counts: a character beyond the first 65,536 is two.
    select 2 * char_length(content) - char_length(regexp_replace(content, '[\U00010000-\U0010FFFF]', '', 'g'));
$$;
comment on function private.utf16_length(text) is 'The length of a text as JavaScript counts it, as do the offsets of chunks.';
revoke all on function private.utf16_length(text) from public;

create function private.write_document(job public.files_queue, result jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    -- What was saved of an earlier version is of no use.
    version_read constant text := result ->> 'objectVersion';
    whole text;
    pages jsonb;
begin
    with parts as (
        select p.place::bigint as place, p.page, p.content
        from private.file_parts as p
        where p.bucket_id = job.bucket_id and p.file_path = job.file_path
            and p.object_version = version_read and job.progress is not null
        union all
        select k.place + 2147483647, (k.part ->> 'page')::integer, k.part ->> 'content'
        from jsonb_array_elements(result -> 'parts') with ordinality as k (part, place)
    ), placed as (
        select p.*, coalesce(sum(private.utf16_length(p.content) + 2) over (order by p.place rows between unbounded preceding and 1 preceding), 0) as start
        from parts as p
        where p.content <> ''
    )
    select
        string_agg(p.content, E'\n\n' order by p.place),
        jsonb_agg(jsonb_build_object('page', p.page, 'start', p.start) order by p.place) filter (where p.page is not null)
    into whole, pages
    from placed as p;

    insert into public.documents as d (
        bucket_id, file_path, title, content, locale, mime_type, client_id, owner_id, metadata
    )
    select
        job.bucket_id, job.file_path, coalesce(result ->> 'title', ''), coalesce(whole, ''), coalesce(result ->> 'locale', 'fr'),
        result ->> 'mimeType', r.client_id, r.owner_id,
        coalesce(result -> 'metadata', '{}') || jsonb_strip_nulls(jsonb_build_object('pages', pages, 'contentTag', job.content_tag))
    from private.readers_of(job.bucket_id, job.file_path) as r
    on conflict (bucket_id, file_path) do update
    set
        title = excluded.title,
        content = excluded.content,
        locale = coalesce(result ->> 'locale', d.locale),
        mime_type = excluded.mime_type,
        client_id = excluded.client_id,
        owner_id = excluded.owner_id,
        -- What somebody else wrote there stays.
        metadata = (d.metadata - '{pages,titleFrom}'::text[]) || excluded.metadata;
    delete from private.file_parts as p where p.bucket_id = job.bucket_id and p.file_path = job.file_path;
end
$$;
comment on function private.write_document(public.files_queue, jsonb) is 'Writes the document of a file that has been read.';
revoke all on function private.write_document(public.files_queue, jsonb) from public;

create function private.finish_file(result jsonb) returns text
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    queue constant regclass := 'public.files_queue'::regclass;
    asked constant uuid := (result ->> 'token')::uuid;
    held uuid[];
    job public.files_queue;
    outcome text;
begin
    held := private.hold(queue, array[asked]);
    if held = '{}' then
        -- Locked just now, by an upload: whoever asks again a moment later finds it free.
        return case when exists (select from public.files_queue as q where q.lease_token = asked) then 'busy' else 'lost_lease' end;
    end if;
    select q.* into job from public.files_queue as q where q.lease_token = asked;
    if not exists (select from private.watched_buckets as w where w.bucket_id = job.bucket_id) then
        -- Nobody watches it any more, and its documents stay.
        delete from public.files_queue as q where q.lease_token = asked;
        return 'completed';
    end if;
    if not exists (select from private.eligible_objects as o where o.bucket_id = job.bucket_id and o.file_path = job.file_path) then
        perform private.remove_files(job.bucket_id, array[job.file_path]);
        return 'completed';
    end if;
    if (result ->> 'isGone')::boolean then
        -- It was, and is there again.
        perform private.give_back(queue, held);
        return 'requeued';
    end if;
    if result ->> 'failure' is not null then
        select f.outcome into outcome
        from private.fail(
            queue, held, array[left(result -> 'failure' ->> 'message', 1000)],
            case when (result -> 'failure' ->> 'permanent')::boolean then 0 else (private.setting('files_retry_limit') #>> '{}')::integer end,
            make_interval(secs => (private.setting('files_retry_seconds') #>> '{}')::integer)
        ) as f;
        return outcome;
    end if;
    -- Of bytes that have been overwritten meanwhile nothing is written: their successor is read at once.
    if job.revision = job.leased_revision and result ->> 'objectVersion' is distinct from job.object_version then
        -- The queue knows another version than was read: the trigger has missed one.
        perform private.enqueue_objects(job.bucket_id, array[job.file_path]);
    elsif job.revision = job.leased_revision then
        perform private.write_document(job, result);
        update public.files_queue as q set progress = null where q.lease_token = asked;
    end if;
    select s.outcome into outcome from private.settle(queue, held) as s;
    return outcome;
exception when lock_not_available or deadlock_detected then
    return 'busy';
end
$$;
revoke all on function private.finish_file(jsonb) from public;

create function public.finish_file_jobs(results jsonb) returns jsonb
language sql
security definer -- writes documents past their policies
set search_path = ''
set lock_timeout = '2s' -- of a document that somebody edits just now
set statement_timeout = '60s' -- a book
as $$
    select coalesce(jsonb_object_agg(r ->> 'token', private.finish_file(r)), '{}') from jsonb_array_elements(results) as r;
$$;
comment on function public.finish_file_jobs(jsonb) is
    'Writes the documents of files that are still leased; gives token: completed, requeued, retry, failed, busy or lost_lease.';
revoke all on function public.finish_file_jobs(jsonb) from public, anon, authenticated;
grant execute on function public.finish_file_jobs(jsonb) to service_role;

create function public.release_file_jobs(tokens uuid[]) returns integer
language sql
security definer -- as finish_file_jobs()
set search_path = ''
as $$
    select private.give_back('public.files_queue', private.hold('public.files_queue', tokens));
$$;
comment on function public.release_file_jobs(uuid[]) is 'Returns leased files unfinished and uncharged, with their progress.';
revoke all on function public.release_file_jobs(uuid[]) from public, anon, authenticated;
grant execute on function public.release_file_jobs(uuid[]) to service_role;

create function public.end_file_worker(worker uuid, goes_on boolean default true) returns bigint
language plpgsql
security definer -- as finish_file_jobs(); calls the next worker
set search_path = ''
as $$
begin
    perform private.dismiss_worker('process-files-queue', worker, goes_on);
    return (
        select count(*)
        from public.files_queue as q
        where q.processed_at is null and q.failed_at is null and q.visible_at <= clock_timestamp()
    );
end
$$;
comment on function public.end_file_worker(uuid, boolean) is 'A worker ends; it wakes the next one if there is work left, and is told how many files are due.';
revoke all on function public.end_file_worker(uuid, boolean) from public, anon, authenticated;
grant execute on function public.end_file_worker(uuid, boolean) to service_role;

create function private.watch_files() returns void
language plpgsql
set search_path = ''
as $$
declare
    stuck bigint;
    failed bigint;
    missed bigint;
begin
    select
        count(*) filter (where q.failed_at is null and q.visible_at < clock_timestamp() - interval '15 minutes'),
        count(*) filter (where q.failed_at is not null)
    into stuck, failed
    from public.files_queue as q
    where q.processed_at is null;
    select count(*) into missed from private.missed_objects as m where m.seen_at < clock_timestamp() - interval '15 minutes';
    perform private.set_alert(missed > 0, 'files_missed', format(
        '%s objects could not be queued for a quarter of an hour. See problem in private.missed_objects.', missed
    ));
    perform private.set_alert(stuck > 0, 'files_stuck', format(
        '%s files have been due for a quarter of an hour and nobody has read them. See stuck_file_jobs(); run accord doctor.', stuck
    ));
    perform private.set_alert(
        failed >= (private.setting('files_failed_alert_rows') #>> '{}')::integer, 'files_failed',
        format('%s files could not be read. See last_error in files_queue, then run accord retry.', failed)
    );
end
$$;
comment on function private.watch_files() is 'Raises and resolves the alerts about files. Called by the schedule.';
revoke all on function private.watch_files() from public;

create function private.dispatch_files() returns bigint
language plpgsql
set search_path = ''
as $$
begin
    perform private.settle_missed_objects();
    perform private.watch_files();
    return private.wake_workers('process-files-queue');
end
$$;
comment on function private.dispatch_files() is 'Wakes as many workers as there is work for. Scheduled every five minutes.';
revoke all on function private.dispatch_files() from public;

select cron.schedule('accord-files', '*/5 * * * *', 'select private.dispatch_files()');

-- People --------------------------------------------------------------------------------------------------------------

create function public.retry_failed_files(bucket_id text default null) returns bigint
language plpgsql
security definer -- writes the queue; require_admin() keeps everybody else out
set search_path = ''
as $$
declare
    revived bigint;
begin
    perform private.require_admin();
    if bucket_id is not null and not exists (select from private.watched_buckets as w where w.bucket_id = retry_failed_files.bucket_id) then
        raise exception 'Bucket "%" is not watched', bucket_id
            using errcode = 'invalid_parameter_value', hint = 'files_sync_status lists those that are.';
    end if;
    update public.files_queue as q
    set status = 'pending', failed_at = null, retry_count = 0, visible_at = clock_timestamp(), created_at = clock_timestamp()
    where q.failed_at is not null and (retry_failed_files.bucket_id is null or q.bucket_id = retry_failed_files.bucket_id);
    get diagnostics revived = row_count;
    if revived > 0 then
        perform private.wish('process-files-queue');
    end if;
    return revived;
end
$$;
comment on function public.retry_failed_files(text) is 'Gives failed files all their attempts again, and tells how many.';
revoke all on function public.retry_failed_files(text) from public, anon, authenticated;
grant execute on function public.retry_failed_files(text) to authenticated, service_role;

create function public.stuck_file_jobs() returns table (
    bucket_id text, file_path text, status text, problem text, since timestamptz, retry_count integer, last_error text
)
language plpgsql
stable
security definer -- as retry_failed_files()
set search_path = ''
as $$
begin
    perform private.require_admin();
    return query
    select q.bucket_id, q.file_path, q.status,
        case when q.lease_token is not null then 'its worker ended without a word' else 'waits, and nobody takes it' end,
        q.visible_at, q.retry_count, q.last_error
    from public.files_queue as q
    where q.processed_at is null and q.failed_at is null and q.visible_at < clock_timestamp() - interval '15 minutes'
    order by q.visible_at
    limit 1000;
end
$$;
comment on function public.stuck_file_jobs() is 'Files that have been due for a quarter of an hour: three rounds of the schedule have passed them by.';
revoke all on function public.stuck_file_jobs() from public, anon, authenticated;
grant execute on function public.stuck_file_jobs() to authenticated, service_role;

create function public.clean_up_files_queue() returns bigint
language plpgsql
security definer -- as retry_failed_files()
set search_path = ''
as $$
declare
    removed bigint;
begin
    perform private.require_admin();
    -- Parts that no progress refers to; completed rows stay, they are the account of what was read.
    delete from private.file_parts as p
    where exists (
        select from public.files_queue as q
        where q.bucket_id = p.bucket_id and q.file_path = p.file_path and (q.progress is null or q.object_version <> p.object_version)
    );
    get diagnostics removed = row_count;
    return removed;
end
$$;
comment on function public.clean_up_files_queue() is 'Removes slices that have served their time. Scheduled daily.';
revoke all on function public.clean_up_files_queue() from public, anon, authenticated;
grant execute on function public.clean_up_files_queue() to authenticated, service_role;

select cron.schedule('accord-files-cleanup', '37 3 * * *', 'select public.clean_up_files_queue()');

create view public.files_sync_status with (security_invoker = true) as
select
    w.bucket_id,
    w.paths,
    w.types,
    w.readers,
    count(*) filter (where q.status = 'pending') as pending,
    count(*) filter (where q.status = 'processing') as processing,
    count(*) filter (where q.status = 'completed') as completed,
    count(*) filter (where q.status = 'failed') as failed,
    min(q.created_at) filter (where q.status in ('pending', 'processing')) as oldest_pending,
    -- Files a minute, over the last five.
    round(count(*) filter (where q.processed_at > now() - interval '5 minutes') / 5.0, 1) as rate,
    make_interval(
        secs => (
            300.0 * count(*) filter (where q.status in ('pending', 'processing'))
            / nullif(count(*) filter (where q.processed_at > now() - interval '5 minutes'), 0)
        )::double precision
    ) as eta
from private.watched_buckets as w
left join public.files_queue as q on q.bucket_id = w.bucket_id
group by w.bucket_id;
comment on view public.files_sync_status is 'Each watched bucket at a glance: what waits, since when, how fast it goes and how long it will take.';
revoke all on public.files_sync_status from anon, authenticated;
grant select on public.files_sync_status to authenticated, service_role;

-- Health --------------------------------------------------------------------------------------------------------------

create function private.files_health() returns setof private.health_check
language sql
stable
security definer -- looks into schedules, triggers and buckets
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
    from (values ('accord-files'), ('accord-files-cleanup')) as wanted (name)
    left join cron.job as j on j.jobname = wanted.name

    union all

    select
        'trigger on storage.objects',
        t.problem is null,
        coalesce(t.problem, 'enabled'),
        case when t.problem is not null then 'Run: select private.place_files_trigger(); then: accord coherence repair.' end
    from private.trigger_problem() as t (problem)

    union all

    select
        'bucket ' || w.bucket_id,
        b.id is not null and (b.public or w.are_readers_chosen or w.readers <> 'everyone'),
        case
            when b.id is null then 'watched, but there is no such bucket'
            when b.public or w.are_readers_chosen or w.readers <> 'everyone' then format('watched: %s, read by %s', w.paths, w.readers)
            else 'private by now, and its documents are read by everyone'
        end,
        case
            when b.id is null then format('Make it again, or run: select public.unwatch_bucket(%L);', w.bucket_id)
            when not b.public and not w.are_readers_chosen and w.readers = 'everyone'
                then format('Run: select public.watch_bucket(%L, readers => ''owner''); or ''everyone'', if they are meant.', w.bucket_id)
        end
    from private.watched_buckets as w
    left join storage.buckets as b on b.id = w.bucket_id

    union all

    select
        'files queue',
        count(*) filter (where q.failed_at is not null) = 0
            and coalesce(min(q.visible_at) filter (where q.failed_at is null), now()) > now() - interval '15 minutes',
        format('%s failed, %s waiting', count(*) filter (where q.failed_at is not null), count(*) filter (where q.failed_at is null)),
        case
            when count(*) filter (where q.failed_at is not null) > 0 then 'See last_error in files_queue, then run: accord retry.'
            when min(q.visible_at) filter (where q.failed_at is null) < now() - interval '15 minutes'
                then 'Nothing takes what is due. Run: accord process; and see that the schedule ticks.'
        end
    from public.files_queue as q
    where q.processed_at is null;
$$;
revoke all on function private.files_health() from public;

-- What is watched from the start --------------------------------------------------------------------------------------

insert into storage.buckets (id, name, public) values ('documents', 'documents', false) on conflict do nothing;
select public.watch_bucket('documents');

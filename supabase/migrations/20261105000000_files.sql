-- Files: the objects of watched buckets, and the documents made of their texts, kept in agreement.
--
--   buckets    which are watched, which of their objects count, and who may read what becomes of them
--   queue      one row per object: make its document agree with it
--   trigger    on storage.objects, in the upload's own transaction, which it never fails
--   watching   a bucket begins to be watched, and ends
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

-- Planned for any bucket, and not for the one that is asked for (force_generic_plan): of one that the statistics do not
-- know yet Postgres believes that it holds a single object, takes any index that begins with the bucket, and goes through
-- all of it for each name.

create function private.enqueue_objects(bucket_id text, names text[], priority integer default 0) returns bigint
language plpgsql
security definer -- writes the queue, whoever uploads
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
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

create function private.keep_if_same(bucket_id text, names text[]) returns text[]
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    same text[];
begin
    -- Their documents were made of the very same bytes: nothing is to be read again.
    with noted as (
        update public.files_queue as q
        set object_version = o.object_version, file_size = o.file_size
        from unnest(names) as n
        join private.eligible_objects as o on o.bucket_id = keep_if_same.bucket_id and o.file_path = n
        where q.bucket_id = keep_if_same.bucket_id and q.file_path = n
            and q.processed_at is not null and q.content_tag = o.content_tag and q.mime_type is not distinct from o.mime_type
            and exists (select from public.documents as d where d.bucket_id = q.bucket_id and d.file_path = q.file_path)
        returning q.file_path
    )
    select coalesce(array_agg(n.file_path), '{}') into same from noted as n;
    -- They may be somebody else's now.
    update public.documents as d
    set client_id = r.client_id, owner_id = r.owner_id
    from (
        select k.id, whose.*
        from public.documents as k
        cross join lateral private.readers_of(k.bucket_id, k.file_path) as whose
        where k.bucket_id = keep_if_same.bucket_id and k.file_path = any (same)
    ) as r
    where d.id = r.id and (d.client_id, d.owner_id) is distinct from (r.client_id, r.owner_id);
    return same;
end
$$;
comment on function private.keep_if_same(text, text[]) is
    'Which of these objects still have the bytes that their documents were made of; of those the version alone is noted.';
revoke all on function private.keep_if_same(text, text[]) from public;

create function private.remove_files(bucket_id text, names text[]) returns bigint
language plpgsql
security definer -- writes queue and documents, whoever deletes
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
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
set plan_cache_mode = 'force_generic_plan'
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
set plan_cache_mode = 'force_generic_plan'
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
        or private.keep_if_same(to_bucket, array[to_name]) = '{}'
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
        elsif private.keep_if_same(new.bucket_id, array[new.name]) = '{}' and private.enqueue_objects(new.bucket_id, array[new.name]) = 0 then
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
set plan_cache_mode = 'force_generic_plan'
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
            if private.keep_if_same(asked.bucket, array[asked.name]) = '{}' then
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
set plan_cache_mode = 'force_generic_plan'
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

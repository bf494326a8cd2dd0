-- The `storage` schema as the storage server's migrations leave it on the platform.
-- Where storage.objects exists already, the storage server (or an earlier start) owns the schema and nothing here is
-- touched.
do $bootstrap$
begin
    if to_regclass('storage.objects') is not null then
        return;
    end if;

    create schema if not exists storage authorization supabase_admin;
    grant usage on schema storage to postgres, anon, authenticated, service_role, supabase_storage_admin;

    create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

    create table storage.buckets (
        id text primary key,
        name text not null,
        owner uuid,
        created_at timestamptz default now(),
        updated_at timestamptz default now(),
        public boolean default false,
        avif_autodetection boolean default false,
        file_size_limit bigint,
        allowed_mime_types text[],
        owner_id text,
        type storage.buckettype not null default 'STANDARD'
    );
    comment on column storage.buckets.owner is 'Field is deprecated, use owner_id instead';

    create unique index bname on storage.buckets (name);

    create table storage.objects (
        id uuid primary key default gen_random_uuid(),
        bucket_id text constraint "objects_bucketId_fkey" references storage.buckets (id),
        name text,
        owner uuid,
        created_at timestamptz default now(),
        updated_at timestamptz default now(),
        last_accessed_at timestamptz default now(),
        metadata jsonb,
        path_tokens text[] generated always as (string_to_array(name, '/')) stored,
        version text,
        owner_id text,
        user_metadata jsonb,
        archived_at timestamptz,
        is_delete_marker boolean not null default false,
        is_versioned boolean not null default false
    );
    comment on column storage.objects.owner is 'Field is deprecated, use owner_id instead';

    create unique index bucketid_objname on storage.objects (bucket_id, name);
    create index name_prefix_search on storage.objects (name text_pattern_ops);
    create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
    create index idx_objects_bucket_id_name_lower on storage.objects (bucket_id, lower(name) collate "C");

    -- Helpers that policies call.

    create function storage.foldername(name text) returns text[]
    language plpgsql immutable as $function$
    declare
        parts text[] := string_to_array(name, '/');
    begin
        return parts[1 : array_length(parts, 1) - 1];
    end
    $function$;

    create function storage.filename(name text) returns text
    language plpgsql as $function$
    declare
        parts text[] := string_to_array(name, '/');
    begin
        return parts[array_length(parts, 1)];
    end
    $function$;

    create function storage.extension(name text) returns text
    language plpgsql immutable as $function$
    begin
        return reverse(split_part(reverse(storage.filename(name)), '.', 1));
    end
    $function$;

    create function storage.operation() returns text
    language plpgsql stable as $function$
    begin
        return current_setting('storage.operation', true);
    end
    $function$;

    create function storage.allow_any_operation(expected_operations text[]) returns boolean
    language sql stable as $function$
        select exists (
            select from unnest(expected_operations) as expected(operation)
            where expected.operation <> ''
            and regexp_replace(expected.operation, '^storage\.', '')
                = regexp_replace(storage.operation(), '^storage\.', '')
        )
    $function$;

    create function storage.allow_only_operation(expected_operation text) returns boolean
    language sql stable as $function$
        select storage.allow_any_operation(array[expected_operation])
    $function$;

    create function storage.get_size_by_bucket() returns table (size bigint, bucket_id text)
    language plpgsql stable as $function$
    begin
        return query
            select sum((objects.metadata ->> 'size')::bigint)::bigint, objects.bucket_id
            from storage.objects
            group by objects.bucket_id;
    end
    $function$;

    -- Triggers.

    create function storage.update_updated_at_column() returns trigger
    language plpgsql as $function$
    begin
        new.updated_at = now();
        return new;
    end
    $function$;

    create function storage.enforce_bucket_name_length() returns trigger
    language plpgsql as $function$
    begin
        if length(new.name) > 100 then
            raise exception 'bucket name "%" is too long (% characters). Max is 100.', new.name, length(new.name);
        end if;
        return new;
    end
    $function$;

    -- A row deleted in SQL would leave its blob behind. The service says that it comes by the front door.
    create function storage.protect_delete() returns trigger
    language plpgsql as $function$
    begin
        if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
            raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
                using hint = 'This prevents accidental data loss from orphaned objects.', errcode = '42501';
        end if;
        return null;
    end
    $function$;

    create trigger update_objects_updated_at before update on storage.objects
        for each row execute function storage.update_updated_at_column();
    create trigger enforce_bucket_name_length_trigger before insert or update of name on storage.buckets
        for each row execute function storage.enforce_bucket_name_length();
    create trigger protect_buckets_delete before delete on storage.buckets
        for each statement execute function storage.protect_delete();
    create trigger protect_objects_delete before delete on storage.objects
        for each statement execute function storage.protect_delete();

    -- Who may do what. The API roles are held back by row-level security alone, as on the platform.

    alter table storage.buckets owner to supabase_storage_admin;
    alter table storage.objects owner to supabase_storage_admin;
    alter type storage.buckettype owner to supabase_storage_admin;
    alter function storage.foldername(text) owner to supabase_storage_admin;
    alter function storage.filename(text) owner to supabase_storage_admin;
    alter function storage.extension(text) owner to supabase_storage_admin;
    alter function storage.operation() owner to supabase_storage_admin;
    alter function storage.allow_any_operation(text[]) owner to supabase_storage_admin;
    alter function storage.allow_only_operation(text) owner to supabase_storage_admin;
    alter function storage.get_size_by_bucket() owner to supabase_storage_admin;
    alter function storage.update_updated_at_column() owner to supabase_storage_admin;
    alter function storage.enforce_bucket_name_length() owner to supabase_storage_admin;
    alter function storage.protect_delete() owner to supabase_storage_admin;

    alter table storage.buckets enable row level security;
    alter table storage.objects enable row level security;

    grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
    grant all on storage.buckets, storage.objects to postgres with grant option;

    -- On the platform the supautils extension lets `postgres` manage policies and triggers of tables that it does not
    -- own. Here it inherits the owner's rights, and an event trigger takes back whatever supautils would not give, so
    -- that a migration that fails there fails here.
    grant supabase_storage_admin to postgres with inherit true, set false;

    create function storage.guard_schema() returns event_trigger
    language plpgsql as $function$
    declare
        command record;
    begin
        if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
            return;
        end if;
        if tg_event = 'ddl_command_end' then
            for command in select * from pg_catalog.pg_event_trigger_ddl_commands() loop
                if command.schema_name = 'storage' and command.command_tag not in
                    ('CREATE POLICY', 'ALTER POLICY', 'CREATE TRIGGER', 'GRANT', 'REVOKE') then
                    raise exception 'must be owner of % %', command.object_type,
                        regexp_replace(command.object_identity, '^storage\.', '') using errcode = '42501';
                end if;
            end loop;
        else
            for command in select * from pg_catalog.pg_event_trigger_dropped_objects() where original loop
                if command.schema_name = 'storage' and command.object_type not in ('policy', 'trigger') then
                    raise exception 'must be owner of % %', command.object_type,
                        regexp_replace(command.object_identity, '^storage\.', '') using errcode = '42501';
                end if;
            end loop;
        end if;
    end
    $function$;

    create event trigger storage_guard_ddl on ddl_command_end execute function storage.guard_schema();
    create event trigger storage_guard_drop on sql_drop execute function storage.guard_schema();
end
$bootstrap$;

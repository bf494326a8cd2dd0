-- The roles, schemas and default privileges of a hosted Supabase project, where they are missing.
-- Runs at every start, as a superuser, and leaves alone what is already there.

do $$
declare
    role_name text;
    attributes text;
begin
    for role_name, attributes in values
        ('supabase_admin', 'login superuser createdb createrole replication bypassrls'),
        ('postgres', 'login createdb createrole replication bypassrls'),
        ('anon', 'nologin noinherit'),
        ('authenticated', 'nologin noinherit'),
        ('service_role', 'nologin noinherit bypassrls'),
        ('authenticator', 'login noinherit'),
        ('supabase_auth_admin', 'login noinherit createrole'),
        ('supabase_storage_admin', 'login noinherit createrole'),
        ('dashboard_user', 'nologin createdb createrole replication')
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('create role %I %s', role_name, attributes);
        end if;
    end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant authenticator to supabase_storage_admin;
grant anon, authenticated, service_role, authenticator, pg_monitor, pg_read_all_data, pg_signal_backend
    to postgres with admin option;

do $$
declare
    role_name text;
    name text;
    value text;
begin
    for role_name, name, value in values
        ('anon', 'statement_timeout', '3s'),
        ('authenticated', 'statement_timeout', '8s'),
        ('authenticator', 'statement_timeout', '8s'),
        ('authenticator', 'lock_timeout', '8s'),
        ('postgres', 'search_path', '"$user", public, extensions'),
        ('supabase_admin', 'search_path', '"$user", public, auth, extensions'),
        ('supabase_auth_admin', 'search_path', 'auth'),
        ('supabase_storage_admin', 'search_path', 'storage')
    loop
        -- What somebody has set is not ours to change.
        if not exists (
            select
            from pg_catalog.pg_db_role_setting
            cross join unnest(setconfig) as assignment
            where setrole = role_name::regrole and starts_with(assignment, name || '=')
        ) and role_name <> session_user then
            -- Both are lists of one kind or another: they are written as they stand, not as one quoted name.
            execute format(
                'alter role %I set %I = %s',
                role_name, name, case name when 'search_path' then value else quote_literal(value) end
            );
        end if;
    end loop;
end
$$;

do $$
begin
    execute format('grant create, connect, temporary on database %I to postgres', current_database());
end
$$;

create schema if not exists extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role;
grant create on schema extensions to postgres;

grant usage, create on schema public to postgres;
grant usage on schema public to anon, authenticated, service_role;

create extension if not exists pgcrypto with schema extensions;
create extension if not exists "uuid-ossp" with schema extensions;

-- Tells the REST service that the schema changed, after every statement that changes it, as hosted Supabase does.
-- A migration of many statements tells once: Postgres drops the same notification within a transaction.

create or replace function extensions.pgrst_ddl_watch() returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
    -- What belongs to a session alone is nothing to the API.
    if exists (
        select from pg_catalog.pg_event_trigger_ddl_commands() as command
        where command.schema_name is distinct from 'pg_temp'
    ) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

create or replace function extensions.pgrst_drop_watch() returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
    if exists (select from pg_catalog.pg_event_trigger_dropped_objects() as dropped where not dropped.is_temporary) then
        notify pgrst, 'reload schema';
    end if;
end
$$;

do $$
declare
    trigger_name text;
    event_name text;
begin
    for trigger_name, event_name in values ('pgrst_ddl_watch', 'ddl_command_end'), ('pgrst_drop_watch', 'sql_drop')
    loop
        if not exists (select from pg_catalog.pg_event_trigger where evtname = trigger_name) then
            execute format('create event trigger %I on %s execute function extensions.%I()', trigger_name, event_name, trigger_name);
        end if;
    end loop;
exception
    -- Only a superuser may; without it, `notify pgrst, 'reload schema'` after a change does the same by hand.
    when insufficient_privilege then
        raise notice 'no event trigger watches the schema for the REST service: %', sqlerrm;
end
$$;

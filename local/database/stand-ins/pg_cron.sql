-- A stand-in for the extension pg_cron 1.6: the same tables and functions. Jobs are run by a worker outside the
-- database (local/schedules/cron.ts), as the role that scheduled them, in UTC.

create schema cron;

create sequence cron.jobid_seq;
create sequence cron.runid_seq;

create table cron.job (
    jobid bigint primary key default nextval('cron.jobid_seq'),
    schedule text not null,
    command text not null,
    nodename text not null default 'localhost',
    nodeport integer not null default coalesce(inet_server_port(), 5432),
    database text not null default current_database(),
    username text not null default current_user,
    active boolean not null default true,
    jobname text,
    unique (jobname, username)
);

create table cron.job_run_details (
    jobid bigint,
    runid bigint primary key default nextval('cron.runid_seq'),
    job_pid integer,
    database text,
    username text,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);

alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

-- One field: parts between commas, each a star, a number or name, or a range; a star and a range may have a step.
-- The real parser also takes what can only be a slip (ranges that run backwards, a sixth field, "1.5"): refused here.
create function cron._is_field(field text, lowest integer, highest integer, names text[]) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
declare
    part text;
    pieces text[];
    first_value integer;
    last_value integer;
begin
    foreach part in array string_to_array(lower(field), ',') loop
        for i in 1 .. coalesce(cardinality(names), 0) loop
            part := replace(part, names[i], (lowest + i - 1)::text);
        end loop;
        pieces := regexp_match(part, '^(?:\*(?:/(\d{1,2}))?|(\d{1,2})(?:-(\d{1,2})(?:/(\d{1,2}))?)?)$');
        if pieces is null then
            return false;
        end if;
        first_value := coalesce(pieces[2]::integer, lowest);
        last_value := coalesce(pieces[3]::integer, first_value);
        if first_value < lowest or last_value > highest or first_value > last_value
            or coalesce(pieces[1], pieces[4])::integer not between 1 and highest
        then
            return false;
        end if;
    end loop;
    return field <> '';
end
$$;

create function cron._check_schedule(schedule text) returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
    fields text[] := regexp_split_to_array(btrim(schedule, E' \t'), '\s+');
    seconds text := (regexp_match(btrim(schedule), '^(\d{1,2})\s+seconds?$', 'i'))[1];
begin
    if schedule is null then
        raise exception 'schedule can not be NULL' using errcode = 'internal_error';
    end if;
    -- @reboot is left out: when this database restarts is nobody's schedule.
    if seconds::integer between 1 and 59 or btrim(schedule) ~ '^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$' then
        return;
    end if;
    if cardinality(fields) = 5
        and cron._is_field(fields[1], 0, 59, null)
        and cron._is_field(fields[2], 0, 23, null)
        and (fields[3] = '$' or cron._is_field(fields[3], 1, 31, null))
        and cron._is_field(fields[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}')
        and cron._is_field(fields[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')
    then
        return;
    end if;
    raise exception 'invalid schedule: %', schedule
        using
            errcode = 'invalid_parameter_value',
            hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
end
$$;

-- As the real one says it: the same words under the same code.
create function cron._check_target(command text, database text, username text) returns void
language plpgsql
stable
set search_path = ''
as $$
begin
    if command is null then
        raise exception 'command can not be NULL' using errcode = 'internal_error';
    end if;
    if not exists (select from pg_catalog.pg_database where datname = database) then
        raise exception 'database "%" does not exist', database using errcode = '3D000';
    end if;
    if username = current_user then
        return;
    end if;
    if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
        raise exception 'must be superuser to create a job for another role' using errcode = 'insufficient_privilege';
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = username) then
        raise exception 'role "%" does not exist', username using errcode = 'internal_error';
    end if;
    if not (select rolcanlogin from pg_catalog.pg_roles where rolname = username) then
        raise exception 'role "%" can not log in', username using errcode = 'internal_error';
    end if;
end
$$;

create function cron.schedule_in_database(
    job_name text, schedule text, command text, database text, username text default null, active boolean default true
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    job_id bigint;
begin
    if job_name is null then
        raise exception 'job_name can not be NULL' using errcode = 'internal_error';
    end if;
    perform cron._check_schedule(schedule);
    perform cron._check_target(command, database, coalesce(username, current_user));
    insert into cron.job as j (schedule, command, database, username, active, jobname)
    values (schedule, command, database, coalesce(username, current_user), active, job_name)
    on conflict on constraint job_jobname_username_key do update
    set
        schedule = excluded.schedule,
        command = excluded.command,
        database = excluded.database,
        active = excluded.active
    returning j.jobid into job_id;
    return job_id;
end
$$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql
set search_path = ''
as $$ select cron.schedule_in_database(job_name, schedule, command, current_database()); $$;

create function cron.schedule(schedule text, command text) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    job_id bigint;
begin
    perform cron._check_schedule(schedule);
    perform cron._check_target(command, current_database(), current_user);
    insert into cron.job as j (schedule, command) values (schedule, command) returning j.jobid into job_id;
    return job_id;
end
$$;

create function cron.alter_job(
    job_id bigint,
    schedule text default null,
    command text default null,
    database text default null,
    username text default null,
    active boolean default null
) returns void
language plpgsql
set search_path = ''
as $$
begin
    if num_nonnulls(alter_job.schedule, alter_job.command, alter_job.database, alter_job.username, alter_job.active) = 0 then
        raise exception 'no updates specified'
            using
                errcode = 'internal_error',
                hint = 'You must specify at least one job attribute to change when calling alter_job';
    end if;
    if alter_job.schedule is not null then
        perform cron._check_schedule(alter_job.schedule);
    end if;
    perform cron._check_target(
        coalesce(alter_job.command, ''),
        coalesce(alter_job.database, current_database()),
        coalesce(alter_job.username, current_user)
    );
    update cron.job as j
    set
        schedule = coalesce(alter_job.schedule, j.schedule),
        command = coalesce(alter_job.command, j.command),
        database = coalesce(alter_job.database, j.database),
        username = coalesce(alter_job.username, j.username),
        active = coalesce(alter_job.active, j.active)
    where j.jobid = job_id;
    if not found then
        raise exception 'Job % does not exist or you don''t own it', job_id using errcode = 'internal_error';
    end if;
end
$$;

create function cron.unschedule(job_id bigint) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    delete from cron.job where jobid = job_id;
    if not found then
        raise exception 'could not find valid entry for job %', job_id using errcode = 'internal_error';
    end if;
    return true;
end
$$;

create function cron.unschedule(job_name text) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    delete from cron.job where jobname = job_name and username = current_user;
    if not found then
        raise exception 'could not find valid entry for job ''%''', job_name using errcode = 'internal_error';
    end if;
    return true;
end
$$;

-- The worker keeps the jobs in mind and reads them again when they change.
create function cron._announce_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    perform pg_notify('cron_jobs', '');
    return null;
end
$$;

create trigger job_changed
after insert or update or delete or truncate on cron.job
for each statement execute function cron._announce_change();

revoke all on all functions in schema cron from public;
grant usage on schema cron to postgres with grant option;
grant all on all tables in schema cron to postgres with grant option;
grant all on all sequences in schema cron to postgres with grant option;
grant execute on all functions in schema cron to postgres with grant option;
revoke insert, update, truncate on cron.job from postgres;
grant insert, update on cron.job to postgres;

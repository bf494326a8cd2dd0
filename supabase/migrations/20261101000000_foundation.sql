-- Foundation: what every capability stands on.
--
--   extensions   vector, pgcrypto, pg_cron, pg_net, Vault
--   private      what callers of the API must not reach
--   settings     every option with its default and its limits beside it
--   alerts       one open row per problem
--   functions    calling an Edge Function from the database
--   health       what is in place, told by each capability for itself
--   content      faq_items and documents, with their policies
--
-- New tables get no grants of their own: each object below says who may use it.

create extension if not exists vector with schema extensions;
create extension if not exists pgcrypto with schema extensions;

-- These three bring a schema of their own. Where a development stack has put a stand-in there, it serves as well.
do $$
begin
    if to_regnamespace('cron') is null then
        create extension pg_cron;
    end if;
    if to_regnamespace('net') is null then
        create extension pg_net with schema extensions;
    end if;
    if to_regnamespace('vault') is null then
        create extension supabase_vault;
    end if;
end
$$;

create schema private;
comment on schema private is 'What callers of the API must not reach; exposed to none of them.';
revoke all on schema private from public;
grant usage on schema private to service_role;

-- Who is calling ------------------------------------------------------------------------------------------------------

create function public.is_admin() returns boolean
language sql
stable
set search_path = ''
as $$
    select coalesce(auth.jwt() -> 'app_metadata' ->> 'role' = 'admin', false);
$$;
comment on function public.is_admin() is 'Whether the caller''s token says role admin in app_metadata, which users cannot edit.';
revoke all on function public.is_admin() from public, anon, authenticated;
grant execute on function public.is_admin() to anon, authenticated, service_role;

-- Policies run with the caller's rights, so the caller needs execute, though nobody can reach `private` by the API.
create function private.own_client_id() returns text
language sql
stable
set search_path = ''
as $$
    select nullif(auth.jwt() -> 'app_metadata' ->> 'client_id', '');
$$;
comment on function private.own_client_id() is 'The client whose people the caller belongs to, from app_metadata; null for everybody else.';
revoke all on function private.own_client_id() from public;
grant usage on schema private to anon, authenticated;
grant execute on function private.own_client_id() to anon, authenticated, service_role;

create function private.require_admin() returns void
language plpgsql
stable
set search_path = ''
as $$
begin
    -- Nobody's token at all is a direct connection or a scheduled job: grants alone decide there.
    if auth.jwt() is not null and coalesce(auth.jwt() ->> 'role', '') <> 'service_role' and not public.is_admin() then
        raise exception 'Only an administrator may do this'
            using
                errcode = 'insufficient_privilege',
                hint = 'Sign in as a user whose app_metadata.role is admin, or use a secret key.';
    end if;
end
$$;
comment on function private.require_admin() is 'Refuses every caller of the API but administrators and secret keys.';
revoke all on function private.require_admin() from public;
grant execute on function private.require_admin() to service_role;

-- Settings ------------------------------------------------------------------------------------------------------------

create function private.fits_setting(
    value jsonb, kind text, minimum numeric, maximum numeric, choices text[]
) returns boolean
language sql
immutable
set search_path = ''
as $$
    select case kind
        when 'number' then jsonb_typeof(value) = 'number'
            and (value #>> '{}')::numeric between coalesce(minimum, '-Infinity') and coalesce(maximum, 'Infinity')
        when 'integer' then jsonb_typeof(value) = 'number'
            and (value #>> '{}')::numeric = trunc((value #>> '{}')::numeric)
            and (value #>> '{}')::numeric between coalesce(minimum, '-Infinity') and coalesce(maximum, 'Infinity')
        when 'boolean' then jsonb_typeof(value) = 'boolean'
        when 'text' then jsonb_typeof(value) = 'string' and (choices is null or value #>> '{}' = any (choices))
        else false
    end;
$$;
comment on function private.fits_setting is 'Whether a value is of its kind and within its limits.';
revoke all on function private.fits_setting from public;

create table private.settings (
    name text primary key check (name ~ '^[a-z][a-z0-9_]*$'),
    -- Null means: the default holds.
    value jsonb,
    default_value jsonb not null,
    kind text not null check (kind in ('number', 'integer', 'boolean', 'text')),
    minimum numeric,
    maximum numeric,
    choices text[],
    description text not null,
    updated_at timestamptz not null default now(),
    constraint default_value_is_allowed check (
        private.fits_setting(default_value, kind, minimum, maximum, choices)
    ),
    constraint value_is_allowed check (
        value is null or private.fits_setting(value, kind, minimum, maximum, choices)
    )
);
comment on table private.settings is 'Every option of Accord, with its default and its limits. Change one with set_setting().';
alter table private.settings enable row level security;
grant select on private.settings to service_role;

create function private.define_setting(
    name text,
    default_value jsonb,
    description text,
    kind text default 'integer',
    minimum numeric default null,
    maximum numeric default null,
    choices text[] default null
) returns void
language sql
set search_path = ''
as $$
    insert into private.settings as s (name, default_value, description, kind, minimum, maximum, choices)
    values (name, default_value, description, kind, minimum, maximum, choices)
    on conflict on constraint settings_pkey do update
    set
        default_value = excluded.default_value,
        description = excluded.description,
        kind = excluded.kind,
        minimum = excluded.minimum,
        maximum = excluded.maximum,
        choices = excluded.choices;
$$;
comment on function private.define_setting is 'Declares a setting; declared again, it keeps the value that somebody has given it.';
revoke all on function private.define_setting from public;

create function private.setting(name text) returns jsonb
language plpgsql
stable
security definer -- any function of Accord may read a setting, whoever calls it
set search_path = ''
as $$
declare
    found_value jsonb;
begin
    select coalesce(s.value, s.default_value) into found_value
    from private.settings as s
    where s.name = setting.name;

    if found_value is null then
        raise exception 'There is no setting "%"', setting.name
            using errcode = 'invalid_parameter_value', hint = 'get_settings() lists them all.';
    end if;
    return found_value;
end
$$;
comment on function private.setting(text) is 'The value in force: what somebody set, else the default.';
revoke all on function private.setting(text) from public;
grant execute on function private.setting(text) to service_role;

create function public.get_settings() returns jsonb
language plpgsql
stable
security definer -- `private` is closed to administrators; require_admin() keeps everybody else out
set search_path = ''
as $$
begin
    perform private.require_admin();
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
            'name', s.name,
            'value', coalesce(s.value, s.default_value),
            'default', s.default_value,
            'kind', s.kind,
            'minimum', s.minimum,
            'maximum', s.maximum,
            'choices', s.choices,
            'description', s.description
        ) order by s.name), '[]')
        from private.settings as s
    );
end
$$;
comment on function public.get_settings() is 'Every setting with its value in force, its default, its limits and what it means.';
revoke all on function public.get_settings() from public, anon, authenticated;
grant execute on function public.get_settings() to authenticated, service_role;

create function public.set_setting(name text, value jsonb) returns jsonb
language plpgsql
security definer -- as get_settings()
set search_path = ''
as $$
declare
    target private.settings;
begin
    perform private.require_admin();
    select * into target from private.settings as s where s.name = set_setting.name for update;
    if not found then
        raise exception 'There is no setting "%"', set_setting.name
            using errcode = 'invalid_parameter_value', hint = 'get_settings() lists them all.';
    end if;
    -- A JSON null asks for the default back.
    if jsonb_typeof(set_setting.value) = 'null' then
        set_setting.value := null;
    end if;
    if set_setting.value is not null
        and private.fits_setting(set_setting.value, target.kind, target.minimum, target.maximum, target.choices)
        is not true
    then
        raise exception 'Setting "%" cannot be %', target.name, set_setting.value
            using errcode = 'invalid_parameter_value', hint = concat_ws(' ',
                'It takes a value of kind ' || target.kind,
                'of at least ' || target.minimum,
                'of at most ' || target.maximum,
                'among ' || array_to_string(target.choices, ', ')
            ) || '.';
    end if;
    update private.settings as s set value = set_setting.value, updated_at = now() where s.name = target.name;
    return coalesce(set_setting.value, target.default_value);
end
$$;
comment on function public.set_setting(text, jsonb) is 'Changes a setting, or with a JSON null goes back to its default; gives the value now in force.';
revoke all on function public.set_setting(text, jsonb) from public, anon, authenticated;
grant execute on function public.set_setting(text, jsonb) to authenticated, service_role;

-- Alerts --------------------------------------------------------------------------------------------------------------

create table public.alerts (
    id bigint generated always as identity primary key,
    kind text not null check (kind ~ '^[a-z][a-z0-9_]*$'),
    -- What the problem is about, where a kind can strike several things; empty where it cannot.
    subject text not null default '',
    message text not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    count integer not null default 1 check (count > 0),
    resolved_at timestamptz,
    constraint seen_in_order check (first_seen_at <= last_seen_at)
);
comment on table public.alerts is 'What needs a person: one open row per problem, however often it is seen.';
create unique index alerts_one_open_per_problem on public.alerts (kind, subject) where resolved_at is null;

alter table public.alerts enable row level security;
grant select on public.alerts to authenticated;
grant update (resolved_at) on public.alerts to authenticated;
grant select, insert, update, delete on public.alerts to service_role;
create policy "administrators read alerts" on public.alerts
    for select to authenticated using ((select public.is_admin()));
create policy "administrators resolve alerts" on public.alerts
    for update to authenticated using ((select public.is_admin())) with check ((select public.is_admin()));

create function private.raise_alert(kind text, subject text, message text) returns void
language plpgsql
security definer -- a problem is recorded whoever meets it
set search_path = ''
as $$
#variable_conflict use_column
begin
    -- This may be a user's own transaction, and it must wait for nobody: whoever has the problem in hand just now, in a
    -- transaction that is still open, records it for all.
    if not pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', 'accord alert', raise_alert.kind, raise_alert.subject), 0)) then
        return;
    end if;
    insert into public.alerts as a (kind, subject, message)
    values (raise_alert.kind, coalesce(raise_alert.subject, ''), left(raise_alert.message, 1000))
    on conflict (kind, subject) where resolved_at is null do update
    set message = excluded.message, last_seen_at = greatest(a.last_seen_at, now()), count = a.count + 1;
end
$$;
comment on function private.raise_alert(text, text, text) is 'Opens an alert, or counts one that is open. The message must hold no secret.';
revoke all on function private.raise_alert(text, text, text) from public;
grant execute on function private.raise_alert(text, text, text) to service_role;

create function private.resolve_alert(kind text, subject text default '') returns void
language sql
security definer -- as raise_alert()
set search_path = ''
as $$
    -- One that somebody else is changing just now is left to them.
    update public.alerts as a
    set resolved_at = now()
    where a.id in (
        select open.id
        from public.alerts as open
        where open.kind = resolve_alert.kind and open.subject = resolve_alert.subject and open.resolved_at is null
        for update skip locked
    );
$$;
comment on function private.resolve_alert(text, text) is 'Closes an alert whose problem is gone; no open alert, no change.';
revoke all on function private.resolve_alert(text, text) from public;
grant execute on function private.resolve_alert(text, text) to service_role;

create function private.set_alert(is_raised boolean, kind text, message text) returns void
language plpgsql
set search_path = ''
as $$
begin
    if is_raised then
        perform private.raise_alert(kind, '', message);
    elsif exists (select from public.alerts as a where a.kind = set_alert.kind and a.subject = '' and a.resolved_at is null) then
        perform private.resolve_alert(kind, '');
    end if;
end
$$;
comment on function private.set_alert(boolean, text, text) is 'Raises an alert or resolves it, as it is now.';
revoke all on function private.set_alert(boolean, text, text) from public;

-- Calling Edge Functions ----------------------------------------------------------------------------------------------

select private.define_setting(
    'function_call_timeout_ms',
    '150000',
    'How long the database waits for an Edge Function to answer before it notes a time-out, in milliseconds.',
    minimum => 1000,
    maximum => 400000
);

create function private.vault_secret(name text) returns text
language sql
stable
security definer -- Vault is readable to the owner alone
set search_path = ''
as $$
    -- A key pasted with its line break would break the header that carries it.
    select nullif(btrim(s.decrypted_secret, E' \t\r\n'), '')
    from vault.decrypted_secrets as s
    where s.name = vault_secret.name;
$$;
comment on function private.vault_secret(text) is 'A secret of Vault, null when it is missing or blank. Granted to nobody.';
revoke all on function private.vault_secret(text) from public;

create function private.call_edge_function(function_name text, body jsonb default '{}') returns bigint
language plpgsql
security definer -- reads Vault and queues a request: both are the owner's alone
set search_path = ''
as $$
declare
    project_url text := private.vault_secret('project_url');
    automations_key text := private.vault_secret('automations_key');
    missing text := concat_ws(
        ' and ',
        case when project_url is null then 'project_url' end,
        case when automations_key is null then 'automations_key' end
    );
    request_id bigint;
begin
    if function_name !~ '^[A-Za-z][A-Za-z0-9_-]*$' then
        raise exception 'An Edge Function cannot be called "%"', function_name
            using errcode = 'invalid_parameter_value', hint = 'Give its name alone, such as process-embedding-queue.';
    end if;

    -- The caller may be a user's own transaction: whatever is wrong here is told to the operator, never to the user.
    if missing <> '' then
        perform private.raise_alert(
            'vault_secret_missing',
            missing,
            format('%s was not called: Vault holds no %s. `accord doctor` says how to put it there.', function_name, missing)
        );
        return null;
    end if;

    begin
        request_id := net.http_post(
            url => rtrim(project_url, '/') || '/functions/v1/' || function_name,
            body => body,
            headers => jsonb_build_object('Content-Type', 'application/json', 'apikey', automations_key),
            timeout_milliseconds => (private.setting('function_call_timeout_ms') #>> '{}')::integer
        );
    exception when others then
        perform private.raise_alert('function_call_failed', function_name, format('%s could not be called: %s', function_name, sqlerrm));
        return null;
    end;

    perform private.resolve_alert(a.kind, a.subject)
    from public.alerts as a
    where a.resolved_at is null
        and (a.kind = 'vault_secret_missing' or (a.kind = 'function_call_failed' and a.subject = function_name));
    return request_id;
end
$$;
comment on function private.call_edge_function(text, jsonb) is
    'Asks pg_net to call an Edge Function after this transaction commits: at most once, and never an error of the transaction.';
revoke all on function private.call_edge_function(text, jsonb) from public;

-- Health --------------------------------------------------------------------------------------------------------------

create type private.health_check as (
    name text,
    ok boolean,
    detail text,
    -- What to do about it, null when there is nothing to mend.
    mend text
);
comment on type private.health_check is
    'One thing that must be in place. A capability tells its own by any function in `private` that returns a set of these and takes no argument.';

create function private.schedule_health(variadic names text[]) returns setof private.health_check
language sql
stable
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
    from unnest(names) as wanted (name)
    left join cron.job as j on j.jobname = wanted.name;
$$;
comment on function private.schedule_health(text[]) is 'Whether these jobs are scheduled and active, for a capability''s own function to tell.';
revoke all on function private.schedule_health(text[]) from public;

create function private.foundation_health() returns setof private.health_check
language sql
stable
security definer -- looks into Vault and the schedules for their names alone
set search_path = ''
as $$
    select
        'extension ' || wanted.name,
        coalesce(e.extversion is not null or to_regnamespace(wanted.own_schema) is not null, false),
        case
            when e.extversion is not null then 'version ' || e.extversion
            when to_regnamespace(wanted.own_schema) is not null then 'a stand-in of the development stack'
            else 'not installed'
        end,
        case
            when e.extversion is null and to_regnamespace(wanted.own_schema) is null
                then format('Run: create extension %I; or enable it under Database, Extensions.', wanted.name)
        end
    from (values ('vector', null), ('pgcrypto', null), ('pg_cron', 'cron'), ('pg_net', 'net'), ('supabase_vault', 'vault'))
        as wanted (name, own_schema)
    left join pg_catalog.pg_extension as e on e.extname = wanted.name

    union all

    select
        'secret ' || wanted.name,
        private.vault_secret(wanted.name) is not null,
        case when private.vault_secret(wanted.name) is null then 'missing from Vault' else 'present in Vault' end,
        case
            when private.vault_secret(wanted.name) is null
                then format('Run: select vault.create_secret(%s, %L);', wanted.example, wanted.name)
        end
    from (values ('project_url', '''https://<project>.supabase.co'''), ('automations_key', '''<secret key>'''))
        as wanted (name, example)

    union all

    select s.* from private.schedule_health('accord-housekeeping') as s;
$$;
revoke all on function private.foundation_health() from public;

create function public.health_checks(key_fingerprints jsonb default '{}') returns jsonb
language plpgsql
stable
security definer -- calls functions of `private`; require_admin() keeps everybody else out
set search_path = ''
as $$
declare
    teller regprocedure;
    told jsonb;
    checks jsonb := '[]'::jsonb;
    matching text;
begin
    perform private.require_admin();
    for teller in
        select p.oid::regprocedure
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'private'::regnamespace
            and p.prorettype = 'private.health_check'::regtype
            and p.pronargs = 0
        order by p.oid
    loop
        execute format('select jsonb_agg(to_jsonb(c)) from %s as c', teller::text) into told;
        checks := checks || coalesce(told, '[]');
    end loop;

    -- Fingerprints travel, keys do not: {name of key: SHA-256 of key, hexadecimal}.
    if key_fingerprints <> '{}' and private.vault_secret('automations_key') is not null then
        select key into matching
        from jsonb_each_text(key_fingerprints)
        where value = encode(extensions.digest(private.vault_secret('automations_key'), 'sha256'), 'hex')
        order by key <> 'automations'
        limit 1;
        checks := checks || jsonb_build_array(jsonb_build_object(
            'name', 'key automations_key',
            'ok', matching is not null,
            'detail', case
                when matching is null then 'the key in Vault is none of the project''s secret keys'
                else format('the key in Vault is the secret key named %s', matching)
            end,
            'mend', case
                when matching is null
                    then 'Run: select vault.update_secret(id, ''<secret key>'') from vault.secrets where name = ''automations_key'';'
            end
        ));
    end if;
    return checks;
end
$$;
comment on function public.health_checks(jsonb) is 'What is in place and what is not, with the mend for each. Names no secret.';
revoke all on function public.health_checks(jsonb) from public, anon, authenticated;
grant execute on function public.health_checks(jsonb) to authenticated, service_role;

-- Housekeeping --------------------------------------------------------------------------------------------------------

select private.define_setting(
    'keep_run_details_days', '7', 'Days for which the runs of scheduled jobs are kept.', minimum => 1, maximum => 365
);
select private.define_setting(
    'keep_resolved_alerts_days', '90', 'Days for which resolved alerts are kept.', minimum => 1, maximum => 3650
);

create function private.housekeeping() returns void
language sql
set search_path = ''
as $$
    -- pg_cron never purges its own account of runs.
    delete from cron.job_run_details
    where end_time < now() - make_interval(days => (private.setting('keep_run_details_days') #>> '{}')::integer);
    delete from public.alerts
    where resolved_at < now() - make_interval(days => (private.setting('keep_resolved_alerts_days') #>> '{}')::integer);
$$;
comment on function private.housekeeping() is 'Removes what has served its time. Scheduled daily.';
revoke all on function private.housekeeping() from public;

select cron.schedule('accord-housekeeping', '17 3 * * *', 'select private.housekeeping()');

-- Content -------------------------------------------------------------------------------------------------------------

create function private.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
revoke all on function private.touch_updated_at() from public;

create table public.faq_items (
    id uuid primary key default gen_random_uuid(),
    question text not null check (question ~ '\S'),
    answer text not null default '',
    category text,
    locale text not null default 'fr' check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
    is_published boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table public.faq_items is 'Questions and answers of the site, one row per language.';

create table public.documents (
    id uuid primary key default gen_random_uuid(),
    title text not null default '',
    content text not null default '',
    locale text not null default 'fr' check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
    mime_type text,
    -- The object in storage that the text was taken from, if it was.
    bucket_id text,
    file_path text,
    -- Neither refers to a table: were the client or the user deleted, a reference would have to take the document
    -- along or, worse, open it to everybody by becoming null.
    client_id text check (client_id <> ''),
    owner_id uuid,
    is_published boolean not null default true,
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint path_with_its_bucket check ((bucket_id is null) = (file_path is null)),
    unique (bucket_id, file_path)
);
comment on table public.documents is 'Texts of the site and of its clients, written by hand or taken from files.';
create index documents_client_id_idx on public.documents (client_id) where client_id is not null;
create index documents_owner_id_idx on public.documents (owner_id) where owner_id is not null;

create trigger faq_items_touch before update on public.faq_items
    for each row when (old.* is distinct from new.*) execute function private.touch_updated_at();
create trigger documents_touch before update on public.documents
    for each row when (old.* is distinct from new.*) execute function private.touch_updated_at();

alter table public.faq_items enable row level security;
alter table public.documents enable row level security;
grant select on public.faq_items, public.documents to anon;
grant select, insert, update, delete on public.faq_items, public.documents to authenticated, service_role;

create policy "anyone reads what is published" on public.faq_items
    for select to anon, authenticated using (is_published or (select public.is_admin()));
create policy "administrators insert" on public.faq_items
    for insert to authenticated with check ((select public.is_admin()));
create policy "administrators update" on public.faq_items
    for update to authenticated using ((select public.is_admin())) with check ((select public.is_admin()));
create policy "administrators delete" on public.faq_items
    for delete to authenticated using ((select public.is_admin()));

-- A client's document is that client's alone and an owner's is that owner's alone, published or not.
create policy "each reads what is theirs, anyone what is public" on public.documents
    for select to anon, authenticated using (
        (client_id is null and owner_id is null and is_published)
        or client_id = (select private.own_client_id())
        or owner_id = (select auth.uid())
        or (select public.is_admin())
    );
create policy "administrators insert" on public.documents
    for insert to authenticated with check ((select public.is_admin()));
create policy "administrators update" on public.documents
    for update to authenticated using ((select public.is_admin())) with check ((select public.is_admin()));
create policy "administrators delete" on public.documents
    for delete to authenticated using ((select public.is_admin()));

-- Status --------------------------------------------------------------------------------------------------------------

create function public.system_status() returns jsonb
language plpgsql
stable
security definer -- counts rows past their policies, reads the schedules; require_admin() keeps everybody else out
set search_path = ''
as $$
begin
    perform private.require_admin();
    return jsonb_build_object(
        'content', (
            select jsonb_agg(to_jsonb(c) order by c."table")
            from (
                select 'faq_items' as "table", count(*) as rows, count(*) filter (where is_published) as published
                from public.faq_items
                union all
                select 'documents', count(*), count(*) filter (where is_published)
                from public.documents
            ) as c
        ),
        'schedules', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'name', j.jobname,
                'schedule', j.schedule,
                'active', j.active,
                'last_start', r.start_time,
                'last_status', r.status
            ) order by j.jobname), '[]')
            from cron.job as j
            left join lateral (
                select d.start_time, d.status
                from cron.job_run_details as d
                where d.jobid = j.jobid
                order by d.runid desc
                limit 1
            ) as r on true
            where j.jobname like 'accord-%'
        ),
        'alerts', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'kind', a.kind,
                'subject', a.subject,
                'message', a.message,
                'count', a.count,
                'first_seen_at', a.first_seen_at,
                'last_seen_at', a.last_seen_at
            ) order by a.last_seen_at desc), '[]')
            from public.alerts as a
            where a.resolved_at is null
        )
    );
end
$$;
comment on function public.system_status() is 'The house at a glance: content, schedules and open alerts.';
revoke all on function public.system_status() from public, anon, authenticated;
grant execute on function public.system_status() to authenticated, service_role;

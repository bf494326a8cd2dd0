-- Who may call what, and with whose rights it runs. A new function fails here as missing until somebody has decided on
-- it; one that a team leaves out is not missed.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(4);

create temporary view functions as
select
    format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
    p.prosecdef as runs_as_owner,
    p.proconfig as settings,
    coalesce((
        select string_agg(case a.grantee when 0 then 'everybody' else a.grantee::regrole::text end, ', ' order by a.grantee::regrole::text)
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where a.grantee <> p.proowner and a.privilege_type = 'EXECUTE'
    ), 'nobody') as callers
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname in ('public', 'private');

select set_has(
    $$values
        ('private.call_edge_function(function_name text, body jsonb)', 'nobody'),
        ('private.define_setting(name text, default_value jsonb, description text, kind text, minimum numeric, maximum numeric, choices text[])', 'nobody'),
        ('private.fits_setting(value jsonb, kind text, minimum numeric, maximum numeric, choices text[])', 'nobody'),
        ('private.foundation_health()', 'nobody'),
        ('private.housekeeping()', 'nobody'),
        ('private.own_client_id()', 'anon, authenticated, service_role'),
        ('private.raise_alert(kind text, subject text, message text)', 'service_role'),
        ('private.require_admin()', 'service_role'),
        ('private.resolve_alert(kind text, subject text)', 'service_role'),
        ('private.setting(name text)', 'service_role'),
        ('private.touch_updated_at()', 'nobody'),
        ('private.vault_secret(name text)', 'nobody'),
        ('public.get_settings()', 'authenticated, service_role'),
        ('public.health_checks(key_fingerprints jsonb)', 'authenticated, service_role'),
        ('public.is_admin()', 'anon, authenticated, service_role'),
        ('public.set_setting(name text, value jsonb)', 'authenticated, service_role'),
        ('public.system_status()', 'authenticated, service_role')
    $$,
    'select signature, callers from functions',
    'each function may be called by those it is meant for and nobody else'
);

select set_has(
    $$values
        ('private.call_edge_function(function_name text, body jsonb)'),
        ('private.foundation_health()'),
        ('private.raise_alert(kind text, subject text, message text)'),
        ('private.resolve_alert(kind text, subject text)'),
        ('private.setting(name text)'),
        ('private.vault_secret(name text)'),
        ('public.get_settings()'),
        ('public.health_checks(key_fingerprints jsonb)'),
        ('public.set_setting(name text, value jsonb)'),
        ('public.system_status()')
    $$,
    'select signature from functions where runs_as_owner',
    'no function runs with its owner''s rights but those that say why'
);

select is_empty(
    $$select signature from functions where 'search_path=""' <> all (coalesce(settings, '{}'))$$,
    'every function has an empty search_path'
);

select is_empty(
    $$
        select signature
        from functions
        where runs_as_owner and signature like 'public.%' and callers ~ '\y(anon|everybody)\y'
    $$,
    'no visitor reaches a function that runs with its owner''s rights'
);

select * from finish();
rollback;

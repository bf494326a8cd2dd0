-- Who may call what, and with whose rights it runs. A new function fails here as missing until somebody has decided on
-- it; one that a team leaves out is not missed.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(4);

create temporary view functions as
select
    -- The triggers of a source are made when it is registered; they are all alike.
    format(
        '%s.%s(%s)',
        n.nspname,
        regexp_replace(p.proname, '^embed_\w+_(insert|update|delete|truncate)$', 'embed_…_\1'),
        pg_get_function_identity_arguments(p.oid)
    ) as signature,
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
        ('private.active_profile()', 'anon, authenticated, service_role'),
        ('private.alert_delivery_health()', 'nobody'),
        ('private.alert_message(alert alerts)', 'nobody'),
        ('private.alert_webhook_url()', 'nobody'),
        ('private.apply_embedding_wake()', 'nobody'),
        ('private.call_edge_function(function_name text, body jsonb)', 'nobody'),
        ('private.claim(queue regclass, batch integer, lease interval, retry_limit integer)', 'nobody'),
        ('private.counted_columns(source private.embedding_sources)', 'nobody'),
        ('private.create_source_triggers(source private.embedding_sources, counted name[])', 'nobody'),
        ('private.define_setting(name text, default_value jsonb, description text, kind text, minimum numeric, maximum numeric, choices text[])', 'nobody'),
        ('private.deliver_alerts()', 'nobody'),
        ('private.differs(relation regclass, columns name[])', 'nobody'),
        ('private.dispatch_embeddings()', 'nobody'),
        ('private.drop_source_triggers(relation regclass)', 'nobody'),
        ('private.eligible(tokens uuid[])', 'nobody'),
        ('private.embed_…_delete()', 'nobody'),
        ('private.embed_…_insert()', 'nobody'),
        ('private.embed_…_truncate()', 'nobody'),
        ('private.embed_…_update()', 'nobody'),
        ('private.embeddings_health()', 'nobody'),
        ('private.enqueue_embeddings(source_table text, source_ids text[], action text, content text)', 'nobody'),
        ('private.enqueue_source(source_table text)', 'nobody'),
        ('private.enqueue_statement(source_table text, ids text, action text, content text, are_unknown boolean)', 'nobody'),
        ('private.fail(queue regclass, held uuid[], messages text[], retry_limit integer, first_delay interval)', 'nobody'),
        ('private.fits_setting(value jsonb, kind text, minimum numeric, maximum numeric, choices text[])', 'nobody'),
        ('private.foundation_health()', 'nobody'),
        ('private.give_back(queue regclass, held uuid[], delay interval)', 'nobody'),
        ('private.has_due_embeddings()', 'nobody'),
        ('private.hold(queue regclass, tokens uuid[])', 'nobody'),
        ('private.housekeeping()', 'nobody'),
        ('private.name_of(relation regclass)', 'anon, authenticated, service_role'),
        ('private.nearest_embeddings(query halfvec, profile text, dimensions integer, wanted integer, sources text[])', 'anon, authenticated, service_role'),
        ('private.own_client_id()', 'anon, authenticated, service_role'),
        ('private.raise_alert(kind text, subject text, message text)', 'service_role'),
        ('private.require_admin()', 'service_role'),
        ('private.require_source(source_table text)', 'nobody'),
        ('private.resolve_alert(kind text, subject text)', 'service_role'),
        ('private.searchable_source(source_table text)', 'anon, authenticated, service_role'),
        ('private.send_alert(alert alerts)', 'nobody'),
        ('private.send_new_alert()', 'nobody'),
        ('private.setting(name text)', 'service_role'),
        ('private.settle(queue regclass, held uuid[])', 'nobody'),
        ('private.source_key(source private.embedding_sources, record text)', 'anon, authenticated, service_role'),
        ('private.source_match(source private.embedding_sources, id text)', 'anon, authenticated, service_role'),
        ('private.touch_updated_at()', 'nobody'),
        ('private.use_embedding_profile(profile text, dimensions integer)', 'nobody'),
        ('private.vault_secret(name text)', 'nobody'),
        ('private.wake_at_commit()', 'nobody'),
        ('private.wish_for_worker()', 'nobody'),
        ('public.claim_embedding_jobs(batch_size integer, profile text, dimensions integer)', 'service_role'),
        ('public.clean_up_embedding_queue()', 'authenticated, service_role'),
        ('public.due_embedding_jobs()', 'service_role'),
        ('public.enqueue_embedding(source_table text, source_id text, content text)', 'authenticated, service_role'),
        ('public.fail_embedding_jobs(failures jsonb)', 'service_role'),
        ('public.finish_embedding_jobs(profile text, results jsonb)', 'service_role'),
        ('public.get_settings()', 'authenticated, service_role'),
        ('public.health_checks(key_fingerprints jsonb)', 'authenticated, service_role'),
        ('public.is_admin()', 'anon, authenticated, service_role'),
        ('public.read_embedding_jobs(tokens uuid[], profile text)', 'service_role'),
        ('public.register_embedding_source(source regclass, content text, published text)', 'nobody'),
        ('public.release_embedding_jobs(tokens uuid[], delay_seconds integer)', 'service_role'),
        ('public.resync_embeddings(source_table text)', 'authenticated, service_role'),
        ('public.retry_failed_embeddings(source_table text)', 'authenticated, service_role'),
        ('public.search_documentation(query_embedding text, profile text, match_count integer, sources text[])', 'anon, authenticated, service_role'),
        ('public.set_setting(name text, value jsonb)', 'authenticated, service_role'),
        ('public.stuck_embedding_jobs()', 'authenticated, service_role'),
        ('public.system_status()', 'authenticated, service_role'),
        ('public.unregister_embedding_source(source regclass)', 'nobody'),
        ('public.wake_embedding_worker()', 'service_role')
    $$,
    'select signature, callers from functions',
    'each function may be called by those it is meant for and nobody else'
);

select set_has(
    $$values
        ('private.active_profile()'),
        ('private.alert_delivery_health()'),
        ('private.call_edge_function(function_name text, body jsonb)'),
        ('private.embed_…_delete()'),
        ('private.embed_…_insert()'),
        ('private.embed_…_truncate()'),
        ('private.embed_…_update()'),
        ('private.embeddings_health()'),
        ('private.enqueue_embeddings(source_table text, source_ids text[], action text, content text)'),
        ('private.enqueue_source(source_table text)'),
        ('private.foundation_health()'),
        ('private.nearest_embeddings(query halfvec, profile text, dimensions integer, wanted integer, sources text[])'),
        ('private.raise_alert(kind text, subject text, message text)'),
        ('private.resolve_alert(kind text, subject text)'),
        ('private.searchable_source(source_table text)'),
        ('private.send_new_alert()'),
        ('private.setting(name text)'),
        ('private.use_embedding_profile(profile text, dimensions integer)'),
        ('private.vault_secret(name text)'),
        ('private.wake_at_commit()'),
        ('public.claim_embedding_jobs(batch_size integer, profile text, dimensions integer)'),
        ('public.clean_up_embedding_queue()'),
        ('public.due_embedding_jobs()'),
        ('public.enqueue_embedding(source_table text, source_id text, content text)'),
        ('public.fail_embedding_jobs(failures jsonb)'),
        ('public.finish_embedding_jobs(profile text, results jsonb)'),
        ('public.get_settings()'),
        ('public.health_checks(key_fingerprints jsonb)'),
        ('public.read_embedding_jobs(tokens uuid[], profile text)'),
        ('public.release_embedding_jobs(tokens uuid[], delay_seconds integer)'),
        ('public.resync_embeddings(source_table text)'),
        ('public.retry_failed_embeddings(source_table text)'),
        ('public.set_setting(name text, value jsonb)'),
        ('public.stuck_embedding_jobs()'),
        ('public.system_status()'),
        ('public.wake_embedding_worker()')
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

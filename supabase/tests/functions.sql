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
        ('private.add_embedding_costs(profile text, entries jsonb)', 'nobody'),
        ('private.admit_worker(worker uuid)', 'nobody'),
        ('private.advance_backfill(source_table text, batch integer)', 'nobody'),
        ('private.advance_backfills()', 'nobody'),
        ('private.advance_profiles()', 'nobody'),
        ('private.alert_delivery_health()', 'nobody'),
        ('private.alert_message(alert alerts)', 'nobody'),
        ('private.alert_webhook_url()', 'nobody'),
        ('private.apply_embedding_wake()', 'nobody'),
        ('private.begin_backfill(source_table text)', 'nobody'),
        ('private.call_edge_function(function_name text, body jsonb)', 'nobody'),
        ('private.claim(queue regclass, batch integer, lease interval, retry_limit integer, least_urgent integer)', 'nobody'),
        ('private.claim_embeddings(batch integer, least_urgent integer)', 'nobody'),
        ('private.columns_of_templates()', 'nobody'),
        ('private.count_eligible(source_table text)', 'authenticated, service_role'),
        ('private.count_embedded(source_table text, profile text)', 'authenticated, service_role'),
        ('private.counted_columns(source private.embedding_sources)', 'nobody'),
        ('private.create_profile(made private.embedding_profiles)', 'nobody'),
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
        ('private.embedding_budgets()', 'nobody'),
        ('private.embedding_problems(profile text, only_source text)', 'nobody'),
        ('private.embeddings_health()', 'nobody'),
        ('private.enqueue_embeddings(source_table text, source_ids text[], action text, content text, priority integer)', 'nobody'),
        ('private.enqueue_statement(source_table text, ids text, action text, content text, priority text, are_unknown boolean)', 'nobody'),
        ('private.fail(queue regclass, held uuid[], messages text[], retry_limit integer, first_delay interval)', 'nobody'),
        ('private.fail_embeddings(failures jsonb)', 'nobody'),
        ('private.fields_sql(columns text[])', 'nobody'),
        ('private.fingerprint_sql(recipe text, fields text, content text)', 'nobody'),
        ('private.fits_setting(value jsonb, kind text, minimum numeric, maximum numeric, choices text[])', 'nobody'),
        ('private.forget_dropped_sources()', 'nobody'),
        ('private.forget_source(source_table text)', 'nobody'),
        ('private.foundation_health()', 'nobody'),
        ('private.give_back(queue regclass, held uuid[], delay interval)', 'nobody'),
        ('private.has_due_embeddings()', 'nobody'),
        ('private.has_nearest_index(profile text)', 'authenticated, service_role'),
        ('private.hold(queue regclass, tokens uuid[])', 'nobody'),
        ('private.housekeeping()', 'nobody'),
        ('private.index_profile(profile private.embedding_profiles)', 'nobody'),
        ('private.is_large(profile text)', 'nobody'),
        ('private.least_urgent_affordable()', 'nobody'),
        ('private.lock_profiles()', 'nobody'),
        ('private.name_of(relation regclass)', 'anon, authenticated, service_role'),
        ('private.nearest_embeddings(query halfvec, profile text, dimensions integer, wanted integer, sources text[])', 'anon, authenticated, service_role'),
        ('private.own_client_id()', 'anon, authenticated, service_role'),
        ('private.partition_of(profile text)', 'authenticated, service_role'),
        ('private.raise_alert(kind text, subject text, message text)', 'service_role'),
        ('private.recipe_sql(source private.embedding_sources, profile_alias text)', 'nobody'),
        ('private.require_admin()', 'service_role'),
        ('private.require_columns(relation regclass, columns text[], template text)', 'nobody'),
        ('private.require_profile(name text)', 'nobody'),
        ('private.require_source(source_table text)', 'nobody'),
        ('private.require_template_columns(relation regclass)', 'nobody'),
        ('private.resolve_alert(kind text, subject text)', 'service_role'),
        ('private.resync(profile text, only_source text)', 'nobody'),
        ('private.resume_provider(provider text, known_failures integer)', 'nobody'),
        ('private.rewrites_updates(relation regclass)', 'nobody'),
        ('private.running_workers()', 'nobody'),
        ('private.searchable_source(source_table text)', 'anon, authenticated, service_role'),
        ('private.send_alert(alert alerts)', 'nobody'),
        ('private.send_new_alert()', 'nobody'),
        ('private.set_alert(is_raised boolean, kind text, message text)', 'nobody'),
        ('private.setting(name text)', 'service_role'),
        ('private.settle(queue regclass, held uuid[])', 'nobody'),
        ('private.source_key(source private.embedding_sources, record text)', 'anon, authenticated, service_role'),
        ('private.source_key_values(source private.embedding_sources, id text)', 'nobody'),
        ('private.source_match(source private.embedding_sources, id text)', 'anon, authenticated, service_role'),
        ('private.switch_profile(name text)', 'nobody'),
        ('private.template_columns(template text)', 'nobody'),
        ('private.touch_updated_at()', 'nobody'),
        ('private.use_default_profile(wanted jsonb)', 'nobody'),
        ('private.vault_secret(name text)', 'nobody'),
        ('private.verify_and_resync()', 'nobody'),
        ('private.wake_at_commit()', 'nobody'),
        ('private.watch_embedding_budgets()', 'nobody'),
        ('private.watch_embeddings()', 'nobody'),
        ('private.watch_schedule()', 'nobody'),
        ('private.wish_for_worker()', 'nobody'),
        ('public.account_embedding_usage(profile text, known_failures integer, entries jsonb, has_answered boolean)', 'service_role'),
        ('public.activate_embedding_profile(name text, force boolean)', 'authenticated, service_role'),
        ('public.claim_embedding_jobs(worker uuid, batch_size integer, default_profile jsonb)', 'service_role'),
        ('public.clean_up_embedding_queue()', 'authenticated, service_role'),
        ('public.end_embedding_worker(worker uuid, goes_on boolean)', 'service_role'),
        ('public.embedding_spending()', 'authenticated, service_role'),
        ('public.enqueue_embedding(source_table text, source_id text, content text)', 'authenticated, service_role'),
        ('public.finish_embedding_jobs(results jsonb)', 'service_role'),
        ('public.get_settings()', 'authenticated, service_role'),
        ('public.health_checks(key_fingerprints jsonb)', 'authenticated, service_role'),
        ('public.is_admin()', 'anon, authenticated, service_role'),
        ('public.known_embeddings(profile text, hashes text[])', 'service_role'),
        ('public.pause_embedding_provider(provider text, message text, seconds numeric)', 'service_role'),
        ('public.prepare_embedding_profile(name text, provider text, model text, dimensions integer, chunk_tokens integer, chunk_overlap integer, template text, usd_per_million_tokens numeric)', 'authenticated, service_role'),
        ('public.read_embedding_jobs(tokens uuid[])', 'service_role'),
        ('public.register_embedding_source(source regclass, content text, published text, chunk_tokens integer, chunk_overlap integer)', 'nobody'),
        ('public.release_embedding_jobs(tokens uuid[], delay_seconds integer)', 'service_role'),
        ('public.resync_embeddings(source_table text)', 'authenticated, service_role'),
        ('public.retire_embedding_profile(name text)', 'authenticated, service_role'),
        ('public.retry_failed_embeddings(source_table text)', 'authenticated, service_role'),
        ('public.rollback_embedding_profile()', 'authenticated, service_role'),
        ('public.search_documentation(query_embedding text, profile text, match_count integer, sources text[])', 'anon, authenticated, service_role'),
        ('public.search_profile()', 'anon, authenticated, service_role'),
        ('public.set_setting(name text, value jsonb)', 'authenticated, service_role'),
        ('public.stock_embeddings(profile text, chunks jsonb)', 'service_role'),
        ('public.stuck_embedding_jobs()', 'authenticated, service_role'),
        ('public.system_status()', 'authenticated, service_role'),
        ('public.take_embedding_rate(provider text, known_failures integer, tokens integer)', 'service_role'),
        ('public.unregister_embedding_source(source regclass)', 'nobody'),
        ('public.verify_embeddings(only_source text)', 'authenticated, service_role')
    $$,
    'select signature, callers from functions',
    'each function may be called by those it is meant for and nobody else'
);

select set_has(
    $$values
        ('private.active_profile()'),
        ('private.advance_backfill(source_table text, batch integer)'),
        ('private.advance_profiles()'),
        ('private.alert_delivery_health()'),
        ('private.call_edge_function(function_name text, body jsonb)'),
        ('private.count_eligible(source_table text)'),
        ('private.count_embedded(source_table text, profile text)'),
        ('private.embed_…_delete()'),
        ('private.embed_…_insert()'),
        ('private.embed_…_truncate()'),
        ('private.embed_…_update()'),
        ('private.embedding_problems(profile text, only_source text)'),
        ('private.embeddings_health()'),
        ('private.enqueue_embeddings(source_table text, source_ids text[], action text, content text, priority integer)'),
        ('private.foundation_health()'),
        ('private.nearest_embeddings(query halfvec, profile text, dimensions integer, wanted integer, sources text[])'),
        ('private.raise_alert(kind text, subject text, message text)'),
        ('private.resolve_alert(kind text, subject text)'),
        ('private.searchable_source(source_table text)'),
        ('private.send_new_alert()'),
        ('private.setting(name text)'),
        ('private.use_default_profile(wanted jsonb)'),
        ('private.vault_secret(name text)'),
        ('private.wake_at_commit()'),
        ('public.account_embedding_usage(profile text, known_failures integer, entries jsonb, has_answered boolean)'),
        ('public.activate_embedding_profile(name text, force boolean)'),
        ('public.claim_embedding_jobs(worker uuid, batch_size integer, default_profile jsonb)'),
        ('public.clean_up_embedding_queue()'),
        ('public.end_embedding_worker(worker uuid, goes_on boolean)'),
        ('public.embedding_spending()'),
        ('public.enqueue_embedding(source_table text, source_id text, content text)'),
        ('public.finish_embedding_jobs(results jsonb)'),
        ('public.get_settings()'),
        ('public.health_checks(key_fingerprints jsonb)'),
        ('public.known_embeddings(profile text, hashes text[])'),
        ('public.pause_embedding_provider(provider text, message text, seconds numeric)'),
        ('public.prepare_embedding_profile(name text, provider text, model text, dimensions integer, chunk_tokens integer, chunk_overlap integer, template text, usd_per_million_tokens numeric)'),
        ('public.read_embedding_jobs(tokens uuid[])'),
        ('public.release_embedding_jobs(tokens uuid[], delay_seconds integer)'),
        ('public.resync_embeddings(source_table text)'),
        ('public.retire_embedding_profile(name text)'),
        ('public.retry_failed_embeddings(source_table text)'),
        ('public.rollback_embedding_profile()'),
        ('public.set_setting(name text, value jsonb)'),
        ('public.stock_embeddings(profile text, chunks jsonb)'),
        ('public.stuck_embedding_jobs()'),
        ('public.system_status()'),
        ('public.take_embedding_rate(provider text, known_failures integer, tokens integer)'),
        ('public.verify_embeddings(only_source text)')
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

-- Who may do what with tables, views and sequences. A new one fails here as missing until somebody has decided on it;
-- one that a team leaves out is not missed.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(6);

create temporary view grants as
select
    c.oid,
    format('%s.%s', n.nspname, c.relname) as object,
    coalesce(g.grants, 'nobody') as grants
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join lateral (
    select string_agg(format('%s: %s', role, privileges), '; ' order by role) as grants
    from (
        select
            case a.grantee when 0 then 'everybody' else a.grantee::regrole::text end as role,
            string_agg(lower(a.privilege_type), ', ' order by a.privilege_type) as privileges
        from aclexplode(c.relacl) as a
        where a.grantee <> c.relowner
        group by a.grantee
    ) as by_role
) as g on true
-- A partition belongs to its table.
where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not c.relispartition;

select set_has(
    $$values
        ('private.alert_deliveries', 'nobody'),
        ('private.bucket_syncs', 'nobody'),
        ('private.coherence_checks', 'nobody'),
        ('private.dated_objects', 'nobody'),
        ('private.eligible_objects', 'nobody'),
        ('private.embedded_rows', 'nobody'),
        ('private.embedding_backfills', 'authenticated: select; service_role: select'),
        ('private.embedding_default', 'nobody'),
        ('private.embedding_profiles', 'authenticated: select; service_role: select'),
        ('private.embedding_profiles', 'nobody'),
        ('private.embedding_providers', 'nobody'),
        ('private.embedding_sources', 'authenticated: select; service_role: select'),
        ('private.embedding_stock', 'nobody'),
        ('private.file_parts', 'nobody'),
        ('private.lease', 'nobody'),
        ('private.missed_objects', 'nobody'),
        ('private.present_sources', 'nobody'),
        ('private.seen_orphans', 'nobody'),
        ('private.settings', 'service_role: select'),
        ('private.watched_buckets', 'authenticated: select; service_role: select'),
        ('private.worker_kinds', 'nobody'),
        ('private.worker_wishes', 'nobody'),
        ('private.workers', 'nobody'),
        ('public.alerts', 'authenticated: select; service_role: delete, insert, select, update'),
        ('public.alerts_id_seq', 'nobody'),
        ('public.coherence_history', 'authenticated: select; service_role: select'),
        ('public.coherence_history_id_seq', 'nobody'),
        ('public.documentation_embeddings', 'authenticated: select; service_role: select'),
        ('public.documents', 'anon: select; authenticated: delete, insert, select, update; service_role: delete, insert, select, update'),
        ('public.embedding_costs', 'authenticated: select; service_role: select'),
        ('public.embedding_profile_status', 'authenticated: select; service_role: select'),
        ('public.embedding_sync_queue', 'authenticated: select; service_role: select'),
        ('public.embedding_sync_status', 'authenticated: select; service_role: select'),
        ('public.faq_items', 'anon: select; authenticated: delete, insert, select, update; service_role: delete, insert, select, update'),
        ('public.files_queue', 'authenticated: select; service_role: select'),
        ('public.files_sync_status', 'authenticated: select; service_role: select')
    $$,
    'select object, grants from grants',
    'each table, view and sequence is granted to those it is meant for and nobody else'
);

select set_has(
    $$values ('public.alerts.resolved_at', 'authenticated: update')$$,
    $$
        select format('%s.%s', g.object, a.attname) as object, format('%s: %s', x.grantee::regrole, lower(x.privilege_type)) as grants
        from grants as g
        join pg_catalog.pg_attribute as a on a.attrelid = g.oid
        cross join aclexplode(a.attacl) as x
    $$,
    'no single column is granted but the one that resolves an alert'
);

select is_empty(
    $$select object from grants join pg_catalog.pg_class as c using (oid) where c.relkind in ('r', 'p') and not c.relrowsecurity$$,
    'row-level security is enabled on every table'
);

select is_empty(
    $$
        select object
        from grants
        join pg_catalog.pg_class as c using (oid)
        where c.relkind = 'v' and 'security_invoker=true' <> all (coalesce(c.reloptions, '{}'))
    $$,
    'no view shows rows that its reader could not see'
);

select set_has(
    $$values
        ('private.embedding_backfills', 'administrators read backfills', 'select', 'authenticated', 'PERMISSIVE'),
        ('private.embedding_profiles', 'administrators read profiles', 'select', 'authenticated', 'PERMISSIVE'),
        ('private.embedding_sources', 'administrators read sources', 'select', 'authenticated', 'PERMISSIVE'),
        ('private.watched_buckets', 'administrators read watched buckets', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.alerts', 'administrators read alerts', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.alerts', 'administrators resolve alerts', 'update', 'authenticated', 'PERMISSIVE'),
        ('public.coherence_history', 'administrators read the history', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.documentation_embeddings', 'administrators read embeddings', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.documents', 'administrators delete', 'delete', 'authenticated', 'PERMISSIVE'),
        ('public.documents', 'administrators insert', 'insert', 'authenticated', 'PERMISSIVE'),
        ('public.documents', 'administrators update', 'update', 'authenticated', 'PERMISSIVE'),
        ('public.documents', 'each reads what is theirs, anyone what is public', 'select', 'anon, authenticated', 'PERMISSIVE'),
        ('public.embedding_costs', 'administrators read costs', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.embedding_sync_queue', 'administrators read the queue', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.files_queue', 'administrators read the queue', 'select', 'authenticated', 'PERMISSIVE'),
        ('public.faq_items', 'administrators delete', 'delete', 'authenticated', 'PERMISSIVE'),
        ('public.faq_items', 'administrators insert', 'insert', 'authenticated', 'PERMISSIVE'),
        ('public.faq_items', 'administrators update', 'update', 'authenticated', 'PERMISSIVE'),
        ('public.faq_items', 'anyone reads what is published', 'select', 'anon, authenticated', 'PERMISSIVE')
    $$,
    $$
        select
            format('%s.%s', schemaname, tablename) as object,
            policyname::text as name, lower(cmd) as verb, array_to_string(roles, ', ') as roles, permissive
        from pg_catalog.pg_policies
        where schemaname in ('public', 'private')
    $$,
    'each policy is one that somebody has decided on'
);

select set_has(
    $$values ('anon: usage'), ('authenticated: usage'), ('service_role: usage')$$,
    $$
        select format('%s: %s', case a.grantee when 0 then 'everybody' else a.grantee::regrole::text end, lower(a.privilege_type))
        from pg_catalog.pg_namespace as n
        cross join aclexplode(n.nspacl) as a
        where n.nspname = 'private' and a.grantee <> n.nspowner
    $$,
    'callers of the API may name what is in private and make nothing there'
);

select * from finish();
rollback;

-- The part of Supabase's auth schema that sign-in needs, as GoTrue's migrations leave it on the platform.
-- Where auth.users exists already, GoTrue (or an earlier start) owns the schema and nothing here is touched.
do $bootstrap$
begin
    if to_regclass('auth.users') is not null then
        return;
    end if;

    create schema if not exists auth authorization supabase_admin;
    grant usage on schema auth to anon, authenticated, service_role, postgres;
    grant all on schema auth to supabase_auth_admin, dashboard_user;

    -- GoTrue hashes passwords itself; here pgcrypto does it.
    grant usage on schema extensions to supabase_auth_admin;

    create table auth.users (
        instance_id uuid,
        id uuid primary key,
        aud varchar(255),
        role varchar(255),
        email varchar(255),
        encrypted_password varchar(255),
        email_confirmed_at timestamptz,
        invited_at timestamptz,
        confirmation_token varchar(255),
        confirmation_sent_at timestamptz,
        recovery_token varchar(255),
        recovery_sent_at timestamptz,
        email_change_token_new varchar(255),
        email_change varchar(255),
        email_change_sent_at timestamptz,
        last_sign_in_at timestamptz,
        raw_app_meta_data jsonb,
        raw_user_meta_data jsonb,
        is_super_admin boolean,
        created_at timestamptz,
        updated_at timestamptz,
        phone text default null unique,
        phone_confirmed_at timestamptz,
        phone_change text default '',
        phone_change_token varchar(255) default '',
        phone_change_sent_at timestamptz,
        confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
        email_change_token_current varchar(255) default '',
        email_change_confirm_status smallint default 0 check (email_change_confirm_status between 0 and 2),
        banned_until timestamptz,
        reauthentication_token varchar(255) default '',
        reauthentication_sent_at timestamptz,
        is_sso_user boolean not null default false,
        deleted_at timestamptz,
        is_anonymous boolean not null default false
    );
    comment on table auth.users is 'Auth: Stores user login data within a secure schema.';

    create unique index users_email_partial_key on auth.users (email) where (is_sso_user = false);
    create index users_instance_id_email_idx on auth.users (instance_id, lower(email::text));
    create index users_instance_id_idx on auth.users (instance_id);
    create index users_is_anonymous_idx on auth.users (is_anonymous);

    create table auth.identities (
        provider_id text not null,
        user_id uuid not null references auth.users (id) on delete cascade,
        identity_data jsonb not null,
        provider text not null,
        last_sign_in_at timestamptz,
        created_at timestamptz,
        updated_at timestamptz,
        email text generated always as (lower(identity_data ->> 'email')) stored,
        id uuid primary key default gen_random_uuid(),
        constraint identities_provider_id_provider_unique unique (provider_id, provider)
    );
    comment on table auth.identities is 'Auth: Stores identities associated to a user.';

    create index identities_email_idx on auth.identities (email text_pattern_ops);
    create index identities_user_id_idx on auth.identities (user_id);

    create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');

    create table auth.sessions (
        id uuid primary key,
        user_id uuid not null references auth.users (id) on delete cascade,
        created_at timestamptz,
        updated_at timestamptz,
        factor_id uuid,
        aal auth.aal_level,
        not_after timestamptz,
        refreshed_at timestamp,
        user_agent text,
        ip inet,
        tag text,
        oauth_client_id uuid,
        refresh_token_hmac_key text,
        refresh_token_counter bigint,
        scopes text check (char_length(scopes) <= 4096)
    );
    comment on table auth.sessions is 'Auth: Stores session data associated to a user.';
    comment on column auth.sessions.refreshed_at is 'In UTC, without saying so.';

    create index sessions_user_id_idx on auth.sessions (user_id);
    create index sessions_not_after_idx on auth.sessions (not_after desc);

    create table auth.mfa_amr_claims (
        session_id uuid not null references auth.sessions (id) on delete cascade,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        authentication_method text not null,
        id uuid primary key,
        constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
    );
    comment on table auth.mfa_amr_claims is
        'auth: stores authenticator method reference claims for multi factor authentication';

    create table auth.refresh_tokens (
        instance_id uuid,
        id bigserial primary key,
        token varchar(255) constraint refresh_tokens_token_unique unique,
        user_id varchar(255),
        revoked boolean,
        created_at timestamptz,
        updated_at timestamptz,
        parent varchar(255),
        session_id uuid references auth.sessions (id) on delete cascade
    );
    comment on table auth.refresh_tokens is 'Auth: Store of tokens used to refresh JWT tokens once they expire.';

    create index refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
    create index refresh_tokens_parent_idx on auth.refresh_tokens (parent);
    create index refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);

    alter table auth.users owner to supabase_auth_admin;
    alter table auth.identities owner to supabase_auth_admin;
    alter type auth.aal_level owner to supabase_auth_admin;
    alter table auth.sessions owner to supabase_auth_admin;
    alter table auth.mfa_amr_claims owner to supabase_auth_admin;
    alter table auth.refresh_tokens owner to supabase_auth_admin;

    -- No policies: the API roles see nothing even if someone grants them a table by mistake.
    alter table auth.users enable row level security;
    alter table auth.identities enable row level security;
    alter table auth.sessions enable row level security;
    alter table auth.mfa_amr_claims enable row level security;
    alter table auth.refresh_tokens enable row level security;

    grant all on all tables in schema auth to postgres, dashboard_user;
    grant select on all tables in schema auth to postgres with grant option;
    grant all on all sequences in schema auth to postgres, dashboard_user;

    create function auth.uid() returns uuid language sql stable as $function$
        select coalesce(
            nullif(current_setting('request.jwt.claim.sub', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
        )::uuid
    $function$;

    create function auth.role() returns text language sql stable as $function$
        select coalesce(
            nullif(current_setting('request.jwt.claim.role', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
        )
    $function$;

    create function auth.email() returns text language sql stable as $function$
        select coalesce(
            nullif(current_setting('request.jwt.claim.email', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
        )
    $function$;

    create function auth.jwt() returns jsonb language sql stable as $function$
        select coalesce(
            nullif(current_setting('request.jwt.claim', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')
        )::jsonb
    $function$;

    comment on function auth.uid() is 'Deprecated. Use auth.jwt() -> ''sub'' instead.';
    comment on function auth.role() is 'Deprecated. Use auth.jwt() -> ''role'' instead.';
    comment on function auth.email() is 'Deprecated. Use auth.jwt() -> ''email'' instead.';

    alter function auth.uid() owner to supabase_auth_admin;
    alter function auth.role() owner to supabase_auth_admin;
    alter function auth.email() owner to supabase_auth_admin;
    alter function auth.jwt() owner to supabase_auth_admin;
end
$bootstrap$;

-- What the worker may ask of a provider: whether it rests, how fast, and for how much money.

-- Pauses --------------------------------------------------------------------------------------------------------------

create table private.embedding_providers (
    provider text primary key,
    -- Failures as a whole since it last answered; the worker that answers for them names the number it knew.
    failures integer not null default 0,
    paused_until timestamptz,
    problem text,
    -- The budget that all workers share; it refills as time goes by.
    requests_left numeric,
    tokens_left numeric,
    refilled_at timestamptz
);
comment on table private.embedding_providers is 'The providers of embeddings as they are now: resting or not, and what may still be asked this minute.';
alter table private.embedding_providers enable row level security;

create function public.pause_embedding_provider(provider text, message text, seconds numeric default null) returns integer
language plpgsql
security definer -- the provider's state is written by nobody else
set search_path = ''
as $$
declare
    pause interval;
    known private.embedding_providers;
begin
    insert into private.embedding_providers as p (provider, failures) values (pause_embedding_provider.provider, 1)
    on conflict on constraint embedding_providers_pkey do update set failures = p.failures + 1
    returning * into known;
    -- As long as it asks for; else twice as long each time, with jitter, up to an hour.
    pause := make_interval(secs => coalesce(seconds, least(3600, 5 * 2 ^ least(known.failures - 1, 12)) * (0.5 + random() / 2))::double precision);
    update private.embedding_providers as p
    set paused_until = greatest(p.paused_until, clock_timestamp() + pause), problem = left(message, 1000)
    where p.provider = known.provider
    returning * into known;
    perform private.raise_alert('provider_paused', known.provider, message);
    -- Another worker may have been told to wait for longer.
    return ceil(extract(epoch from known.paused_until - clock_timestamp()))::integer;
end
$$;
comment on function public.pause_embedding_provider(text, text, numeric) is
    'A provider has failed as a whole: nobody asks it for a while, and no row is charged. Gives the seconds.';
revoke all on function public.pause_embedding_provider(text, text, numeric) from public, anon, authenticated;
grant execute on function public.pause_embedding_provider(text, text, numeric) to service_role;

create function private.resume_provider(provider text, known_failures integer) returns void
language plpgsql
set search_path = ''
as $$
begin
    -- An answer to a question from before its last failure says nothing.
    update private.embedding_providers as p
    set failures = 0, paused_until = null, problem = null
    where p.provider = resume_provider.provider and p.failures = known_failures and p.failures > 0;
    if found then
        perform private.resolve_alert('provider_paused', resume_provider.provider);
    end if;
end
$$;
revoke all on function private.resume_provider(text, integer) from public;

-- Rates ---------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'embedding_requests_per_minute', '3000', 'Requests that all workers together may send to a provider in a minute.', minimum => 1, maximum => 1000000
);
select private.define_setting(
    'embedding_tokens_per_minute', '1000000', 'Tokens that all workers together may send to a provider in a minute.', minimum => 1000, maximum => 1000000000
);

create function public.take_embedding_rate(provider text, known_failures integer, tokens integer) returns jsonb
language plpgsql
security definer -- as pause_embedding_provider()
set search_path = ''
as $$
declare
    -- A sixth of a minute's may be taken at once, five sixths refill in a minute: no minute sees more than its limit,
    -- unless by the one request that is larger than that sixth.
    requests_a_minute constant numeric := (private.setting('embedding_requests_per_minute') #>> '{}')::numeric;
    tokens_a_minute constant numeric := (private.setting('embedding_tokens_per_minute') #>> '{}')::numeric;
    known private.embedding_providers;
    passed numeric;
    wait numeric;
begin
    insert into private.embedding_providers (provider) values (take_embedding_rate.provider) on conflict do nothing;
    select p.* into known from private.embedding_providers as p where p.provider = take_embedding_rate.provider for update;
    if known.failures > known_failures then
        return jsonb_build_object('waitMs', 0, 'isPaused', true);
    end if;
    passed := coalesce(extract(epoch from clock_timestamp() - known.refilled_at), 60) / 60 * 5 / 6;
    known.requests_left := least(requests_a_minute / 6, coalesce(known.requests_left, 'Infinity') + passed * requests_a_minute);
    known.tokens_left := least(tokens_a_minute / 6, coalesce(known.tokens_left, 'Infinity') + passed * tokens_a_minute);
    -- A request larger than the whole of it goes when there is as much as there can be, and is paid off afterwards.
    wait := greatest(
        (least(1, requests_a_minute / 6) - known.requests_left) / requests_a_minute,
        (least(tokens, tokens_a_minute / 6) - known.tokens_left) / tokens_a_minute,
        0
    ) * 60 * 6 / 5;
    update private.embedding_providers as p
    set
        requests_left = known.requests_left - case when wait = 0 then 1 else 0 end,
        tokens_left = known.tokens_left - case when wait = 0 then tokens else 0 end,
        refilled_at = clock_timestamp()
    where p.provider = known.provider;
    return jsonb_build_object('waitMs', ceil(wait * 1000), 'isPaused', false);
end
$$;
comment on function public.take_embedding_rate(text, integer, integer) is
    'Asked before each request: how long to wait before asking again, 0 to go ahead; and whether the provider has failed meanwhile.';
revoke all on function public.take_embedding_rate(text, integer, integer) from public, anon, authenticated;
grant execute on function public.take_embedding_rate(text, integer, integer) to service_role;

-- Costs ---------------------------------------------------------------------------------------------------------------

select private.define_setting(
    'embedding_usd_per_million_tokens',
    '0',
    'The price of a million tokens, for models whose price is not known or not yours; 0: the price known for the model.',
    kind => 'number',
    minimum => 0,
    maximum => 10000
);
select private.define_setting(
    'embedding_daily_budget_usd', '0', 'What embeddings may cost in a day (UTC); 0: as much as they do.', kind => 'number', minimum => 0, maximum => 1000000
);
select private.define_setting(
    'embedding_monthly_budget_usd', '0', 'What embeddings may cost in a month (UTC); 0: as much as they do.', kind => 'number', minimum => 0, maximum => 10000000
);
select private.define_setting(
    'embedding_budget_backfill_percent',
    '90',
    'From this share of a budget on only edits are embedded; at all of it nothing is.',
    minimum => 1,
    maximum => 100
);

create table public.embedding_costs (
    day date not null default (now() at time zone 'UTC')::date,
    source_table text collate "C" not null,
    profile text collate "C" not null,
    requests bigint not null default 0,
    tokens bigint not null default 0,
    -- What was not sent: rows whose text was the same, chunks that were embedded before, edits that another edit overtook.
    tokens_saved_unchanged bigint not null default 0,
    tokens_saved_reused bigint not null default 0,
    tokens_saved_coalesced bigint not null default 0,
    cost_usd numeric not null default 0,
    primary key (day, source_table, profile)
);
comment on table public.embedding_costs is 'What embeddings cost and what was saved, by day, source and profile.';
alter table public.embedding_costs enable row level security;
grant select on public.embedding_costs to authenticated, service_role;
create policy "administrators read costs" on public.embedding_costs
    for select to authenticated using ((select public.is_admin()));

create function private.embedding_price(profile text) returns numeric
language sql
stable
set search_path = ''
as $$
    select coalesce(
        nullif((private.setting('embedding_usd_per_million_tokens') #>> '{}')::numeric, 0),
        (select p.usd_per_million_tokens from private.embedding_profiles as p where p.name = embedding_price.profile),
        -- One that was retired while a worker asked for it: what it cost before.
        (
            select c.cost_usd * 1000000 / c.tokens
            from public.embedding_costs as c
            where c.profile = embedding_price.profile and c.tokens > 0
            order by c.day desc, c.source_table
            limit 1
        ),
        0
    );
$$;
comment on function private.embedding_price(text) is 'What a million tokens cost in a profile, in USD.';
revoke all on function private.embedding_price(text) from public;

create function private.add_embedding_costs(profile text, entries jsonb) returns void
language sql
set search_path = ''
as $$
    -- In order, so that two workers cannot wait for each other.
    insert into public.embedding_costs as c (
        source_table, profile, requests, tokens, tokens_saved_unchanged, tokens_saved_reused, tokens_saved_coalesced, cost_usd
    )
    select
        e."sourceTable", add_embedding_costs.profile, sum(coalesce(e.requests, 0)), sum(coalesce(e.tokens, 0)), sum(coalesce(e.unchanged, 0)),
        sum(coalesce(e.reused, 0)), sum(coalesce(e.coalesced, 0)),
        sum(coalesce(e.tokens, 0)) / 1000000.0 * private.embedding_price(add_embedding_costs.profile)
    from jsonb_to_recordset(entries) as e (
        "sourceTable" text, requests bigint, tokens bigint, unchanged bigint, reused bigint, coalesced bigint
    )
    group by e."sourceTable"
    order by e."sourceTable"
    on conflict on constraint embedding_costs_pkey do update
    set
        requests = c.requests + excluded.requests,
        tokens = c.tokens + excluded.tokens,
        tokens_saved_unchanged = c.tokens_saved_unchanged + excluded.tokens_saved_unchanged,
        tokens_saved_reused = c.tokens_saved_reused + excluded.tokens_saved_reused,
        tokens_saved_coalesced = c.tokens_saved_coalesced + excluded.tokens_saved_coalesced,
        cost_usd = c.cost_usd + excluded.cost_usd;
$$;
revoke all on function private.add_embedding_costs(text, jsonb) from public;

create function public.account_embedding_usage(
    profile text, known_failures integer, entries jsonb, has_answered boolean
) returns void
language plpgsql
security definer -- the ledger is written by nobody else
set search_path = ''
as $$
begin
    perform private.add_embedding_costs(profile, entries);
    if has_answered then
        perform private.resume_provider(p.provider, known_failures)
        from private.embedding_profiles as p
        where p.name = profile;
    end if;
    perform private.watch_embedding_budgets();
end
$$;
comment on function public.account_embedding_usage(text, integer, jsonb, boolean) is
    'Writes down what was paid and saved, by source; a provider that has answered works again.';
revoke all on function public.account_embedding_usage(text, integer, jsonb, boolean) from public, anon, authenticated;
grant execute on function public.account_embedding_usage(text, integer, jsonb, boolean) to service_role;

create function private.embedding_budgets() returns table (period text, spent numeric, budget numeric)
language sql
stable
set search_path = ''
as $$
    select 'daily', coalesce(sum(c.cost_usd) filter (where c.day = today.day), 0), (private.setting('embedding_daily_budget_usd') #>> '{}')::numeric
    from (select (now() at time zone 'UTC')::date as day) as today
    left join public.embedding_costs as c on c.day = today.day
    union all
    select 'monthly', coalesce(sum(c.cost_usd), 0), (private.setting('embedding_monthly_budget_usd') #>> '{}')::numeric
    from (select (now() at time zone 'UTC')::date as day) as today
    left join public.embedding_costs as c on c.day >= date_trunc('month', today.day)::date;
$$;
comment on function private.embedding_budgets() is 'What was spent today and this month, and of what.';
revoke all on function private.embedding_budgets() from public;

create function private.least_urgent_affordable() returns integer
language sql
stable
set search_path = ''
as $$
    -- 1: everything; 0: edits alone; -1: nothing.
    select coalesce(min(case
        when b.spent >= b.budget then -1
        when b.spent * 100 >= b.budget * (private.setting('embedding_budget_backfill_percent') #>> '{}')::integer then 0
        else 1
    end), 1)
    from private.embedding_budgets() as b
    where b.budget > 0;
$$;
comment on function private.least_urgent_affordable() is 'The least urgent priority that the budgets still pay for.';
revoke all on function private.least_urgent_affordable() from public;

create function private.may_pay_for_question(profile text) returns boolean
language sql
stable
security definer -- yes or no, for whoever searches
set search_path = ''
as $$
    select private.embedding_price(may_pay_for_question.profile) = 0 or private.least_urgent_affordable() >= 0;
$$;
comment on function private.may_pay_for_question(text) is 'Whether the budgets still pay for the embedding of a question.';
revoke all on function private.may_pay_for_question(text) from public;
grant execute on function private.may_pay_for_question(text) to anon, authenticated, service_role;

create function private.watch_embedding_budgets() returns void
language plpgsql
set search_path = ''
as $$
declare
    told record;
begin
    -- Two problems, so that the second is heard of as well: with the first one a person has time, with the second none.
    for told in
        select
            b.period, b.spent, b.budget, watched.kind,
            b.budget > 0 and b.spent >= b.budget * watched.reaches and b.spent < b.budget * watched.below as is_so,
            exists (
                select from public.alerts as a where a.kind = watched.kind and a.subject = b.period and a.resolved_at is null
            ) as is_open
        from private.embedding_budgets() as b
        cross join (values ('embedding_budget', 0.8, 1.0), ('embedding_budget_spent', 1.0, 'Infinity'::numeric)) as watched (kind, reaches, below)
    loop
        -- Once, and not with each request.
        if told.is_so and not told.is_open then
            perform private.raise_alert(told.kind, told.period, format(
                'Embeddings have cost $%s of the %s budget of $%s%s. Raise the setting embedding_%s_budget_usd, or wait.',
                round(told.spent, 4), told.period, told.budget,
                case told.kind when 'embedding_budget_spent' then ': it is used up, and nothing is embedded' else '' end, told.period
            ));
        elsif told.is_open and not told.is_so then
            perform private.resolve_alert(told.kind, told.period);
        end if;
    end loop;
end
$$;
comment on function private.watch_embedding_budgets() is 'Raises an alert at four fifths of a budget and when it is used up; a new day or a larger budget resolves it.';
revoke all on function private.watch_embedding_budgets() from public;

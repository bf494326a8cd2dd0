-- Alert delivery: what needs a person reaches one.
--
-- An alert that is opened is sent to the webhook that Vault holds as `alert_webhook_url`, if it holds one: queued in the
-- transaction that opens it, sent by pg_net after the commit. pg_net sends at most once and forgets what it was doing in
-- a crash, so a schedule looks at what came of it and sends again, three times in all.
--
-- Whoever knows the URL can write to the team's channel. It is told nowhere: not by errors either, which may quote it.

create table private.alert_deliveries (
    alert_id bigint primary key references public.alerts (id) on delete cascade,
    attempts integer not null check (attempts > 0),
    attempted_at timestamptz not null,
    -- pg_net's, while its outcome is not known.
    request_id bigint,
    delivered_at timestamptz,
    -- What came of the last attempt whose outcome is known, null when it went well.
    problem text,
    constraint delivered_without_problem check (delivered_at is null or (problem is null and request_id is null))
);
comment on table private.alert_deliveries is 'Alerts that were sent, with what came of it. One that no webhook was there for has no row.';
alter table private.alert_deliveries enable row level security;

create function private.alert_webhook_url() returns text
language sql
stable
set search_path = ''
as $$
    -- Printable ASCII alone, and nothing that a URL has to encode: a placeholder in angle brackets is none.
    select url
    from private.vault_secret('alert_webhook_url') as url
    where url ~* '^https?://[a-z0-9[][!-~]*$' and url !~ '[<>"\\^`{|}]';
$$;
comment on function private.alert_webhook_url() is 'Where alerts are sent; null when it is not set or is no http or https URL. Granted to nobody.';
revoke all on function private.alert_webhook_url() from public;

create function private.alert_message(alert public.alerts) returns jsonb
language sql
stable
set search_path = ''
as $$
    select jsonb_build_object('text', concat_ws(
        E'\n',
        -- Slack reads these three as its own: unescaped, a message that quotes a user could ring a whole channel.
        replace(replace(replace(concat_ws(
            E'\n',
            alert.kind || coalesce(' (' || nullif(left(alert.subject, 200), '') || ')', ''),
            left(alert.message, 1000)
        ), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'),
        concat_ws(
            ' on ',
            'First seen ' || to_char(alert.first_seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC',
            substring(private.vault_secret('project_url') from '^https?://(?:[^/?#@]*@)?([^/?#@\s]+)')
        )
    ));
$$;
comment on function private.alert_message(public.alerts) is 'What is sent of an alert, as Slack and those that speak its language take it.';
revoke all on function private.alert_message(public.alerts) from public;

create function private.send_alert(alert public.alerts) returns void
language plpgsql
set search_path = ''
as $$
declare
    webhook_url text;
    queued_id bigint;
    refusal text;
begin
    begin
        webhook_url := private.alert_webhook_url();
        if webhook_url is null then
            return;
        end if;
        queued_id := net.http_post(
            url => webhook_url,
            body => private.alert_message(alert),
            headers => '{"Content-Type": "application/json"}',
            timeout_milliseconds => 5000
        );
    exception when others then
        -- No alert about it, which would have to be sent as well; and no word of the error, which may quote the URL.
        refusal := format('the request could not be queued (SQLSTATE %s)', sqlstate);
    end;

    insert into private.alert_deliveries as d (alert_id, attempts, attempted_at, request_id, problem)
    values (alert.id, 1, clock_timestamp(), queued_id, refusal)
    on conflict on constraint alert_deliveries_pkey do update
    set
        attempts = d.attempts + 1,
        attempted_at = excluded.attempted_at,
        request_id = excluded.request_id,
        -- What was known stays until more is known.
        problem = coalesce(excluded.problem, d.problem);
end
$$;
comment on function private.send_alert(public.alerts) is 'Asks pg_net to send an alert after this transaction commits, if there is a webhook; keeps account of the attempt.';
revoke all on function private.send_alert(public.alerts) from public;

create function private.send_new_alert() returns trigger
language plpgsql
security definer -- whoever opens an alert, Vault and pg_net are the owner's alone
set search_path = ''
as $$
begin
    perform private.send_alert(new);
    return null;
exception when others then
    -- The alert itself must stand, and so must the transaction that has it. deliver_alerts() will find it unsent.
    raise warning 'Alert % was not sent (SQLSTATE %)', new.id, sqlstate;
    return null;
end
$$;
revoke all on function private.send_new_alert() from public;

-- One that only counts up is an update, and nothing is sent.
create trigger alerts_send after insert on public.alerts
    for each row when (new.resolved_at is null) execute function private.send_new_alert();

create function private.deliver_alerts() returns void
language plpgsql
set search_path = ''
as $$
declare
    alert public.alerts;
begin
    -- Two at a time would send the same alert twice.
    perform pg_advisory_xact_lock(hashtextextended('accord alert delivery', 0));

    update private.alert_deliveries as d
    set
        delivered_at = case when r.status_code between 200 and 299 and r.timed_out is not true then r.created end,
        problem = case
            when r.timed_out then 'the receiver did not answer in time'
            when r.status_code between 200 and 299 then null
            when r.status_code is not null then format('the receiver answered %s', r.status_code)
            when r.id is not null then 'the receiver could not be reached'
            when waiting.id is not null then 'pg_net has not sent it yet'
            else 'no answer came within 10 minutes'
        end,
        -- What is still in the queue will be sent: it is waited for.
        request_id = case when r.id is null and waiting.id is not null then d.request_id end
    from private.alert_deliveries as sent
    -- pg_net's numbers begin anew after a crash: an answer that is older than the request is to another one.
    left join net._http_response as r on r.id = sent.request_id and r.created > sent.attempted_at - interval '1 minute'
    left join net.http_request_queue as waiting on waiting.id = sent.request_id
    where sent.alert_id = d.alert_id
        and sent.request_id is not null
        and (r.id is not null or sent.attempted_at < now() - interval '10 minutes');

    if private.alert_webhook_url() is null then
        return;
    end if;
    for alert in
        select a.*
        from public.alerts as a
        left join private.alert_deliveries as d on d.alert_id = a.id
        where a.resolved_at is null
            and case
                -- Opened while there was no webhook: setting one brings the news of the last hour, not the old ones.
                when d.alert_id is null then a.first_seen_at > now() - interval '1 hour'
                else d.delivered_at is null and d.request_id is null and d.attempts < 3
            end
        order by a.id
        -- Too many at once would time each other out; the rest comes with the next round.
        limit 50
    loop
        perform private.send_alert(alert);
    end loop;
end
$$;
comment on function private.deliver_alerts() is
    'Notes what came of alerts that were sent, and sends again what did not arrive, three times in all. Scheduled every five minutes.';
revoke all on function private.deliver_alerts() from public;

select cron.schedule('accord-alert-delivery', '*/5 * * * *', 'select private.deliver_alerts()');

create function private.alert_delivery_health() returns setof private.health_check
language sql
stable
security definer -- asks Vault whether there is a webhook, and looks into schedules and deliveries
set search_path = ''
as $$
    select s.* from private.schedule_health('accord-alert-delivery') as s

    union all

    select
        'alert delivery',
        told.state in ('not set', 'works'),
        case told.state
            when 'not set' then 'not set: alerts are only in the table'
            when 'no url' then 'alert_webhook_url in Vault is no http or https URL: nothing is sent'
            when 'works' then coalesce(
                'last delivered ' || to_char(told.delivered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC',
                'set; nothing delivered yet'
            )
            else format(
                'the last delivery failed: %s (attempt %s of 3); open alerts not delivered: %s',
                told.problem, told.attempts, told.undelivered
            )
        end,
        case told.state
            when 'no url'
                then 'Run: select vault.update_secret(id, ''https://<webhook>'') from vault.secrets where name = ''alert_webhook_url'';'
            when 'queued' then 'pg_net has stopped. Run: select net.worker_restart();'
            when 'failed' then concat(
                'See that alert_webhook_url in Vault is right. Then try it, and look here again in five minutes. ',
                'Run: select private.raise_alert(''delivery_test'', '''', ''Alerts arrive.''); ',
                'select private.resolve_alert(''delivery_test'');'
            )
        end
    from (
        select
            case
                when private.vault_secret('alert_webhook_url') is null then 'not set'
                when private.alert_webhook_url() is null then 'no url'
                when last.problem is null then 'works'
                when last.request_id is not null and last.problem = 'pg_net has not sent it yet' then 'queued'
                else 'failed'
            end as state,
            last.*,
            (
                select count(*)
                from private.alert_deliveries as d
                join public.alerts as a on a.id = d.alert_id
                where a.resolved_at is null and d.problem is not null
            ) as undelivered
        from (values (1)) as one
        left join (
            select d.attempts, d.request_id, d.delivered_at, d.problem
            from private.alert_deliveries as d
            where d.delivered_at is not null or d.problem is not null
            order by d.attempted_at desc, d.alert_id desc
            limit 1
        ) as last on true
    ) as told;
$$;
revoke all on function private.alert_delivery_health() from public;

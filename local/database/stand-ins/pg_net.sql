-- A stand-in for the extension pg_net 0.20: the same functions and tables. A request is queued in the caller's
-- transaction; after its commit a worker outside the database (local/schedules/net.ts) sends it, at most once.

create schema net;

create domain net.http_method as text
    check (value in ('GET', 'POST', 'DELETE'));

create unlogged table net.http_request_queue (
    id bigserial primary key,
    method net.http_method not null,
    url text not null,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer not null
);

create unlogged table net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);

create index _http_response_created_idx on net._http_response (created);

create function net._urlencode_string(string text) returns text
language sql
immutable
set search_path = ''
as $$
    select coalesce(string_agg(
        case
            when character ~ '[A-Za-z0-9_.~-]' then character
            else (
                select string_agg('%' || upper(lpad(to_hex(get_byte(bytes, i)), 2, '0')), '' order by i)
                from convert_to(character, 'utf8') as bytes, generate_series(0, octet_length(bytes) - 1) as i
            )
        end, '' order by place
    ), '')
    from regexp_split_to_table(string, '') with ordinality as parts (character, place)
    where character <> '';
$$;

create function net._encode_url_with_params_array(url text, params_array text[]) returns text
language sql
immutable
set search_path = ''
as $$
    select case
        when coalesce(cardinality(params_array), 0) = 0 then url
        else url || case when strpos(url, '?') > 0 then '&' else '?' end || array_to_string(params_array, '&')
    end;
$$;

create function net._queue(
    method text, url text, params jsonb, headers jsonb, body bytea, timeout_milliseconds integer
) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    request_id bigint;
begin
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (
        _queue.method,
        net._encode_url_with_params_array(_queue.url, array(
            select net._urlencode_string(key) || '=' || net._urlencode_string(value)
            from jsonb_each_text(coalesce(params, '{}'))
        )),
        _queue.headers,
        _queue.body,
        _queue.timeout_milliseconds
    )
    returning id into request_id;
    -- Delivered at commit, and only then: this is what wakes the worker.
    perform pg_notify('net_queue', '');
    return request_id;
end
$$;

create function net.http_get(
    url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000
) returns bigint
language sql
set search_path = ''
as $$ select net._queue('GET', url, params, headers, null, timeout_milliseconds); $$;

create function net.http_post(
    url text,
    body jsonb default '{}',
    params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}',
    timeout_milliseconds integer default 5000
) returns bigint
language plpgsql
set search_path = ''
as $$
declare
    content_type text;
begin
    select value into content_type
    from jsonb_each_text(coalesce(headers, '{}'))
    where lower(key) = 'content-type'
    limit 1;

    if content_type is null then
        headers := coalesce(headers, '{}') || '{"Content-Type": "application/json"}';
    elsif content_type <> 'application/json' then
        raise exception 'Content-Type header must be "application/json"';
    end if;
    return net._queue('POST', url, params, headers, convert_to(body::text, 'utf8'), timeout_milliseconds);
end
$$;

create function net.http_delete(
    url text,
    params jsonb default '{}',
    headers jsonb default '{}',
    timeout_milliseconds integer default 5000,
    body jsonb default null
) returns bigint
language sql
set search_path = ''
as $$ select net._queue('DELETE', url, params, headers, convert_to(body::text, 'utf8'), timeout_milliseconds); $$;

revoke all on function net._queue(text, text, jsonb, jsonb, bytea, integer) from public;
grant execute on function net._queue(text, text, jsonb, jsonb, bytea, integer) to postgres, service_role;
revoke all on function net.http_get(text, jsonb, jsonb, integer) from public;
revoke all on function net.http_post(text, jsonb, jsonb, jsonb, integer) from public;
revoke all on function net.http_delete(text, jsonb, jsonb, integer, jsonb) from public;
grant usage on schema net to postgres with grant option;
grant usage on schema net to anon, authenticated, service_role;
grant select on all tables in schema net to postgres with grant option;
grant execute on all functions in schema net to postgres with grant option;
grant execute on all functions in schema net to anon, authenticated, service_role;
revoke all on function net._queue(text, text, jsonb, jsonb, bytea, integer) from anon, authenticated;

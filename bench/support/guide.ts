/**
 * The pattern of Supabase's guide to automatic embeddings: a row trigger sends a message for each row to a queue with
 * the table and the work per message of pgmq, which a server need not have installed.
 */
export const GUIDE_SQL = `
  create table bench.q_embedding_jobs (
    msg_id bigint primary key generated always as identity,
    read_ct integer not null default 0,
    enqueued_at timestamptz not null default now(),
    vt timestamptz not null,
    message jsonb,
    headers jsonb
  );
  create index on bench.q_embedding_jobs (vt);

  create function bench.send(queue_name text, msg jsonb, headers jsonb, delay timestamptz) returns setof bigint
  language plpgsql as $$
  begin
    return query execute format(
      'insert into bench.%I (vt, message, headers) values ($2, $1, $3) returning msg_id', 'q_' || lower(queue_name)
    ) using msg, delay, headers;
  end
  $$;
  create function bench.send(queue_name text, msg jsonb) returns setof bigint
  language sql as $$ select * from bench.send(queue_name, msg, null, clock_timestamp()) $$;

  create function bench.queue_embeddings() returns trigger
  language plpgsql as $$
  begin
    perform bench.send(
      queue_name => 'embedding_jobs',
      msg => jsonb_build_object(
        'id', new.id,
        'schema', tg_table_schema,
        'table', tg_table_name,
        'contentFunction', tg_argv[0],
        'embeddingColumn', tg_argv[1]
      )
    );
    return null;
  end
  $$;
`;

export function guideTriggersSql(table: string): string {
  return `
    create trigger embed_on_insert after insert on ${table}
    for each row execute function bench.queue_embeddings('embedding_input', 'embedding');
    create trigger embed_on_update after update of title, content on ${table}
    for each row execute function bench.queue_embeddings('embedding_input', 'embedding');
  `;
}

import type { Database } from "../../database/database.ts";
import type { Column, Role, Routine, SchemaFacts, Table } from "./facts.ts";
import { type ForeignKey, relationshipsOf } from "./relationships.ts";

interface Catalog {
  tables: { name: string; columns: (Column & { name: string })[]; primaryKey: string[] }[] | null;
  routines: Routine[] | null;
  foreignKeys: ForeignKey[] | null;
  roles: (Role & { name: string })[] | null;
}

/** Reads the exposed schema in one query. */
export async function loadSchema(database: Database): Promise<SchemaFacts> {
  const catalog = await database.asStack(async (tx) => {
    // Without a search path, Postgres writes the name of every type in full.
    await tx.query("select set_config('search_path', '', true)");
    const { rows } = await tx.query<{ catalog: Catalog }>(CATALOG);
    return rows[0]?.catalog;
  });

  const tables = new Map<string, Table>();
  for (const { name, columns, primaryKey } of catalog?.tables ?? []) {
    tables.set(name, { name, primaryKey, columns: new Map(columns.map(({ name, ...column }) => [name, column])) });
  }
  const routines = new Map<string, Routine[]>();
  for (const routine of catalog?.routines ?? []) {
    routines.set(routine.name, [...routines.get(routine.name) ?? [], routine]);
  }
  return {
    tables,
    routines,
    relationships: relationshipsOf(catalog?.foreignKeys ?? [], tables),
    roles: new Map((catalog?.roles ?? []).map(({ name, ...role }) => [name, role])),
  };
}

const TABLES = `
  select json_agg(json_build_object(
      'name', c.relname,
      'columns', (
        select coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'default', case
              when a.attidentity = 'd' then format(
                'nextval(%L)', pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname)
              )
              when a.attgenerated <> '' then null
              when d.adbin is not null then pg_get_expr(d.adbin, d.adrelid)
              else pg_get_expr(t.typdefaultbin, 0)
            end
          ) order by a.attnum), '[]')
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ),
      'primaryKey', (
        select coalesce(json_agg(a.attname order by k.position), '[]')
        from pg_constraint p
        cross join unnest(p.conkey) with ordinality as k (attnum, position)
        join pg_attribute a on a.attrelid = p.conrelid and a.attnum = k.attnum
        where p.conrelid = c.oid and p.contype = 'p'
      )
    ))
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'public' and c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition`;

// A function with several unnamed parameters cannot be called by name, nor one whose only unnamed parameter cannot
// take the body of a request.
const ROUTINES = `
  select json_agg(json_build_object(
      'name', p.proname,
      'parameters', coalesce(input.parameters, '[]'),
      'returns', json_build_object(
        'kind', case
          when result.oid = 'void'::regtype then 'void'
          when result.typtype = 'c' or p.proargmodes::text[] && '{t,b,o}' then 'row'
          else 'scalar'
        end,
        'isSet', p.proretset,
        'table', (select c.relname from pg_class c where c.oid = result.typrelid and c.relnamespace = n.oid)
      ),
      'volatility', case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
      'settings', coalesce((
        select json_object_agg(split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1))
        from unnest(p.proconfig) as setting
      ), '{}')
    ) order by p.pronargs, p.oid)
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_type declared on declared.oid = p.prorettype
  join pg_type result on result.oid = coalesce(nullif(declared.typbasetype, 0), declared.oid)
  cross join lateral (
    select
      json_agg(json_build_object(
        'name', coalesce(name, ''),
        'type', case type
          when 'bit'::regtype then 'bit varying'
          when 'bit[]'::regtype then 'bit varying[]'
          when 'character'::regtype then 'character varying'
          when 'character[]'::regtype then 'character varying[]'
          else format_type(type, null)
        end,
        'required', position <= p.pronargs - p.pronargdefaults,
        'variadic', mode is not distinct from 'v'
      ) order by position) as parameters,
      count(*) filter (where coalesce(name, '') = '') as unnamed,
      bool_and(
        type in ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype)
      ) as takes_body
    from (
      select type, name, mode, row_number() over (order by i) as position
      from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
        with ordinality as every_argument (type, name, mode, i)
      where mode is null or mode in ('i', 'b', 'v')
    ) as input_argument
  ) as input
  where n.nspname = 'public' and p.prokind = 'f'
    and result.oid not in ('trigger'::regtype, 'event_trigger'::regtype)
    and (input.unnamed = 0 or (input.unnamed = 1 and p.pronargs = 1 and input.takes_body))`;

const FOREIGN_KEYS = `
  select json_agg(json_build_object(
      'constraint', f.conname,
      'from', own.relname,
      'to', other.relname,
      'columns', pairs.columns,
      'isUnique', exists (
        select from pg_constraint u
        where u.conrelid = f.conrelid and u.contype in ('p', 'u') and u.conkey @> f.conkey and u.conkey <@ f.conkey
      )
    ) order by f.conname)
  from pg_constraint f
  join pg_class own on own.oid = f.conrelid and own.relnamespace = 'public'::regnamespace
  join pg_class other on other.oid = f.confrelid and other.relnamespace = 'public'::regnamespace
  cross join lateral (
    select json_agg(json_build_object('from', a.attname, 'to', b.attname) order by position) as columns
    from unnest(f.conkey, f.confkey) with ordinality as pair (own, other, position)
    join pg_attribute a on a.attrelid = f.conrelid and a.attnum = pair.own
    join pg_attribute b on b.attrelid = f.confrelid and b.attnum = pair.other
  ) as pairs
  where f.contype = 'f' and f.conparentid = 0`;

// PostgREST connects as authenticator: the settings of that role hold for all, unless the acting role has its own.
const ROLES = `
  select json_agg(json_build_object(
      'name', acting.rolname,
      'mayAct', pg_has_role(authenticator.oid, acting.oid, 'member'),
      'settings', (
        select coalesce(json_object_agg(key, value order by precedence), '{}')
        from (
          select
            split_part(setting, '=', 1) as key,
            substr(setting, strpos(setting, '=') + 1) as value,
            row_number() over (order by s.setrole = acting.oid, s.setdatabase <> 0) as precedence
          from pg_db_role_setting s
          cross join unnest(s.setconfig) as setting
          where s.setrole in (authenticator.oid, acting.oid)
            and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        ) as role_setting
        where exists (select from pg_settings where context = 'user' and lower(name) = lower(key))
      )
    ))
  from pg_roles acting
  join pg_roles authenticator on authenticator.rolname = 'authenticator'`;

const CATALOG = `select json_build_object(
  'tables', (${TABLES}), 'routines', (${ROUTINES}), 'foreignKeys', (${FOREIGN_KEYS}), 'roles', (${ROLES})
) as catalog`;

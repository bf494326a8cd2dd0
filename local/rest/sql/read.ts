import { notEmbedded, relatedOrderRefused } from "../errors.ts";
import type { Filter } from "../grammar/filters.ts";
import type { OrderTerm } from "../grammar/order.ts";
import { limitOf, type RowRange } from "../range.ts";
import { isToOne } from "../schema/facts.ts";
import { filterCondition, logicCondition, type ToCondition } from "./conditions.ts";
import { as, column, fieldOf, labelOf } from "./fields.ts";
import { type Embed, embedNamed, type ReadNode } from "./read-tree.ts";
import { join, list, name, nothing, type Sql, sql, trusted, value, where } from "./sql.ts";

export function readRows(node: ReadNode): Sql {
  const asked = [...node.fields.map((item) => selectedField(node, item)), ...node.embeds.flatMap(selectedEmbed)];
  const columns = node.fields.length + node.embeds.length === 0 ? [column(node, "*")] : asked;
  const conditions = [...node.joinConditions, ...ownConditions(node, (filter) => conditionOf(node, filter))];
  return sql`select ${list(columns)} from ${node.from}${join(node.embeds.map(joinedEmbed), "")}${where(conditions)}${
    ordered(node)
  }${limited(node.range)}`;
}

/** One row for each row that `readRows` would give without its limit. */
export function countRows(node: ReadNode): Sql {
  const conditions = [
    ...node.joinConditions,
    ...ownConditions(node, (filter) => countConditionOf(node, filter)),
    ...node.embeds.filter(({ isInner }) => isInner).map((embed) => sql`exists (${countRows(embed)})`),
  ];
  return sql`select 1 from ${node.from}${where(conditions)}`;
}

function selectedField(node: ReadNode, { field, cast, alias }: ReadNode["fields"][number]): Sql {
  const plain = fieldOf(node, field);
  // The grammar lets nothing but letters, digits, spaces, "_" and "$" into a cast.
  const typed = cast === undefined ? plain : sql`cast(${plain} as ${trusted(cast)})`;
  return sql`${typed}${as(alias ?? labelOf(field))}`;
}

function selectedEmbed(embed: Embed): Sql[] {
  // `author()` only joins and filters.
  if (isBare(embed)) return [];
  if (embed.isSpread) return spreadColumns(embed);
  const rows = isToOne(embed.relationship)
    ? sql`row_to_json(${embed.gathered}.*)`
    : sql`coalesce(${embed.gathered}.${embed.gathered}, '[]')`;
  return [sql`${rows}${as(embed.label)}`];
}

function spreadColumns(embed: Embed): Sql[] {
  const fields = embed.fields.map(({ field, alias }) =>
    column({ reference: embed.gathered, table: undefined }, alias ?? labelOf(field) ?? field.name)
  );
  const inner = embed.embeds.filter((each) => !isBare(each)).flatMap((each) =>
    each.isSpread ? spreadColumns({ ...each, gathered: embed.gathered }) : [sql`${embed.gathered}.${name(each.label)}`]
  );
  return [...fields, ...inner];
}

function joinedEmbed(embed: Embed): Sql {
  const { gathered, isInner } = embed;
  const how = trusted(isInner ? "inner" : "left");
  if (isToOne(embed.relationship)) {
    return sql` ${how} join lateral (${readRows(embed)}) as ${gathered} on true`;
  }
  const condition = isInner ? sql`${gathered} is not null` : sql`true`;
  return sql` ${how} join lateral (select json_agg(${gathered}) as ${gathered} from (${
    readRows(embed)
  }) as ${gathered}) as ${gathered} on ${condition}`;
}

function ownConditions(node: ReadNode, toCondition: ToCondition): Sql[] {
  return [...node.filters.map(toCondition), ...node.logic.map((tree) => logicCondition(tree, toCondition))];
}

function conditionOf(node: ReadNode, filter: Filter): Sql {
  const tested = embedTested(node, filter);
  if (tested === undefined) return filterCondition(node, filter);
  return sql`${tested.embed.gathered} is ${trusted(tested.isAbsent ? "not " : "")}distinct from null`;
}

function countConditionOf(node: ReadNode, filter: Filter): Sql {
  const tested = embedTested(node, filter);
  if (tested === undefined) return filterCondition(node, filter);
  return sql`${trusted(tested.isAbsent ? "not " : "")}exists (${countRows(tested.embed)})`;
}

/** `author=is.null` asks for rows without an author, when authors are embedded under that name. */
function embedTested(node: ReadNode, { field, negated, operation }: Filter) {
  const embed = field.path.length === 0 ? node.embeds.find(({ label }) => label === field.name) : undefined;
  if (embed === undefined || operation.kind !== "is") return undefined;
  if (operation.state !== "null" && operation.state !== "not_null") return undefined;
  return { embed, isAbsent: (operation.state === "null") !== negated };
}

function ordered(node: ReadNode): Sql {
  if (node.order.length === 0) return nothing;
  return sql` order by ${list(node.order.map((term) => orderTerm(node, term)))}`;
}

const NULLS = { nullsfirst: " nulls first", nullslast: " nulls last" };

function orderTerm(node: ReadNode, { relation, field, direction, nulls }: OrderTerm): Sql {
  const source = relation === undefined
    ? node
    : { reference: embedToOrderBy(node, relation).gathered, table: undefined };
  const way = (direction === undefined ? "" : ` ${direction}`) + (nulls === undefined ? "" : NULLS[nulls]);
  return sql`${fieldOf(source, field)}${trusted(way)}`;
}

function embedToOrderBy(node: ReadNode, relation: string): Embed {
  const embed = embedNamed(node, relation);
  if (embed === undefined) throw notEmbedded(relation);
  if (!isToOne(embed.relationship)) throw relatedOrderRefused(node.tableName, relation);
  return embed;
}

function limited(range: RowRange): Sql {
  const limit = limitOf(range);
  const rows = limit === undefined ? nothing : sql` limit ${value(String(limit))}`;
  return range.first === 0 ? rows : sql`${rows} offset ${value(String(range.first))}`;
}

function isBare(embed: Embed): boolean {
  return embed.fields.length === 0 && embed.embeds.every(isBare);
}

import { aggregatesRefused, notEmbedded, notImplemented } from "../errors.ts";
import type { Filter, LogicTree } from "../grammar/filters.ts";
import type { OrderTerm } from "../grammar/order.ts";
import type { At, Query } from "../grammar/query.ts";
import type { SelectedField, SelectedRelation, SelectItem } from "../grammar/select.ts";
import { ALL_ROWS, restricted, type RowRange } from "../range.ts";
import { isToOne, type Relationship, type SchemaFacts } from "../schema/facts.ts";
import { findRelationship } from "../schema/relationships.ts";
import { column, type Source } from "./fields.ts";
import { name, type Sql, sql } from "./sql.ts";

/** Rows to be read, and the rows of other tables within each. */
export interface ReadNode extends Source {
  /** The name by which relationships are found. */
  tableName: string;
  from: Sql;
  /** What ties the rows to those of their parent. */
  joinConditions: Sql[];
  fields: SelectedField[];
  embeds: Embed[];
  filters: Filter[];
  logic: LogicTree[];
  order: OrderTerm[];
  range: RowRange;
}

export interface Embed extends ReadNode {
  /** The key in the answer, and the name by which parameters speak of it. */
  label: string;
  names: readonly string[];
  relationship: Relationship;
  /** What the rows are called once they are gathered for their parent. */
  gathered: Sql;
  isInner: boolean;
  isSpread: boolean;
}

export interface ReadRoot extends Source {
  tableName: string;
  from: Sql;
  range: RowRange;
  /** Conditions, order and limit of the root hold here; those of a write hold where it writes. */
  isWritten: boolean;
}

export function readTree(facts: SchemaFacts, query: Query, root: ReadRoot): ReadNode {
  const tree: ReadNode = {
    ...root,
    ...selected(facts, query.select, root, 1),
    joinConditions: [],
    filters: [],
    logic: [],
    order: [],
  };
  const ofTree = <T>(parameters: At<T>[]) => parameters.filter(({ path }) => !root.isWritten || path.length > 0);

  for (const { path, filter } of ofTree(query.filters)) nodeAt(tree, path).filters.push(filter);
  for (const { path, tree: logic } of ofTree(query.logic)) nodeAt(tree, path).logic.push(logic);
  for (const { path, terms } of ofTree(query.order)) nodeAt(tree, path).order.push(...terms);
  for (const { path, range } of query.ranges) if (path.length > 0) nodeAt(tree, path).range = range;
  if (!root.isWritten) restrictRanges(tree);
  return tree;
}

/** The columns of a written table that the answer needs: those selected, and those that embedded resources hang on. */
export function neededColumns({ fields, embeds }: ReadNode, primaryKey: readonly string[]): string[] {
  const named = fields.map(({ field }) => field.name);
  if (named.includes("*") || fields.length + embeds.length === 0) return ["*"];
  const keys = embeds.flatMap(({ relationship }) => relationship.columns.map(({ from }) => from));
  return [...new Set([...named, ...keys, ...primaryKey])];
}

export function embedNamed({ embeds }: ReadNode, label: string): Embed | undefined {
  return embeds.find((embed) => embed.names.includes(label));
}

function selected(facts: SchemaFacts, items: SelectItem[], parent: Source & { tableName: string }, depth: number) {
  const fields = items.filter((item) => item.kind === "field");
  if (fields.some(({ aggregate }) => aggregate !== undefined)) throw aggregatesRefused();
  const relations = items.filter((item) => item.kind === "relation");
  return { fields, embeds: relations.map((item) => embedded(facts, item, parent, depth)) };
}

function embedded(
  facts: SchemaFacts,
  item: SelectedRelation,
  parent: Source & { tableName: string },
  depth: number,
): Embed {
  const relationship = findRelationship(facts, parent.tableName, item.name, item.hint);
  const { to, columns, junction } = relationship;
  const label = item.alias ?? item.name;
  if (item.spread && !isToOne(relationship)) {
    throw notImplemented(`'${label}' may hold several rows, and only a single row can be spread`);
  }

  const source = { reference: name(`${to}_${depth}`), table: facts.tables.get(to), tableName: to };
  const between: Source | undefined = junction &&
    { reference: name(`${junction.table}_${depth}_between`), table: facts.tables.get(junction.table) };
  const joined = (one: Source, other: Source, pairs: Relationship["columns"]) =>
    pairs.map(({ from, to }) => sql`${column(other, to)} = ${column(one, from)}`);

  const from = sql`"public".${name(to)} as ${source.reference}`;
  return {
    ...source,
    ...selected(facts, item.items, source, depth + 1),
    from: junction && between ? sql`${from}, "public".${name(junction.table)} as ${between.reference}` : from,
    filters: [],
    logic: [],
    order: [],
    range: ALL_ROWS,
    label,
    names: item.alias === undefined ? [item.name] : [item.alias, item.name],
    relationship,
    gathered: name(`${parent.tableName}_${label}_${depth}`),
    isInner: item.join === "inner",
    isSpread: item.spread,
    joinConditions: junction && between
      ? [...joined(parent, between, columns), ...joined(between, source, junction.columns)]
      : joined(parent, source, columns),
  };
}

function nodeAt(node: ReadNode, [label, ...rest]: readonly string[]): ReadNode {
  if (label === undefined) return node;
  const next = embedNamed(node, label);
  if (next === undefined) throw notEmbedded(label);
  return nodeAt(next, rest);
}

function restrictRanges(node: ReadNode): void {
  node.range = restricted(node.range);
  node.embeds.forEach(restrictRanges);
}

import { ambiguousRelationship, noRelationship } from "../errors.ts";
import type { ColumnPair, Relationship, SchemaFacts, Table } from "./facts.ts";

export interface ForeignKey {
  constraint: string;
  from: string;
  to: string;
  columns: ColumnPair[];
  /** No two rows refer to the same one. */
  isUnique: boolean;
}

/** Every way to go from table to table: along each foreign key, back against it, and through a junction table. */
export function relationshipsOf(keys: readonly ForeignKey[], tables: ReadonlyMap<string, Table>): Relationship[] {
  const along = keys.map(({ isUnique, ...key }): Relationship => ({
    ...key,
    kind: isUnique ? "one-to-one" : "many-to-one",
  }));
  const back = along.map((key): Relationship => ({
    from: key.to,
    to: key.from,
    kind: key.kind === "one-to-one" ? "one-to-one" : "one-to-many",
    constraint: key.constraint,
    columns: reversed(key.columns),
  }));
  return [...along, ...back, ...junctions(along, tables)];
}

/** A table joins two others when its foreign keys to them are part of its primary key. */
function junctions(along: readonly Relationship[], tables: ReadonlyMap<string, Table>): Relationship[] {
  const manyToOne = along.filter(({ kind }) => kind === "many-to-one");
  return manyToOne.flatMap((one) =>
    manyToOne
      .filter((other) => other.from === one.from && other.constraint !== one.constraint)
      .filter((other) => {
        const primaryKey = tables.get(one.from)?.primaryKey ?? [];
        return [...one.columns, ...other.columns].every(({ from }) => primaryKey.includes(from));
      })
      .map((other): Relationship => ({
        from: one.to,
        to: other.to,
        kind: "many-to-many",
        constraint: one.constraint,
        columns: reversed(one.columns),
        junction: { table: one.from, constraint: other.constraint, columns: other.columns },
      }))
  );
}

/**
 * The one relationship meant by `select=target!hint(…)`. A target is a table, a constraint or a foreign key column;
 * a hint is a constraint, a column of either side, or a junction table.
 */
export function findRelationship(
  { relationships }: SchemaFacts,
  origin: string,
  target: string,
  hint: string | undefined,
): Relationship {
  const leaving = relationships.filter(({ from }) => from === origin);
  const found = leaving.filter((relationship) => means(relationship, target, hint));
  const [first, second] = found;
  if (first === undefined) throw noRelationship(origin, target, hint, leaving.map(({ to }) => to));
  if (second !== undefined) throw ambiguousRelationship(origin, target, found.map(described));
  return first;
}

function means(relationship: Relationship, target: string, hint: string | undefined): boolean {
  const { from, to, kind, constraint, columns, junction } = relationship;
  const ownColumn = junction === undefined && columns.length === 1 ? columns[0]?.from : undefined;
  const otherColumn = junction === undefined && columns.length === 1 ? columns[0]?.to : undefined;

  // A table that refers to itself: its name means those who refer to the row, its column the one referred to.
  if (from === to && kind !== "many-to-many") {
    if (hint !== undefined) return target === to && kind === "one-to-many" && hint === otherColumn;
    return kind === "one-to-many" ? target === to : kind === "many-to-one" && target === ownColumn;
  }
  if (hint === undefined) {
    return target === to || (junction === undefined && target === constraint) || target === ownColumn;
  }
  if (target !== to) return false;
  if (junction !== undefined) return hint === junction.table;
  return hint === constraint || hint === ownColumn || hint === otherColumn;
}

/** One of several candidates, as the error about their number tells of it. */
function described(
  { from, to, kind, constraint, columns, junction }: Relationship,
): { details: unknown; hint: string } {
  const shown = (names: string[]) => `(${names.join(", ")})`;
  const own = shown(columns.map((pair) => pair.from));
  const other = shown(columns.map((pair) => pair.to));
  const relationship = junction === undefined
    ? `${constraint} using ${from}${own} and ${to}${other}`
    : `${junction.table} using ${constraint}${other} and ${junction.constraint}${
      shown(junction.columns.map((pair) => pair.from))
    }`;
  return {
    details: { cardinality: kind, embedding: `${from} with ${to}`, relationship },
    hint: `'${to}!${junction?.table ?? constraint}'`,
  };
}

function reversed(columns: readonly ColumnPair[]): ColumnPair[] {
  return columns.map(({ from, to }) => ({ from: to, to: from }));
}

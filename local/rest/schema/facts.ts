/** What the service knows of the exposed schema, as PostgREST's schema cache does. */
export interface SchemaFacts {
  tables: ReadonlyMap<string, Table>;
  /** By name; several where a name is overloaded. */
  routines: ReadonlyMap<string, readonly Routine[]>;
  relationships: readonly Relationship[];
  roles: ReadonlyMap<string, Role>;
}

export interface Role {
  /** Whether a token may name it: authenticator must be a member. */
  mayAct: boolean;
  /** What holds while it acts, such as its time limit. */
  settings: Readonly<Record<string, string>>;
}

export interface Table {
  name: string;
  columns: ReadonlyMap<string, Column>;
  primaryKey: readonly string[];
}

export interface Column {
  /** Qualified and quoted as needed, ready to be put in SQL. */
  type: string;
  /** An SQL expression. */
  default: string | null;
}

export interface Routine {
  name: string;
  parameters: readonly Parameter[];
  returns: ReturnType;
  volatility: "immutable" | "stable" | "volatile";
  settings: Readonly<Record<string, string>>;
}

export interface Parameter {
  /** Empty for an unnamed parameter. */
  name: string;
  type: string;
  required: boolean;
  variadic: boolean;
}

export interface ReturnType {
  kind: "void" | "scalar" | "row";
  isSet: boolean;
  /** The table of the exposed schema whose rows are returned. */
  table: string | null;
}

/** How the rows of one table find those of another. */
export interface Relationship {
  from: string;
  to: string;
  kind: "many-to-one" | "one-to-one" | "one-to-many" | "many-to-many";
  constraint: string;
  columns: readonly ColumnPair[];
  junction?: Junction;
}

export interface ColumnPair {
  from: string;
  to: string;
}

/** The table between two others. `columns` of the relationship lead to it, these lead on from it. */
export interface Junction {
  table: string;
  constraint: string;
  columns: readonly ColumnPair[];
}

export function isToOne({ kind }: Relationship): boolean {
  return kind === "many-to-one" || kind === "one-to-one";
}

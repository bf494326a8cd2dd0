import type { CompareOperator, Filter, IsState, LogicTree, SearchOperator } from "../grammar/filters.ts";
import { fieldOf, isSearchVector, type Source } from "./fields.ts";
import { join, nothing, type Sql, sql, trusted, value } from "./sql.ts";

const COMPARE: Record<CompareOperator, string> = {
  eq: "=",
  neq: "<>",
  gt: ">",
  gte: ">=",
  lt: "<",
  lte: "<=",
  like: "like",
  ilike: "ilike",
  match: "~",
  imatch: "~*",
  cs: "@>",
  cd: "<@",
  ov: "&&",
  sl: "<<",
  sr: ">>",
  nxr: "&<",
  nxl: "&>",
  adj: "-|-",
};

const SEARCH: Record<SearchOperator, string> = {
  fts: "to_tsquery",
  plfts: "plainto_tsquery",
  phfts: "phraseto_tsquery",
  wfts: "websearch_to_tsquery",
};

// Keywords cannot be parameters.
const STATES: Record<IsState, string> = {
  null: "null",
  not_null: "not null",
  true: "true",
  false: "false",
  unknown: "unknown",
};

/** How a single filter is put in SQL; resources that are embedded have a say in it. */
export type ToCondition = (filter: Filter) => Sql;

export function logicCondition(tree: LogicTree, toCondition: ToCondition): Sql {
  if (tree.kind === "filter") return toCondition(tree.filter);
  const members = tree.members.map((member) => logicCondition(member, toCondition));
  return sql`${negation(tree.negated)}(${join(members, ` ${tree.operator} `)})`;
}

export function filterCondition(source: Source, { field, negated, operation }: Filter): Sql {
  const subject = fieldOf(source, field);
  const not = negation(negated);
  switch (operation.kind) {
    case "is":
      return sql`${not}${subject} is ${trusted(STATES[operation.state])}`;
    case "distinct":
      return sql`${not}${subject} is distinct from ${value(operation.value)}`;
    case "in":
      // An array can be empty, a list in parentheses cannot.
      return sql`${not}${subject} = any (${value(arrayLiteral(operation.values))})`;
    case "compare": {
      const { operator, quantifier } = operation;
      const isPattern = operator === "like" || operator === "ilike";
      // In a URL `*` needs no escape, unlike `%`.
      const operand = value(isPattern ? operation.value.replaceAll("*", "%") : operation.value);
      const quantified = quantifier === undefined ? operand : sql`${trusted(quantifier)} (${operand})`;
      return sql`${not}${subject} ${trusted(COMPARE[operator])} ${quantified}`;
    }
    case "search": {
      const language = operation.language === undefined ? nothing : sql`${value(operation.language)}, `;
      const words = isSearchVector(source, field) ? subject : sql`to_tsvector(${language}${subject})`;
      return sql`${not}${words} @@ ${trusted(SEARCH[operation.operator])}(${language}${value(operation.value)})`;
    }
  }
}

function negation(negated: boolean): Sql {
  return negated ? sql`not ` : nothing;
}

/** Leaves it to Postgres to find the type of the elements; `in.()` holds none. */
function arrayLiteral(values: readonly string[]): string {
  if (values.length === 1 && values[0] === "") return "{}";
  return `{${values.map((element) => `"${element.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}

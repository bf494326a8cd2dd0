import { dot, type Field, field, fieldName, identifier, quotedValue, spaced } from "./names.ts";
import {
  after,
  anyChar,
  attempt,
  before,
  between,
  char,
  either,
  label,
  lazy,
  many,
  map,
  noneOf,
  notFollowedBy,
  option,
  optional,
  type Parser,
  sepBy1,
  seq,
  word,
} from "./parser.ts";

export interface Filter {
  field: Field;
  negated: boolean;
  operation: Operation;
}

export type Operation =
  | { kind: "compare"; operator: CompareOperator; quantifier?: "any" | "all" | undefined; value: string }
  | { kind: "in"; values: string[] }
  | { kind: "is"; state: IsState }
  | { kind: "distinct"; value: string }
  | { kind: "search"; operator: SearchOperator; language?: string | undefined; value: string };

export type LogicTree =
  | { kind: "filter"; filter: Filter }
  | { kind: "group"; negated: boolean; operator: "and" | "or"; members: LogicTree[] };

/** In the order in which they are tried: `gte` before `gt`, or it would never be found. */
const SIMPLE_OPERATORS = ["neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"] as const;
const QUANTIFIED_OPERATORS = ["eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch"] as const;
const SEARCH_OPERATORS = ["fts", "plfts", "phfts", "wfts"] as const;
const IS_STATES = ["null", "not_null", "true", "false", "unknown"] as const;

export type CompareOperator = typeof SIMPLE_OPERATORS[number] | typeof QUANTIFIED_OPERATORS[number];
export type SearchOperator = typeof SEARCH_OPERATORS[number];
export type IsState = typeof IS_STATES[number];

const anyOf = <T extends string>(words: readonly T[]) => words.map((text) => attempt(map(word(text), () => text)));
const negation = option(attempt(map(seq(word("not"), dot), () => true)), false);

/** Any case: `is.NULL`. */
const anyCase = (text: string) =>
  seq(...Array.from(text, (c) => either(char(c), char(c.toUpperCase())))) as Parser<unknown>;

const listElement = either(
  attempt(before(quotedValue, notFollowedBy(noneOf(",)")))),
  map(many(noneOf(",)")), (text) => text.join("")),
);
const listValue = between(spaced(char("(")), sepBy1(listElement, char(",")), spaced(char(")")));

/** What a filter asserts, `not.in.(1,2)`; `value` parses the operand of the simple operators. */
function assertion(value: Parser<string>): Parser<{ negated: boolean; operation: Operation }> {
  const isIn = map(after(attempt(seq(word("in"), dot)), listValue), (values): Operation => ({ kind: "in", values }));

  const state = label(
    either(...IS_STATES.map((text) => attempt(map(anyCase(text), () => text)))),
    "isVal: (null, not_null, true, false, unknown)",
  );
  const is = map(after(attempt(seq(word("is"), dot)), state), (state): Operation => ({ kind: "is", state }));

  const isDistinct = map(
    after(attempt(seq(word("isdistinct"), dot)), value),
    (value): Operation => ({ kind: "distinct", value }),
  );

  const search = map(
    seq(
      either(...anyOf(SEARCH_OPERATORS)),
      optional(attempt(between(char("("), identifier, char(")")))),
      after(dot, value),
    ),
    ([operator, language, value]): Operation => ({ kind: "search", operator, language, value }),
  );

  const simple = map(
    seq(label(either(...anyOf(SIMPLE_OPERATORS)), "unknown single value operator"), after(dot, value)),
    ([operator, value]): Operation => ({ kind: "compare", operator, value }),
  );

  const quantifier = optional(attempt(between(char("("), either(...anyOf(["any", "all"] as const)), char(")"))));
  const quantified = map(
    seq(label(either(...anyOf(QUANTIFIED_OPERATORS)), "unknown single value operator"), quantifier, after(dot, value)),
    ([operator, quantifier, value]): Operation => ({ kind: "compare", operator, quantifier, value }),
  );

  const operation = label(
    either(isIn, is, isDistinct, attempt(search), attempt(simple), attempt(quantified)),
    "operator (eq, gt, ...)",
  );
  return map(seq(negation, operation), ([negated, operation]) => ({ negated, operation }));
}

/** The value of a filter parameter: everything after the operator belongs to it. */
export const filterValue = assertion(map(many(anyChar), (text) => text.join("")));

const arrayLiteral = map(
  seq(word("{"), many(noneOf("{}")), word("}")),
  ([open, text, close]) => open + text.join("") + close,
);
const valueInLogic = either(
  attempt(before(quotedValue, notFollowedBy(noneOf(",)")))),
  attempt(arrayLiteral),
  map(many(noneOf(",)")), (text) => text.join("")),
);

const filterInLogic = map(
  seq(field, after(dot, assertion(valueInLogic))),
  ([field, asserted]): LogicTree => ({ kind: "filter", filter: { field, ...asserted } }),
);

const groupOperator = label(
  either<"and" | "or">(attempt(map(word("and"), () => "and" as const)), map(word("or"), () => "or" as const)),
  "logic operator (and, or)",
);
const group: Parser<LogicTree> = map(
  seq(
    label(negation, "negation operator (not)"),
    groupOperator,
    between(spaced(char("(")), sepBy1(lazy(() => logicTree), spaced(char(","))), spaced(char(")"))),
  ),
  ([negated, operator, members]) => ({ kind: "group", negated, operator, members }),
);

/** `or(a.eq.1,not.and(b.is.null,c.gt.2))`. */
export const logicTree: Parser<LogicTree> = either(attempt(filterInLogic), group);

/** The key of a logic parameter, `author.not.or`: the embedded resources, then the operator with its negation. */
export const logicKey: Parser<{ path: string[]; operator: string }> = map(sepBy1(fieldName, dot), (names) => {
  const operator = names.at(-1) ?? "";
  return {
    path: names.slice(0, -1).filter((name) => name !== "not"),
    operator: names.includes("not") ? `not.${operator}` : operator,
  };
});

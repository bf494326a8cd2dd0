import { type Field, field, fieldName, identifier, spaced } from "./names.ts";
import {
  after,
  attempt,
  before,
  between,
  char,
  either,
  end,
  fail,
  lazy,
  lookAhead,
  map,
  notFollowedBy,
  optional,
  type Parser,
  sepBy,
  seq,
  word,
} from "./parser.ts";

export type SelectItem = SelectedField | SelectedRelation;

export interface SelectedField {
  kind: "field";
  field: Field;
  cast?: string | undefined;
  alias?: string | undefined;
  aggregate?: string | undefined;
}

/** Another table's rows inside each row (`author:users!fk(name)`), or spread into it (`...users(name)`). */
export interface SelectedRelation {
  kind: "relation";
  name: string;
  alias?: string | undefined;
  hint?: string | undefined;
  join?: "left" | "inner" | undefined;
  spread: boolean;
  items: SelectItem[];
}

const endOfItem = either<unknown>(attempt(lookAhead(word(")"))), attempt(lookAhead(word(","))), attempt(end));
const alias = optional(attempt(before(fieldName, seq(char(":"), notFollowedBy(char(":"))))));
const cast = optional(after(word("::"), identifier));

const star = map(
  attempt(before(word("*"), endOfItem)),
  (): SelectedField => ({ kind: "field", field: { name: "*", path: [] } }),
);

const countOfRows = map(
  attempt(before(seq(alias, word("count()"), cast), endOfItem)),
  ([alias]): SelectedField => ({ kind: "field", field: { name: "*", path: [] }, alias, aggregate: "count" }),
);

const aggregateName = either(word("sum"), word("avg"), word("count"), attempt(word("max")), attempt(word("min")));
const aggregate = optional(attempt(before(after(char("."), aggregateName), word("()"))));

const plainField = map(
  before(seq(alias, field, cast, aggregate, cast), endOfItem),
  ([alias, field, cast, aggregate]): SelectedField => ({ kind: "field", field, cast, alias, aggregate }),
);

const selectedField = spaced(either(star, countOfRows, plainField));

type Parameter = { join: "left" | "inner" } | { hint: string };
const parameter = after(
  char("!"),
  either<Parameter>(
    attempt(map(word("left"), () => ({ join: "left" as const }))),
    attempt(map(word("inner"), () => ({ join: "inner" as const }))),
    attempt(map(fieldName, (hint) => ({ hint }))),
  ),
);
const parameters = map(seq(optional(parameter), optional(parameter)), (given) => {
  // Either may come first; of two of a kind the first counts.
  const [hint] = given.flatMap((one) => one !== undefined && "hint" in one ? [one.hint] : []);
  const [join] = given.flatMap((one) => one !== undefined && "join" in one ? [one.join] : []);
  return { hint, join };
});
const opening = attempt(lookAhead(word("(")));

// `count` is the aggregate, never a table.
const relationName: Parser<string> = (input, at) => {
  const outcome = fieldName(input, at);
  return outcome.ok && outcome.value === "count" ? fail(input, outcome.at) : outcome;
};

type RelationHead = Omit<SelectedRelation, "items">;
const spreadHead = spaced(
  map(
    before(seq(after(word("..."), fieldName), parameters), opening),
    ([name, given]): RelationHead => ({ kind: "relation", name, ...given, spread: true }),
  ),
);
const relationHead = spaced(
  map(
    before(seq(alias, relationName, parameters), opening),
    ([alias, name, given]): RelationHead => ({ kind: "relation", name, alias, ...given, spread: false }),
  ),
);

const selectedItems: Parser<SelectItem[]> = lazy(() => itemsInParentheses);
const relation = (head: Parser<RelationHead>) =>
  map(seq(attempt(head), selectedItems), ([head, items]): SelectItem => ({ ...head, items }));

/** `select=`: fields and embedded resources. */
export const selection: Parser<SelectItem[]> = sepBy(
  either<SelectItem>(relation(spreadHead), relation(relationHead), selectedField),
  spaced(char(",")),
);

const itemsInParentheses = between(char("("), selection, char(")"));

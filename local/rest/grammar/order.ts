import { dot, type Field, field, fieldName, spaced } from "./names.ts";
import {
  after,
  attempt,
  before,
  between,
  char,
  either,
  end,
  lookAhead,
  map,
  optional,
  type Parser,
  sepBy1,
  seq,
  word,
} from "./parser.ts";

export interface OrderTerm {
  /** An embedded to-one resource whose field orders the rows: `order=author(name)`. */
  relation?: string | undefined;
  field: Field;
  direction?: "asc" | "desc" | undefined;
  nulls?: "nullsfirst" | "nullslast" | undefined;
}

const afterDot = <T extends string>(text: T) => attempt(map(after(dot, word(text)), () => text));
const direction = optional(either<"asc" | "desc">(afterDot("asc"), afterDot("desc")));
const endOfTerm = either<unknown>(attempt(lookAhead(char(","))), attempt(end));
const nulls = either<OrderTerm["nulls"]>(
  before(optional(either<"nullsfirst" | "nullslast">(afterDot("nullsfirst"), afterDot("nullslast"))), endOfTerm),
  map(endOfTerm, () => undefined),
);

const fieldOfRelation = seq(fieldName, between(char("("), field, char(")")));

const relationTerm = map(
  seq(fieldOfRelation, direction, nulls),
  ([[relation, field], direction, nulls]): OrderTerm => ({ relation, field, direction, nulls }),
);
const term = map(seq(field, direction, nulls), ([field, direction, nulls]): OrderTerm => ({ field, direction, nulls }));

export const ordering: Parser<OrderTerm[]> = sepBy1(spaced(either(attempt(relationTerm), term)), char(","));

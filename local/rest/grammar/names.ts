import {
  after,
  anyChar,
  attempt,
  before,
  between,
  char,
  digit,
  either,
  end,
  label,
  letter,
  lookAhead,
  many,
  many1,
  map,
  noneOf,
  notFollowedBy,
  oneOf,
  option,
  type Parser,
  sepBy1,
  seq,
  word,
} from "./parser.ts";

/** A column, or what lies inside it by the arrows of JSON: `address->geo->>lat`. */
export interface Field {
  name: string;
  path: readonly JsonStep[];
}

export interface JsonStep {
  arrow: "->" | "->>";
  /** A key, or the index of an array element with its sign: `+1`, `-2`. */
  operand: { key: string } | { index: string };
}

export const identifier: Parser<string> = map(
  many1(either(letter, digit, oneOf("_ $"))),
  (text) => text.join("").trim(),
);

export const quotedValue: Parser<string> = between(
  char('"'),
  map(many(either(noneOf('\\"'), after(char("\\"), anyChar))), (text) => text.join("")),
  char('"'),
);

/** A dash belongs to the name, unless it begins an arrow. */
const dash = attempt(before(char("-"), notFollowedBy(char(">"))));
const dashed = (part: Parser<string>) => map(sepBy1(part, dash), (parts) => parts.join("-"));

export const fieldName: Parser<string> = label(
  either(quotedValue, dashed(identifier)),
  "field name (* or [a..z0..9_$])",
);

export const dot: Parser<string> = label(char("."), "delimiter (.)");

const blanks = many(oneOf(" \t"));

/** `parser` with spaces allowed around it. */
export function spaced<T>(parser: Parser<T>): Parser<T> {
  return between(blanks, parser, blanks);
}

const arrow = either<JsonStep["arrow"]>(attempt(word("->>") as Parser<"->>">), attempt(word("->") as Parser<"->">));

const key = map(
  label(
    either(quotedValue, dashed(map(many1(noneOf("(-:.,>)")), (text) => text.join("").trim()))),
    "any non reserved character different from: .,>()",
  ),
  (key) => ({ key }),
);

const endOfIndex = either<unknown>(
  ...["->", "::", ".", ","].map((text) => attempt(lookAhead(word(text)))),
  attempt(end),
);
const index = map(
  before(seq(option(char("-"), "+"), many1(digit)), endOfIndex),
  ([sign, digits]) => ({ index: sign + digits.join("") }),
);

const step: Parser<JsonStep> = map(
  seq(arrow, either<JsonStep["operand"]>(attempt(index), attempt(key))),
  ([arrow, operand]) => ({ arrow, operand }),
);

export const jsonPath: Parser<JsonStep[]> = many(step);

export const field: Parser<Field> = spaced(
  map(seq(fieldName, option(jsonPath, [])), ([name, path]) => ({ name, path })),
);

/** The key of a filter: the embedded resources that lead to it, then its field. */
export const fieldInTree: Parser<{ path: string[]; field: Field }> = map(
  seq(sepBy1(fieldName, dot), option(jsonPath, [])),
  ([names, path]) => ({ path: names.slice(0, -1), field: { name: names.at(-1) ?? "", path } }),
);

export const columnNames: Parser<string[]> = sepBy1(fieldName, spaced(char(",")));

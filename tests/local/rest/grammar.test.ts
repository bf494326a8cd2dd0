import { expect, test } from "vitest";
import { RestError } from "../../../local/rest/errors.ts";
import { parseQuery } from "../../../local/rest/grammar/query.ts";

const query = (text: string) => parseQuery(new URLSearchParams(text), { readsFunction: false });

function refused(text: string): [message: string, details: unknown] {
  try {
    query(text);
  } catch (error) {
    if (error instanceof RestError) return [error.message, error.details];
    throw error;
  }
  throw new Error(`${text} was not refused`);
}

const expected = (text: string) => refused(text)[1];

// PostgREST: each of these is an example of its own documentation of the grammar.
test("errors are worded as PostgREST words them", () => {
  expect(refused("id=val")).toEqual([
    '"failed to parse filter (val)" (line 1, column 1)',
    'unexpected "v" expecting "not" or operator (eq, gt, ...)',
  ]);
  expect(refused("select=id,clients(name[])")).toEqual([
    '"failed to parse select parameter (id,clients(name[]))" (line 1, column 16)',
    `unexpected '[' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input`,
  ]);
  expect(refused("select=data->>-78xy")).toEqual([
    '"failed to parse select parameter (data->>-78xy)" (line 1, column 11)',
    `unexpected 'x' expecting digit, "->", "::", ".", "," or end of input`,
  ]);
  expect(expected("id=fts().value")).toBe('unexpected ")" expecting operator (eq, gt, ...)');
  expect(expected("id=eq().value")).toBe('unexpected ")" expecting operator (eq, gt, ...)');
  expect(expected("id=is().value")).toBe('unexpected "(" expecting operator (eq, gt, ...)');
  expect(refused("order=clients(name,id)")).toEqual([
    '"failed to parse order (clients(name,id))" (line 1, column 8)',
    `unexpected '(' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input`,
  ]);
  expect(refused("order=id.descc")).toEqual([
    '"failed to parse order (id.descc)" (line 1, column 8)',
    `unexpected 'c' expecting delimiter (.), "," or end of input`,
  ]);
  expect(expected("order=id.asc.nlsfst")).toBe('unexpected "l" expecting "nullsfirst" or "nullslast"');
  expect(expected("order=id.nullslasttt")).toBe(`unexpected 't' expecting "," or end of input`);
  expect(expected("or=()")).toBe(
    'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)',
  );
  expect(refused("or=(id.in.1,2,id.eq.3)")[0]).toBe(
    '"failed to parse logic tree ((id.in.1,2,id.eq.3))" (line 1, column 10)',
  );
  expect(expected("or=(id.in.1,2,id.eq.3)")).toBe('unexpected "1" expecting "("');
  expect(expected("and=(ord(id.eq.1,id.eq.1),id.eq.2)")).toBe('unexpected "d" expecting "("');
  expect(expected("or=(id.eq.1,not.xor(id.eq.2,id.eq.3))")).toBe(
    'unexpected "x" expecting logic operator (and, or)',
  );
});

test("names hold spaces, dashes, letters of any script, and between quotes anything", () => {
  const { select } = query(String.raw`select=first name,with-dash,été_2,"a \"quoted\", (name)",data->"k-y"->>0`);
  expect(select.map((item) => item.kind === "field" && item.field)).toEqual([
    { name: "first name", path: [] },
    { name: "with-dash", path: [] },
    { name: "été_2", path: [] },
    { name: 'a "quoted", (name)', path: [] },
    { name: "data", path: [{ arrow: "->", operand: { key: "k-y" } }, { arrow: "->>", operand: { index: "+0" } }] },
  ]);
});

test("parameters for an embedded resource are told from those for the rows themselves", () => {
  const parsed = query(
    "select=*,author(*)&author.name=eq.x&author.order=name.desc&author.not.or=(a.eq.1,b.is.null)&limit=5",
  );
  expect(parsed.filters).toMatchObject([{ path: ["author"], filter: { field: { name: "name" } } }]);
  expect(parsed.order).toMatchObject([{ path: ["author"], terms: [{ direction: "desc" }] }]);
  expect(parsed.logic).toMatchObject([{ path: ["author"], tree: { kind: "group", negated: true, operator: "or" } }]);
  expect(parsed.ranges).toEqual([{ path: [], range: { first: 0, last: 4 } }]);
});

test("what is no filter is an argument when a function is read", () => {
  const { filters, args } = parseQuery(new URLSearchParams("a=1&b=eq.2&c=not.in.(3)"), { readsFunction: true });
  expect(args).toEqual([["a", "1"]]);
  expect(filters.map(({ filter }) => filter.field.name)).toEqual(["b", "c"]);
});

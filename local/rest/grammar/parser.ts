/**
 * A small parser kit with the error semantics of Haskell's Parsec, in which PostgREST's grammar is written: the same
 * rules then give the same messages, such as `unexpected "x" expecting "not" or operator (eq, gt, ...)`.
 *
 * A parser that fails after taking input ends the search for alternatives, unless wrapped in `attempt`.
 */
export type Parser<T> = (input: Input, at: number) => Outcome<T>;

/** One character per entry, so that columns count as people do. */
export type Input = readonly string[];

type Outcome<T> = { ok: true; value: T; at: number; fault: Fault } | { ok: false; consumed: boolean; fault: Fault };

/** What would have been accepted at the furthest point reached. Kept on success too: the next failure may be there. */
interface Fault {
  at: number;
  messages: readonly Message[];
}

interface Message {
  kind: MessageKind;
  text: string;
}

type MessageKind = typeof FOUND | typeof UNEXPECTED | typeof EXPECTED;
// In the order in which they are told. An UNEXPECTED said on purpose replaces the FOUND of the parser itself.
const FOUND = 0;
const UNEXPECTED = 1;
const EXPECTED = 2;

export class ParseFailure extends Error {
  override readonly name = "ParseFailure";
  readonly details: string;

  constructor(message: string, details: string) {
    super(message);
    this.details = details;
  }
}

/** Parses the beginning of `text`; `described` names it in the error. */
export function parse<T>(parser: Parser<T>, text: string, described: string): T {
  const input = Array.from(text);
  const outcome = parser(input, 0);
  if (outcome.ok) return outcome.value;
  throw new ParseFailure(`"${described}" ${position(input, outcome.fault.at)}`, tell(outcome.fault.messages));
}

export function succeed<T>(value: T): Parser<T> {
  return (_input, at) => ({ ok: true, value, at, fault: silence(at) });
}

export function fail(_input: Input, at: number): Outcome<never> {
  return { ok: false, consumed: false, fault: silence(at) };
}

export function satisfy(test: (character: string) => boolean): Parser<string> {
  return (input, at) => {
    const character = input[at];
    if (character !== undefined && test(character)) {
      return { ok: true, value: character, at: at + 1, fault: silence(at + 1) };
    }
    return { ok: false, consumed: false, fault: fault(at, FOUND, character === undefined ? "" : quoted(character)) };
  };
}

export const anyChar: Parser<string> = satisfy(() => true);
export const letter: Parser<string> = label(satisfy((c) => /^\p{L}$/u.test(c)), "letter");
export const digit: Parser<string> = label(satisfy((c) => c >= "0" && c <= "9"), "digit");

export function char(expected: string): Parser<string> {
  return label(satisfy((c) => c === expected), quoted(expected));
}

export function oneOf(characters: string): Parser<string> {
  return satisfy((c) => characters.includes(c));
}

export function noneOf(characters: string): Parser<string> {
  return satisfy((c) => !characters.includes(c));
}

export function word(expected: string): Parser<string> {
  const wanted = Array.from(expected);
  return (input, at) => {
    const wrong = wanted.findIndex((c, i) => input[at + i] !== c);
    if (wrong === -1) return { ok: true, value: expected, at: at + wanted.length, fault: silence(at + wanted.length) };
    const found = input[at + wrong];
    const messages: Message[] = [
      { kind: EXPECTED, text: quoted(expected) },
      { kind: FOUND, text: found === undefined ? "" : quoted(found) },
    ];
    return { ok: false, consumed: wrong > 0, fault: { at, messages } };
  };
}

export const end: Parser<void> = label(
  (input, at) => {
    const character = input[at];
    if (character === undefined) return { ok: true, value: undefined, at, fault: silence(at) };
    return { ok: false, consumed: false, fault: fault(at, UNEXPECTED, `'${character}'`) };
  },
  "end of input",
);

/** One after the other; the results of all, in order. */
export function seq<T extends unknown[]>(...parsers: { [K in keyof T]: Parser<T[K]> }): Parser<T> {
  return (input, start) => {
    const values: unknown[] = [];
    let at = start;
    let last = silence(start);
    for (const parser of parsers as Parser<unknown>[]) {
      const outcome = parser(input, at);
      const consumed = outcome.ok ? outcome.at > at : outcome.consumed;
      last = consumed ? outcome.fault : furthest(last, outcome.fault);
      if (!outcome.ok) return { ok: false, consumed: at > start || consumed, fault: last };
      values.push(outcome.value);
      at = outcome.at;
    }
    return { ok: true, value: values as T, at, fault: last };
  };
}

export function map<T, U>(parser: Parser<T>, change: (value: T) => U): Parser<U> {
  return (input, at) => {
    const outcome = parser(input, at);
    return outcome.ok ? { ...outcome, value: change(outcome.value) } : outcome;
  };
}

/** The first alternative that does not fail right away. */
export function either<T>(...alternatives: Parser<T>[]): Parser<T> {
  return (input, at) => {
    let last = silence(at);
    for (const alternative of alternatives) {
      const outcome = alternative(input, at);
      const consumed = outcome.ok ? outcome.at > at : outcome.consumed;
      if (consumed) return outcome;
      last = furthest(last, outcome.fault);
      if (outcome.ok) return { ...outcome, fault: last };
    }
    return { ok: false, consumed: false, fault: last };
  };
}

/** As `parser`, but a failure takes nothing, so that an alternative may still be tried. */
export function attempt<T>(parser: Parser<T>): Parser<T> {
  return (input, at) => {
    const outcome = parser(input, at);
    return outcome.ok ? outcome : { ...outcome, consumed: false };
  };
}

export function lookAhead<T>(parser: Parser<T>): Parser<T> {
  return (input, at) => {
    const outcome = parser(input, at);
    return outcome.ok ? { ...outcome, at, fault: silence(at) } : outcome;
  };
}

export function notFollowedBy(parser: Parser<string>): Parser<void> {
  return (input, at) => {
    const outcome = parser(input, at);
    if (!outcome.ok) return { ok: true, value: undefined, at, fault: silence(at) };
    return { ok: false, consumed: false, fault: fault(outcome.at, UNEXPECTED, `'${outcome.value}'`) };
  };
}

export function many<T>(parser: Parser<T>): Parser<T[]> {
  return (input, start) => {
    const values: T[] = [];
    let at = start;
    while (true) {
      const outcome = parser(input, at);
      if (!outcome.ok) return outcome.consumed ? outcome : { ok: true, value: values, at, fault: outcome.fault };
      values.push(outcome.value);
      at = outcome.at;
    }
  };
}

export function many1<T>(parser: Parser<T>): Parser<T[]> {
  return map(seq(parser, many(parser)), ([first, rest]) => [first, ...rest]);
}

export function sepBy1<T>(parser: Parser<T>, separator: Parser<unknown>): Parser<T[]> {
  return map(seq(parser, many(after(separator, parser))), ([first, rest]) => [first, ...rest]);
}

export function sepBy<T>(parser: Parser<T>, separator: Parser<unknown>): Parser<T[]> {
  return option(sepBy1(parser, separator), []);
}

/** Both in turn, keeping the second. */
export function after<T>(before: Parser<unknown>, parser: Parser<T>): Parser<T> {
  return map(seq(before, parser), ([, value]) => value);
}

/** Both in turn, keeping the first. */
export function before<T>(parser: Parser<T>, following: Parser<unknown>): Parser<T> {
  return map(seq(parser, following), ([value]) => value);
}

export function between<T>(open: Parser<unknown>, parser: Parser<T>, close: Parser<unknown>): Parser<T> {
  return before(after(open, parser), close);
}

export function option<T>(parser: Parser<T>, fallback: T): Parser<T> {
  return either(parser, succeed(fallback));
}

export function optional<T>(parser: Parser<T>): Parser<T | undefined> {
  return option<T | undefined>(parser, undefined);
}

/** Says `expected` instead of the details when `parser` fails right away. */
export function label<T>(parser: Parser<T>, expected: string): Parser<T> {
  return (input, at) => {
    const outcome = parser(input, at);
    const consumed = outcome.ok ? outcome.at > at : outcome.consumed;
    if (consumed || (outcome.ok && outcome.fault.messages.length === 0)) return outcome;
    const others = outcome.fault.messages.filter(({ kind }) => kind !== EXPECTED);
    return { ...outcome, fault: { at: outcome.fault.at, messages: [{ kind: EXPECTED, text: expected }, ...others] } };
  };
}

/** For rules that contain themselves. */
export function lazy<T>(rule: () => Parser<T>): Parser<T> {
  return (input, at) => rule()(input, at);
}

function silence(at: number): Fault {
  return { at, messages: [] };
}

function fault(at: number, kind: MessageKind, text: string): Fault {
  return { at, messages: [{ kind, text }] };
}

/** Of two faults the one further on; both where they are at the same place. */
function furthest(one: Fault, other: Fault): Fault {
  if (other.messages.length === 0 && one.messages.length > 0) return one;
  if (one.messages.length === 0 && other.messages.length > 0) return other;
  if (one.at !== other.at) return one.at > other.at ? one : other;
  return { at: one.at, messages: [...one.messages, ...other.messages] };
}

function position(input: Input, at: number): string {
  const lines = input.slice(0, at).join("").split("\n");
  return `(line ${lines.length}, column ${Array.from(lines.at(-1) ?? "").length + 1})`;
}

function tell(messages: readonly Message[]): string {
  const of = (kind: MessageKind) => messages.filter((message) => message.kind === kind).map(({ text }) => text);
  const found = of(FOUND)[0];
  const unexpected = enumerate(of(UNEXPECTED)) || (found === "" ? "end of input" : found ?? "");
  const expected = enumerate(of(EXPECTED));
  const parts = [unexpected && `unexpected ${unexpected}`, expected && `expecting ${expected}`].filter(Boolean);
  return parts.join(" ") || "unknown parse error";
}

function enumerate(texts: readonly string[]): string {
  const distinct = [...new Set(texts)].filter((text) => text !== "");
  const last = distinct.pop() ?? "";
  return distinct.length === 0 ? last : `${distinct.join(", ")} or ${last}`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

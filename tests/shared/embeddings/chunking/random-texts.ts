/** Texts to try the chunker on: the same seed always gives the same text. */

export type Random = () => number;

/** Numbers from 0 to below 1 (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

export function oneOf<T>(choices: readonly T[], random: Random): T {
  const choice = choices[below(choices.length, random)];
  if (choice === undefined) throw new Error("There is nothing to choose from.");
  return choice;
}

function several(most: number, random: Random, make: () => string, between: string): string {
  return Array.from({ length: 1 + below(most, random) }, make).join(between);
}

const WORDS =
  "le chunk une table Deno accord embedding de la row façade naïve œuvre queue été index vector 日本 語 ça 42 3.14 `code` **bold** [link](https://example.com/a_b) 👍🏽 e.g. l'été"
    .split(" ");

export function sentence(random: Random): string {
  const words = several(14, random, () => oneOf(WORDS, random), " ");
  return oneOf([`${words}.`, `${words} !`, `« ${words} »…`, `${words}? `, "今日は寒い。明日も。", words], random);
}

export function paragraph(random: Random): string {
  return several(9, random, () => sentence(random), oneOf([" ", "\n"], random));
}

/** A fence, each of its lines with a mark of its own, so that a broken one is found out. */
export function fence(random: Random, indent = ""): string {
  const mark = oneOf(["```", "~~~", "````", "~~~~~"], random);
  const lines = Array.from(
    { length: below(12, random) },
    () => oneOf(["# not a heading", "", "const a = 1;", "  - b", "| c |", "``", "---", paragraph(random)], random),
  );
  return [`${mark}${oneOf(["", "ts", 'sh title="a b"'], random)}`, ...lines.join("\n").split("\n"), mark]
    .map((line) => line === "" ? "" : indent + line).join("\n");
}

function list(random: Random): string {
  const isOrdered = random() < 0.5;
  const items = Array.from({ length: 1 + below(7, random) }, (_, i) => {
    const rest = random();
    const more = rest < 0.2
      ? `\n  - ${sentence(random)}\n  - ${sentence(random)}`
      : rest < 0.4
      ? `\n\n${fence(random, "   ")}`
      : rest < 0.5
      ? `\n\n   ${sentence(random)}`
      : "";
    return `${isOrdered ? `${i + 1}.` : "-"} ${sentence(random)}${more}`;
  });
  return items.join(oneOf(["\n", "\n\n"], random));
}

function table(random: Random): string {
  const rows = Array.from({ length: 1 + below(15, random) }, () => `| ${sentence(random)} | ${below(100, random)} |`);
  return ["| name | value |", "| --- | ---: |", ...rows].join("\n");
}

function block(random: Random): string {
  const make = oneOf([
    paragraph,
    paragraph,
    paragraph,
    fence,
    list,
    table,
    () => "---",
    () => `> ${sentence(random)}\n> ${sentence(random)}`,
    () => "<!-- a comment\n# no heading\n-->",
    () => "    indented code",
  ], random);
  return make(random);
}

export function section(random: Random, level = 1 + below(4, random)): string {
  const title = several(4, random, () => oneOf(WORDS, random), " ");
  const heading = random() < 0.2 && level < 3
    ? `Title ${title}\n${level === 1 ? "===" : "---"}`
    : `${"#".repeat(level)} ${title}`;
  return `${heading}\n\n${several(7, random, () => block(random), "\n\n")}`;
}

export function markdown(random: Random): string {
  const top = random() < 0.3 ? "---\ntitle: a\n# no heading: b\n---\n\n" : "";
  return top + several(6, random, () => section(random), "\n\n") + oneOf(["", "\n", "\r\n"], random);
}

const GARBAGE = [
  ..."#`~|-=>*+.:! \t\n\r\u2028\u00a0\ufeffaé語。»…\\<[1",
  "\n\n",
  "```\n",
  "~~~",
  "    ",
  "\ud800",
  "\udc00",
  "👨‍👩‍👧‍👦",
  "🇫🇷",
  "e\u0301\u0302",
  "| - |\n",
  "---\n",
  "===\n",
  "<!--",
  "-->",
  "<pre>",
  "word ",
  "<|endoftext|>",
  "x".repeat(50),
];

export function garbage(random: Random): string {
  return Array.from(
    { length: below(250, random) },
    () => random() < 0.05 ? String.fromCharCode(below(65_536, random)) : oneOf(GARBAGE, random),
  ).join("");
}

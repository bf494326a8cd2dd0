import { type Block } from "./blocks.ts";
import { type Measure, type Range, rangeOf } from "./measure.ts";
import { characterEnds, codePointEnds, lineEnds, sentenceEnds, wordEnds } from "./sentences.ts";

/** What is put into a chunk as a whole. */
export interface Part extends Range {
  tokens: number;
  /** The better a place it is to begin a chunk at, the more. */
  strength: number;
  /** Of sentences, so that it means something without its beginning. */
  isProse: boolean;
}

/** From the best place to cut at to the worst. */
const Strength = {
  block: 8,
  item: 7,
  insideItem: 6,
  row: 5,
  /** Behind a block that announces the next one. */
  announced: 4,
  sentence: 3,
  line: 2,
  word: 1,
  character: 0,
} as const;

/** The blocks of a section in parts that fit, as large as they come: a list, else its items, else what is in them. */
export function* partsOf(blocks: Block[], measure: Measure): Generator<Part> {
  let before: Block | undefined;
  for (const list of groupsOf(blocks, ["none"])) {
    const first = before !== undefined && announces(before, measure.content) ? Strength.announced : Strength.block;
    before = list.at(-1);
    yield* grouped(list, first, measure, function* () {
      let strength: number = first;
      for (const item of groupsOf(list, ["none", "list"])) {
        yield* grouped(item, strength, measure, () => blockwise(item, strength, measure));
        strength = Strength.item;
      }
    });
  }
}

/** A heading, "For example:", or the ":::note" that many sites begin a box with. */
function announces({ kind, start, end }: Block, content: string): boolean {
  if (kind !== "text") return kind === "heading";
  const ending = content.slice(Math.max(start, end - LONGEST_ANNOUNCEMENT), end);
  return /[^:][:：]$/.test(ending) || /(?:^|\n) {0,3}:::+ *\w.*$/.test(ending);
}

const LONGEST_ANNOUNCEMENT = 100;

/** The blocks as one part where they fit, else what they are divided into. */
function* grouped(
  blocks: Block[],
  strength: number,
  measure: Measure,
  divided: () => Generator<Part>,
): Generator<Part> {
  // One block is looked at when it is divided.
  if (blocks.length === 1) return yield* divided();
  const range = rangeOf(measure.content, blocks[0]?.start ?? 0, blocks.at(-1)?.end ?? 0);
  const tokens = range === undefined ? undefined : measure.countIfFits(range);
  if (range === undefined || tokens === undefined) yield* divided();
  else yield { ...range, strength, isProse: false, tokens };
}

function* blockwise(blocks: Block[], strength: number, measure: Measure): Generator<Part> {
  for (const block of blocks) {
    const [way, ...rest] = WAYS_TO_CUT[block.kind];
    yield* cut(block.start, block.end, { strength, way, rest, isProse: block.kind === "text" }, measure);
    strength = Strength.insideItem;
  }
}

function* groupsOf(blocks: Block[], beginners: Block["bond"][]): Generator<Block[]> {
  let group: Block[] = [];
  for (const block of blocks) {
    if (group.length > 0 && beginners.includes(block.bond)) {
      yield group;
      group = [];
    }
    group.push(block);
  }
  if (group.length > 0) yield group;
}

interface Way {
  strength: number;
  ends(text: string, limit: number): Iterable<number>;
}

const SENTENCES: Way = { strength: Strength.sentence, ends: sentenceEnds };
const ROWS: Way = { strength: Strength.row, ends: lineEnds };
const LINES: Way = { strength: Strength.line, ends: lineEnds };
const WORDS: Way = { strength: Strength.word, ends: wordEnds };
const CHARACTERS: Way = {
  strength: Strength.character,
  ends: (text, limit) => characterEnds(text, Math.max(1, Math.floor(limit / 4))),
};
const SINGLE_CHARACTERS: Way = { strength: Strength.character, ends: (text) => characterEnds(text, 1) };
const CODE_POINTS: Way = { strength: Strength.character, ends: codePointEnds };

/** Parts of words are larger where they may: each is measured by itself. */
const INSIDE_WORDS = [CHARACTERS, SINGLE_CHARACTERS, CODE_POINTS];
const PROSE = [SENTENCES, LINES, WORDS, ...INSIDE_WORDS];
const ROW_BY_ROW = [ROWS, SENTENCES, WORDS, ...INSIDE_WORDS];

const WAYS_TO_CUT: Record<Block["kind"], Way[]> = {
  "heading": PROSE,
  "front matter": ROW_BY_ROW,
  "text": PROSE,
  "code": ROW_BY_ROW,
  "table": ROW_BY_ROW,
};

interface Cutting {
  /** Of the boundary before the range. */
  strength: number;
  way: Way | undefined;
  rest: Way[];
  isProse: boolean;
}

function* cut(start: number, end: number, cutting: Cutting, measure: Measure): Generator<Part> {
  const { way, rest: [next, ...rest], isProse } = cutting;
  let { strength } = cutting;
  const range = rangeOf(measure.content, start, end);
  if (range === undefined) return;
  const tokens = way === undefined ? measure.count(range) : measure.countIfFits(range);
  if (way === undefined || tokens !== undefined) {
    yield { ...range, strength, isProse, tokens: tokens ?? 0 };
    return;
  }
  let from = start;
  for (const boundary of way.ends(measure.content.slice(start, end), measure.limit)) {
    yield* cut(from, start + boundary, { strength, way: next, rest, isProse }, measure);
    from = start + boundary;
    strength = way.strength;
  }
  yield* cut(from, end, { strength, way: next, rest, isProse }, measure);
}

import { chunk } from "../shared/embeddings/chunking/chunk.ts";
import { countTokens } from "../shared/embeddings/chunking/tokens.ts";
import type { Figure } from "./report.ts";
import { dataPath } from "./support/arguments.ts";
import { type Edit, readHistory } from "./support/history.ts";

/** What of a page is embedded by itself; the same key has the same vector. */
interface Sent {
  key: string;
  tokens: number;
}

type Cutter = (content: string) => Sent[];

interface Bill {
  initial: number;
  edits: number;
  chunks: number;
  /** Of the chunks of step 0. */
  sizes: number[];
}

const TARGETS = [256, 320, 384, 512];
const TARGET_OF_FIGURE = 256;
const WINDOW = 1_500;

/** What the edits of a documentation cost, over the embedding of each edited page as a whole. */
export function history(): Promise<Figure[]> {
  if (dataPath === undefined) {
    console.log("history needs --data <history-deno-docs-en.jsonl.br, or its folder>, and is left out.");
    return Promise.resolve([]);
  }
  const edits = readHistory(dataPath);
  const whole = bill(edits, (content) => content.trim() === "" ? [] : [sent(content)], { isKnown: false });
  console.log(
    `${edits.length} versions of pages; whole pages: ${whole.initial} tokens at first, ${whole.edits} for edits`,
  );
  report("lines that are new", { ...whole, ...newLines(edits) }, whole);
  report(`windows of ${WINDOW} characters`, bill(edits, windows), whole);
  for (const target of TARGETS) report(`chunks of ${target} tokens`, bill(edits, chunks(target)), whole);
  const figure = bill(edits, chunks(TARGET_OF_FIGURE)).edits / whole.edits;
  return Promise.resolve([{ name: "history.over_whole_row", value: figure, aim: { operator: "<=", value: 0.15 } }]);
}

function chunks(targetTokens: number): Cutter {
  return (content) =>
    chunk(content, { targetTokens, overlapTokens: 0, countTokens }).map(({ headings, text, tokens }) => {
      const path = headings.join(" > ");
      // The titles above a chunk are sent with it.
      return { key: `${path}\n${text}`, tokens: tokens + countTokens(path) };
    });
}

function windows(content: string): Sent[] {
  const texts = [];
  for (let i = 0; i < content.length; i += WINDOW) texts.push(content.slice(i, i + WINDOW));
  return texts.map(sent);
}

function sent(text: string): Sent {
  return { key: text, tokens: countTokens(text) };
}

/**
 * Replays the history. What some page has at the time, or the page itself had before, is not paid for.
 */
function bill(edits: Edit[], cutInto: Cutter, { isKnown = true } = {}): Bill {
  const pages = new Map<string, Sent[]>();
  const uses = new Map<string, number>();
  const total: Bill = { initial: 0, edits: 0, chunks: 0, sizes: [] };
  for (const { step, path, text } of edits) {
    const before = pages.get(path) ?? [];
    const after = text === null ? [] : cutInto(text);
    if (step === 0) total.sizes.push(...after.map(({ tokens }) => tokens));
    for (const { key, tokens } of after) {
      if (!isKnown || (uses.get(key) ?? 0) === 0) {
        total[step === 0 ? "initial" : "edits"] += tokens;
        if (step > 0) total.chunks++;
      }
      uses.set(key, (uses.get(key) ?? 0) + 1);
    }
    for (const { key } of before) uses.set(key, (uses.get(key) ?? 0) - 1);
    pages.set(path, after);
  }
  return total;
}

/** The tokens of the lines that a page did not have before, each as often as it is new. */
function newLines(edits: Edit[]): Pick<Bill, "initial" | "edits"> {
  const pages = new Map<string, string[]>();
  const total = { initial: 0, edits: 0 };
  for (const { step, path, text } of edits) {
    const lines = text?.split("\n") ?? [];
    const known = new Map<string, number>();
    for (const line of pages.get(path) ?? []) known.set(line, (known.get(line) ?? 0) + 1);
    const added = lines.filter((line) => {
      const left = known.get(line) ?? 0;
      known.set(line, left - 1);
      return left <= 0;
    });
    total[step === 0 ? "initial" : "edits"] += countTokens(added.join("\n"));
    pages.set(path, lines);
  }
  return total;
}

function report(name: string, { initial, edits, chunks, sizes }: Bill, whole: Bill): void {
  const sorted = sizes.toSorted((a, b) => a - b);
  const [median, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const share = (part: number, all: number) => (part / all).toFixed(4);
  console.log(
    `${name}: edits ${edits} tokens, ${share(edits, whole.edits)} of whole pages; at first ${initial}; together ` +
      `${share(initial + edits, whole.initial + whole.edits)}; ${chunks} chunks sent for edits, ` +
      `${sizes.length} at first, of ${median} tokens (median) to ${most}`,
  );
}

import { chunk } from "../shared/embeddings/chunking/chunk.ts";
import { countTokens } from "../shared/embeddings/chunking/tokens.ts";
import { wordsOf } from "../shared/embeddings/chunking/words.ts";
import { PROFILE_DEFAULTS } from "../shared/embeddings/profile.ts";
import { render } from "../shared/embeddings/template.ts";
import type { Figure } from "./report.ts";
import { dataPath } from "./support/arguments.ts";
import { type Edit, readHistory } from "./support/history.ts";

/** What of a page is embedded by itself; the same key has the same vector. */
interface Sent {
  key: string;
  tokens: number;
}

type Cutter = (content: string) => Sent[];

/** Tokens that are sent to the provider. */
interface Bill {
  /** For what is there at first. */
  initial: number;
  /** For pages that came later, and for later versions of any. */
  added: number;
  edited: number;
  chunks: { initial: number; later: number };
}

const TARGETS = [128, 192, 256, 384, 512];
const WINDOW = 1_500;

/**
 * What the history of a documentation costs where chunks that are known are not sent again, over what it costs where
 * each version of a page is sent as a whole. A page that came later is all new, whoever sends it: with and without.
 */
export function history(): Promise<Figure[]> {
  if (dataPath === undefined) {
    console.log("history needs --data <history-deno-docs-en.jsonl.br, or its folder>, and is left out.");
    return Promise.resolve([]);
  }
  const edits = inOrder(readHistory(dataPath));
  const whole = replay(edits, (content) => content.trim() === "" ? [] : [sent(content)], { anew: true });
  const report = (name: string, bill: Bill) => console.log(`${name}: ${shown(bill, whole)}`);
  report("whole pages", whole);
  report(`windows of ${WINDOW} characters`, replay(edits, windows));
  report("lines that the page did not have", newLines(edits));
  for (const target of TARGETS) report(`chunks of ${target} tokens`, replay(edits, chunks(target)));
  const bill = replay(edits, chunks(PROFILE_DEFAULTS.chunkTokens));
  const aim = { operator: "<=", value: 0.15 } as const;
  return Promise.resolve([
    { name: "history.over_whole_row", value: later(bill) / later(whole), aim },
    { name: "history.edits_over_whole_row", value: bill.edited / whole.edited, aim },
  ]);
}

/** A step is one change: what it moves is deleted after it was put elsewhere. */
function inOrder(edits: Edit[]): Edit[] {
  return edits.toSorted((a, b) => a.step - b.step || Number(a.text === null) - Number(b.text === null));
}

function chunks(targetTokens: number): Cutter {
  return (content) =>
    chunk(content, { targetTokens, overlapTokens: 0, countTokens }).flatMap(({ headings, text }) => {
      const words = wordsOf(text);
      return words === "" ? [] : [sent(render(PROFILE_DEFAULTS.template, { chunk: words, headings, fields: {} }))];
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

/** What some page has at the time, or the page itself had before, is not sent; all of it is where it is sent anew. */
function replay(edits: Edit[], cutInto: Cutter, { anew = false } = {}): Bill {
  const pages = new Map<string, Sent[]>();
  const uses = new Map<string, number>();
  const bill = emptyBill();
  for (const { step, path, text } of edits) {
    const before = pages.get(path) ?? [];
    const after = text === null ? [] : cutInto(text);
    for (const { key, tokens } of after) {
      const used = uses.get(key) ?? 0;
      uses.set(key, used + 1);
      if (used > 0 && !anew) continue;
      bill[kindOf(step, before)] += tokens;
      bill.chunks[step === 0 ? "initial" : "later"]++;
    }
    for (const { key } of before) uses.set(key, (uses.get(key) ?? 0) - 1);
    pages.set(path, after);
  }
  return bill;
}

/** The tokens of the lines that a page did not have before, each as often as it is new. */
function newLines(edits: Edit[]): Bill {
  const pages = new Map<string, string[]>();
  const bill = emptyBill();
  for (const { step, path, text } of edits) {
    const before = pages.get(path) ?? [];
    const lines = text?.split("\n") ?? [];
    const left = new Map<string, number>();
    for (const line of before) left.set(line, (left.get(line) ?? 0) + 1);
    const added = lines.filter((line) => {
      const same = left.get(line) ?? 0;
      left.set(line, same - 1);
      return same <= 0;
    });
    bill[kindOf(step, before)] += countTokens(added.join("\n"));
    pages.set(path, lines);
  }
  return bill;
}

function kindOf(step: number, before: unknown[]): "initial" | "added" | "edited" {
  if (step === 0) return "initial";
  return before.length === 0 ? "added" : "edited";
}

function emptyBill(): Bill {
  return { initial: 0, added: 0, edited: 0, chunks: { initial: 0, later: 0 } };
}

function later({ added, edited }: Bill): number {
  return added + edited;
}

function shown(bill: Bill, whole: Bill): string {
  const { initial, added, edited, chunks } = bill;
  const share = (part: number, all: number) => `${(part / all * 100).toFixed(1)} %`;
  const all = initial + later(bill);
  return `${later(bill)} tokens (${share(later(bill), later(whole))}), ${edited} for edits ` +
    `(${share(edited, whole.edited)}) and ${added} for pages that came later (${share(added, whole.added)}); ` +
    `${initial} at first, ${all} with it (${share(all, whole.initial + later(whole))})` +
    (chunks.initial === 0 ? "" : `; ${chunks.initial} texts sent at first, ${chunks.later} later`);
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { countTokens } from "../../../../shared/embeddings/chunking/tokens.ts";
import { chunksOf, keepsItsPromises, letters } from "./promises.ts";
import { below, fence, garbage, markdown, oneOf, paragraph, type Random, randomFrom } from "./random-texts.ts";

const NODE_MODULES = fileURLToPath(new URL("../../../../node_modules/", import.meta.url));

describe("whatever the text", () => {
  it("all of it is in its chunks, in order, where they say, within the limit, and the same each time", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = randomFrom(seed);
      const content = markdown(random);
      const targetTokens = 8 + below(120, random);
      const overlapTokens = random() < 0.5 ? 0 : below(Math.ceil(targetTokens / 2), random);
      const chunks = keepsItsPromises(content, { targetTokens, overlapTokens });
      expect(chunksOf(content, { targetTokens, overlapTokens })).toEqual(chunks);
    }
  });

  it("with broken marks, broken characters and any others it is the same", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomFrom(seed);
      const content = garbage(random);
      const targetTokens = 1 + below(60, random);
      const overlapTokens = random() < 0.5 ? 0 : below(Math.ceil(targetTokens / 2), random);
      const chunks = keepsItsPromises(content, { targetTokens, overlapTokens });
      expect(chunksOf(content, { targetTokens, overlapTokens })).toEqual(chunks);
      keepsItsPromises(content, { targetTokens, overlapTokens, countTokens: letters });
    }
  });

  it("no fence is broken that fits in a chunk", () => {
    let fitting = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const random = randomFrom(seed);
      const { content, fences } = textWithFences(random);
      const targetTokens = 20 + below(150, random);
      const overlapTokens = random() < 0.5 ? 0 : below(Math.ceil(targetTokens / 2), random);
      const chunks = keepsItsPromises(content, { targetTokens, overlapTokens });
      for (const { start, end } of fences) {
        if (countTokens(content.slice(start, end)) > targetTokens) continue;
        fitting++;
        expect(chunks.some((chunk) => chunk.start <= start && chunk.end >= end)).toBe(true);
      }
    }
    expect(fitting).toBeGreaterThan(500);
  });
});

describe("the Markdown files of what is installed here", () => {
  const files = readdirSync(NODE_MODULES, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:md|markdown)$/i.test(path)).sort();
  const random = randomFrom(1);
  const some = files.filter(() => random() < 300 / files.length);

  it("are enough of them", () => {
    expect(some.length).toBeGreaterThan(50);
  });

  it("are in their chunks from the first word to the last", () => {
    for (const path of some) {
      const content = readFileSync(join(NODE_MODULES, path), "utf8").slice(0, 60_000);
      keepsItsPromises(content, { targetTokens: 256 });
      keepsItsPromises(content, { targetTokens: 50, overlapTokens: 12 });
    }
  });
});

interface Span {
  start: number;
  end: number;
}

/** A text with fences in sections, under items of lists, between paragraphs, and where each of them is. */
function textWithFences(random: Random): { content: string; fences: Span[] } {
  let content = "";
  const fences: Span[] = [];
  const addFence = (indent: string) => {
    const text = fence(random, indent);
    fences.push({ start: content.length, end: content.length + text.length });
    content += text;
  };
  for (let count = 1 + below(14, random); count > 0; count--) {
    const choice = below(6, random);
    if (choice === 0) content += `## ${paragraph(random).split("\n")[0]}`;
    else if (choice === 1) content += paragraph(random);
    else if (choice === 2) {
      for (const item of ["- one", "- two"]) {
        content += `${item}${oneOf(["\n", "\n\n"], random)}`;
        addFence(oneOf(["  ", "    "], random));
        content += "\n";
      }
    } else addFence(oneOf(["", " ", "   "], random));
    content += oneOf(["\n\n", "\n\n\n", "\n \n"], random);
  }
  return { content, fences };
}

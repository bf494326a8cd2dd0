import { type Block, blocksOf } from "./blocks.ts";

/** What stands under one heading, up to the next one. */
export interface Section {
  /** The titles above and of it, from the outermost. */
  headings: string[];
  blocks: Block[];
}

/**
 * The sections of a text. They know nothing of each other, so that an edit in one leaves the others what they were.
 * A heading with nothing but deeper headings under it stands with the first of those; front matter stands alone.
 */
export function* sectionsOf(content: string): Generator<Section> {
  const path: Block[] = [];
  let blocks: Block[] = [];

  for (const block of blocksOf(content)) {
    if (block.kind === "heading") {
      const above = blocks.at(-1);
      const leadsHere = above?.kind === "heading" && above.level < block.level;
      if (blocks.length > 0 && !leadsHere) {
        yield { headings: titlesOf(path), blocks };
        blocks = [];
      }
      while ((path.at(-1)?.level ?? 0) >= block.level) path.pop();
      path.push(block);
    }
    blocks.push(block);
    if (block.kind === "front matter") {
      yield { headings: [], blocks };
      blocks = [];
    }
  }
  if (blocks.length > 0) yield { headings: titlesOf(path), blocks };
}

function titlesOf(path: Block[]): string[] {
  return path.map(({ title }) => title).filter((title) => title !== "");
}

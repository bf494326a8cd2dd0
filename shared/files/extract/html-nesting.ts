/** What a page is marked up with may stand open to its end. */
export interface Element {
  tag: string;
}

const BLOCKS =
  ("address article aside blockquote body button caption center dd details div dl dt fieldset figcaption figure footer " +
    "form h1 h2 h3 h4 h5 h6 header hgroup html legend li main menu nav ol p pre section summary table tbody td tfoot " +
    "th thead tr ul").split(" ");
const TABLE = new Set(["table"]);
const AROUND_PARAGRAPH = new Set(BLOCKS.filter((tag) => tag !== "p"));
const AROUND_ITEM = new Set(BLOCKS.filter((tag) => !["p", "div", "address", "li"].includes(tag)));
const AROUND_TERM = new Set(BLOCKS.filter((tag) => !["p", "div", "address", "dt", "dd"].includes(tag)));

/** Which elements end where one of their kind begins, and what they are looked for in. */
const ENDED_BY = new Map<string, { kinds: Set<string>; within: Set<string> }>([
  ["p", { kinds: new Set(["p"]), within: AROUND_PARAGRAPH }],
  ["li", { kinds: new Set(["li"]), within: AROUND_ITEM }],
  ...["dt", "dd"].map((tag) => [tag, { kinds: new Set(["dt", "dd"]), within: AROUND_TERM }] as const),
  ...["td", "th"].map((tag) => [tag, { kinds: new Set(["td", "th", "caption"]), within: TABLE }] as const),
  ["tr", { kinds: new Set(["tr", "caption"]), within: TABLE }],
  ...["tbody", "thead", "tfoot"].map((tag) =>
    [tag, { kinds: new Set(["tbody", "thead", "tfoot", "caption"]), within: TABLE }] as const
  ),
]);

/** Further out, nothing is ended: looking for it would take longer the more a page leaves open. */
const FURTHEST = 200;

/**
 * The elements that are open. The parser ends a paragraph, an item or a cell at the next one only if nothing else is
 * open in it; browsers end it with all that is. What ended so is here until the parser ends it too.
 */
export class Nesting<T extends Element> {
  readonly #elements: (T | null)[] = [];

  get depth(): number {
    return this.#elements.length;
  }

  open(element: T): void {
    this.#elements.push(element);
  }

  /** The element that the parser ends, unless it had ended. */
  close(): T | null {
    return this.#elements.pop() ?? null;
  }

  /** What ends before this one begins, innermost first. */
  endBefore(tag: string): T[] {
    const rule = ENDED_BY.get(tag);
    if (rule === undefined) return [];
    const outermost = Math.max(0, this.#elements.length - FURTHEST);
    for (let at = this.#elements.length - 1; at >= outermost; at--) {
      const open = this.#elements[at]?.tag ?? "";
      if (rule.kinds.has(open)) return this.#endFrom(at);
      if (rule.within.has(open)) break;
    }
    return [];
  }

  #endFrom(start: number): T[] {
    const ended = this.#elements.slice(start).filter((element) => element !== null);
    this.#elements.fill(null, start);
    return ended.reverse();
  }
}

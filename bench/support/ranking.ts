import type { Faq } from "./faq.ts";

/** How well each document answers a question; more is better. */
export type Score = (question: string) => Float64Array;

export interface Quality {
  /** nDCG of the first ten results: 1 where every question finds its own answer first. */
  ndcg10: number;
  /** Share of the questions whose first result is right. */
  recall1: number;
}

export function qualityOf(score: Score, { documents, queries }: Faq): Quality {
  let gain = 0;
  let first = 0;
  for (const { text, relevant } of queries) {
    const scores = score(text);
    const best = documents.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0)).slice(0, 10);
    const hits = best.map((i) => relevant.includes(documents[i]?.id ?? ""));
    const ideal = discounted(Array.from({ length: Math.min(10, relevant.length) }, () => true));
    gain += discounted(hits) / ideal;
    if (hits[0] === true) first++;
  }
  return { ndcg10: gain / queries.length, recall1: first / queries.length };
}

function discounted(hits: boolean[]): number {
  return hits.reduce((sum, hit, rank) => hit ? sum + 1 / Math.log2(rank + 2) : sum, 0);
}

/** BM25 over the whole of each document, the ranking of full-text search engines; `k1` as it suits FAQs best. */
export function bm25({ documents }: Faq, { k1 = 2, b = 0.75 } = {}): Score {
  const texts = documents.map(({ title, body }) => wordsOf(`${title}\n${body}`));
  const average = texts.reduce((sum, words) => sum + words.length, 0) / texts.length;
  const postings = new Map<string, Map<number, number>>();
  for (const [document, words] of texts.entries()) {
    for (const word of words) {
      const counts = postings.get(word) ?? new Map<number, number>();
      postings.set(word, counts.set(document, (counts.get(document) ?? 0) + 1));
    }
  }
  return (question) => {
    const scores = new Float64Array(documents.length);
    for (const word of wordsOf(question)) {
      const counts = postings.get(word) ?? new Map<number, number>();
      const rarity = Math.log(1 + (documents.length - counts.size + 0.5) / (counts.size + 0.5));
      for (const [document, count] of counts) {
        const length = (texts[document]?.length ?? 0) / average;
        scores[document] = (scores[document] ?? 0) + rarity * count * (k1 + 1) / (count + k1 * (1 - b + b * length));
      }
    }
    return scores;
  };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

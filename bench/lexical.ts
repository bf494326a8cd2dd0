import { lexicalEmbedder } from "../shared/embeddings/embedders/lexical.ts";
import type { Figure } from "./report.ts";
import { dataPath } from "./support/arguments.ts";
import { type Faq, readFaqs } from "./support/faq.ts";
import { bm25, type Quality, qualityOf, type Score } from "./support/ranking.ts";

/** What such an embedder reaches with title and body apart; it finds the title itself, in the first line. */
const AIMS: Record<string, number> = { en: 0.856, fr: 0.628 };

const embedder = lexicalEmbedder();

/** How well the keyless default finds the entry of a FAQ that answers a question in other words, beside BM25. */
export async function lexical(): Promise<Figure[]> {
  if (dataPath === undefined) {
    console.log("lexical needs --data <a FAQ file, or a folder with faq-*.json>, and is left out.");
    return [];
  }
  const figures: Figure[] = [];
  for (const faq of readFaqs(dataPath)) figures.push(...await compare(faq));
  return figures;
}

async function compare(faq: Faq): Promise<Figure[]> {
  const { name, language, documents, queries } = faq;
  const questions = new Map<string, Float32Array>();
  for (const { text } of queries) questions.set(text, (await embedder.embedQuery(text)).vector);
  const startedAt = performance.now();
  const { vectors } = await embedder.embed(documents.map(({ title, body }) => `${title}\n\n${body}`));
  const rate = documents.length / (performance.now() - startedAt) * 1000;

  const nearest: Score = (question) => Float64Array.from(vectors, (vector) => product(vector, questions.get(question)));
  const own = qualityOf(nearest, faq);
  const peer = qualityOf(bm25(faq), faq);
  console.log(
    `${name}, ${documents.length} entries, ${queries.length} questions: ${shown(own)}, ` +
      `BM25 ${shown(peer)}; ${rate.toFixed(0)} documents/s`,
  );
  return [
    { name: `lexical.${language}_ndcg10`, value: own.ndcg10, aim: { operator: ">=", value: AIMS[language] ?? 0 } },
    { name: `lexical.${language}_over_bm25`, value: own.ndcg10 / peer.ndcg10, aim: { operator: ">=", value: 1 } },
  ];
}

function product(one: Float32Array, other: Float32Array | undefined): number {
  return one.reduce((sum, number, i) => sum + number * (other?.[i] ?? 0), 0);
}

function shown({ ndcg10, recall1 }: Quality): string {
  return `nDCG@10 ${ndcg10.toFixed(3)} (first ${recall1.toFixed(3)})`;
}

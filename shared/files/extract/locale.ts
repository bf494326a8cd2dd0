/** How often words of each language were seen in a text, and how many words of any. */
export type Votes = Record<string, number>;

/** Enough to tell one language from another; more would only take time. */
const WORDS = 5_000;

/**
 * The words that each language cannot do without. Those of two languages count for both. With an apostrophe they are cut
 * short before the next word: the `s` of "Ana's" is not that of "s'il".
 */
const COMMON: Record<string, string> = {
  fr:
    "le la les des une un est dans pour que qui sur avec pas au aux du de et nous vous ce cette ces sont ou plus par " +
    "il elle en leur votre être à se son sa ses ne mais l' d' n' s' c' j' qu'",
  en: "the and of to is in that for with are this you be on not as by it from or an at was we have has can your which",
  de:
    "der die das und ist nicht mit für auf den ein eine von zu im dem sich des auch werden sie es bei oder als nach wird",
  es: "el la los las una un que de en y del para con por está como más pero sus al es se su lo no o son ser sobre",
  it: "il la le di che e un una per con non sono gli del nel alla più anche dei è si lo della delle da come o nella " +
    "l' d' c' dell' nell' all'",
  pt: "o a os as que não uma um para com do da dos das em por mais como é ao na no e de se são ser pela ou sua",
  nl: "de het een en van is niet dat voor op met zijn te aan die ook wordt in bij of als door naar u worden je deze",
};

const LANGUAGES_OF = new Map<string, string[]>();
for (const [language, words] of Object.entries(COMMON)) {
  for (const word of words.split(" ")) LANGUAGES_OF.set(word, [...LANGUAGES_OF.get(word) ?? [], language]);
}

/** The votes with those of more text; the same however the text is cut between words. */
export function withVotes(votes: Votes, text: string): Votes {
  const counts: Votes = { ...votes };
  let words = counts["words"] ?? 0;
  if (words >= WORDS) return counts;
  for (const [, word = "", apostrophe] of text.matchAll(/(\p{L}+)(['’](?=\p{L}))?/gu)) {
    if (words >= WORDS) break;
    words++;
    const lower = word.toLowerCase();
    const short = apostrophe === undefined ? undefined : LANGUAGES_OF.get(`${lower}'`);
    for (const language of short ?? LANGUAGES_OF.get(lower) ?? []) {
      counts[language] = (counts[language] ?? 0) + 1;
    }
  }
  return { ...counts, words };
}

/** The language that the words plainly speak, or null. */
export function languageOf(votes: Votes): string | null {
  const [best, second] = Object.keys(COMMON)
    .map((language) => ({ language, count: votes[language] ?? 0 }))
    .sort((a, b) => b.count - a.count);
  if (best === undefined || second === undefined) return null;
  const isPlain = best.count >= 5 && best.count >= 0.12 * (votes["words"] ?? 0) && best.count >= 1.3 * second.count;
  return isPlain ? best.language : null;
}

/** More words than this make a text that a declaration cannot make another language's. */
const WORDS_THAT_OUTWEIGH = 200;

/**
 * What the file declares, else what its words speak. A declaration that many words plainly contradict is the default of
 * the program that wrote the file, and nobody's choice: a French text that a template calls `en-US` is French.
 */
export function localeOf(declared: string | null, votes: Votes): string | null {
  const locale = normalizedLocale(declared);
  const spoken = languageOf(votes);
  if (locale === null || spoken === null || locale.startsWith(spoken)) return locale ?? spoken;
  const isContradicted = (votes["words"] ?? 0) >= WORDS_THAT_OUTWEIGH &&
    (votes[spoken] ?? 0) >= 2 * (votes[locale.slice(0, 2)] ?? 0);
  return isContradicted && locale.slice(0, 2) in COMMON ? spoken : locale;
}

const LANGUAGES_OF_THREE_LETTERS: Record<string, string> = {
  fra: "fr",
  fre: "fr",
  eng: "en",
  deu: "de",
  ger: "de",
  spa: "es",
  ita: "it",
  por: "pt",
  nld: "nl",
  dut: "nl",
};

/** `fr_ca`, `FRA`, `zh-Hant-TW` in the form that a document's locale has: `fr-CA`, `fr`, `zh-TW`. */
export function normalizedLocale(declared: string | null): string | null {
  const [language = "", ...others] = (declared ?? "").trim().toLowerCase().split(/[-_.@]/);
  const two = /^[a-z]{3}$/.test(language) ? LANGUAGES_OF_THREE_LETTERS[language] ?? "" : language;
  if (!/^[a-z]{2}$/.test(two)) return null;
  const region = others.slice(0, 2).find((part) => /^[a-z]{2}$/.test(part));
  return region === undefined ? two : `${two}-${region.toUpperCase()}`;
}

import { describe, expect, test } from "vitest";
import { languageOf, localeOf, normalizedLocale, withVotes } from "../../../../shared/files/extract/locale.ts";

const TEXTS = {
  fr: "Le piano est un instrument à cordes qui a été mis au point en Italie, et dont le son dépend de la pièce.",
  en: "The piano is an instrument with strings that was invented in Italy, and its sound depends on the room it is in.",
  de:
    "Das Klavier ist ein Instrument mit Saiten, das in Italien erfunden wurde und dessen Klang von dem Raum abhängt, in dem es steht.",
  es: "El piano es un instrumento de cuerda que se inventó en Italia, y su sonido depende de la sala en la que está.",
  it:
    "Il pianoforte è uno strumento a corde che è stato inventato in Italia, e il suono dipende dalla stanza in cui si trova.",
  pt:
    "O piano é um instrumento de cordas que foi inventado na Itália, e o seu som depende da sala em que está, mas não só.",
  nl:
    "De piano is een instrument met snaren dat in Italië is uitgevonden, en het geluid hangt af van de kamer waar hij staat.",
};

describe("the language of a text", () => {
  test.each(Object.entries(TEXTS))("%s", (language, text) => {
    expect(languageOf(withVotes({}, text))).toBe(language);
    expect(localeOf(null, withVotes({}, text))).toBe(language);
  });

  test("is not guessed from a few words, from numbers, or from another language", () => {
    for (
      const text of ["", "Piano", "12 345,00 € 2026-03-01", "Klaver on Itaaliast pärit keelpill", "ピアノは楽器です"]
    ) {
      expect(languageOf(withVotes({}, text))).toBeNull();
    }
  });

  test("is not French because of the apostrophes of another", () => {
    for (const s of ["'s", "’s"]) {
      const english = "It's John's piano. What's Ana's? Let's go, that's Bob's.".replaceAll("'s", s);
      expect(languageOf(withVotes({}, english))).not.toBe("fr");
      expect(languageOf(withVotes({}, english.repeat(10)))).not.toBe("fr");
    }
    expect(languageOf(withVotes({}, "L'accord d'un piano n'a qu'un but, et c'est l'harmonie."))).toBe("fr");
    expect(languageOf(withVotes({}, "L’accordatura dell’anno, all’inizio della stagione, è un’arte che si impara.")))
      .toBe("it");
  });

  test("is French also where its longer small words say so", () => {
    expect(languageOf(withVotes({}, "Ana accorde son piano, sa harpe, ses orgues : mais elle ne se trompe jamais.")))
      .toBe("fr");
  });

  test("is the same however the text comes in", () => {
    const text = TEXTS.fr.repeat(400);
    let votes = {};
    for (let at = 0; at < text.length; at += TEXTS.fr.length) {
      votes = withVotes(votes, text.slice(at, at + TEXTS.fr.length));
    }
    expect(votes).toEqual(withVotes({}, text));
  });

  test("is what the file declares", () => {
    expect(localeOf("fr-CA", withVotes({}, TEXTS.fr))).toBe("fr-CA");
    expect(localeOf("pl", withVotes({}, TEXTS.en.repeat(20)))).toBe("pl");
    expect(localeOf("en-US", withVotes({}, "Tarifs"))).toBe("en-US");
    expect(localeOf("x-none", withVotes({}, TEXTS.de))).toBe("de");
  });

  test("is not what a template declares, where a long text plainly speaks another", () => {
    expect(localeOf("en-US", withVotes({}, TEXTS.fr.repeat(20)))).toBe("fr");
    expect(localeOf("en-US", withVotes({}, TEXTS.fr))).toBe("en-US");
  });

  test.each([["fr", "fr"], ["FR_ca", "fr-CA"], ["zh-Hant-TW", "zh-TW"], ["fra", "fr"], ["eng", "en"], [
    "fr-FR.UTF-8",
    "fr-FR",
  ]])(
    "%s is written %s",
    (declared, locale) => expect(normalizedLocale(declared)).toBe(locale),
  );

  test.each([null, "", "x-none", "french", "qqq", "f", "12", "und"])("%s is no locale", (declared) => {
    expect(normalizedLocale(declared)).toBeNull();
  });
});

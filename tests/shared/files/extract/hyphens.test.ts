import { describe, expect, test } from "vitest";
import { joinedLines } from "../../../../shared/files/extract/hyphens.ts";

describe("words that the end of a line divides", () => {
  test.each([
    [["un régle-", "ment"], "un règlement".replace("è", "é")],
    [["la conser\u2010", "vation des", "biens"], "la conservation des biens"],
    [["un ins\u00ad", "trument"], "un instrument"],
    [["the regis-", "ter is long"], "the register is long"],
    [["c'est-à-", "dire"], "c'est-à-dire"],
    [["peut-", "être"], "peut-être"],
    [["dit-", "il hier"], "dit-il hier"],
    [["a self-", "evident rule"], "a self-evident rule"],
    [["quatre-", "vingts"], "quatre-vingts"],
    [["en Seine-", "Maritime"], "en Seine-Maritime"],
    [["le COVID-", "19"], "le COVID-19"],
    [["une pause -", "puis"], "une pause - puis"],
    [["de 3-", "(voir"], "de 3- (voir"],
    [["un", "deux"], "un deux"],
    [["un"], "un"],
    [[], ""],
  ])("%j", (lines, text) => expect(joinedLines(lines)).toBe(text));
});

import { describe, expect, test } from "vitest";
import { readMarkdown } from "../../../../shared/files/extract/markdown.ts";

describe("Markdown", () => {
  test("what stands at its top in YAML or TOML is what it says, and the rest stays as it is", () => {
    expect(
      readMarkdown(
        '---\r\ntitle: "Un: deux"\r\nlang: fr-CA\r\ntags:\r\n  - a\r\n---\r\n\r\n# Tête\r\n\r\n- a\r\n\r\n  b  \r\n',
      ),
    ).toEqual({
      content: "# Tête\n\n- a\n\n  b",
      title: "Un: deux",
      language: "fr-CA",
      metadata: {},
    });
    expect(readMarkdown("+++\ntitle = 'Un'\ndescription = \"Deux\"\n+++\ntexte")).toMatchObject({
      content: "texte",
      title: "Un",
      metadata: { description: "Deux" },
    });
  });

  test("a title may go over several lines, and a comment is no part of it", () => {
    for (const mark of [">-", "|", ">2", "|- # plié"]) {
      expect(readMarkdown(`---\ntitle: ${mark}\n  Guide de conservation\n\n  des pianos\nlang: fr # langue\n---\nun`))
        .toMatchObject({ content: "un", title: "Guide de conservation des pianos", language: "fr" });
    }
    expect(readMarkdown("---\ntitle: 'Le do # d''Ana' # dièse\ndescription: \"dit \\\"la\\\"\" # cité\n---\nun"))
      .toMatchObject({ title: "Le do # d'Ana", metadata: { description: 'dit "la"' } });
    expect(readMarkdown("---\ntitle: Le do#\n---\nun").title).toBe("Le do#");
  });

  test("a line across the page, or one that nobody closes, is no such thing", () => {
    for (const text of ["---\n\nun\n\n---\n\ndeux", "---\ntitle: un\n\ndeux", "un\ntitle: deux\n---"]) {
      expect(readMarkdown(text)).toMatchObject({ content: text, title: null });
    }
  });

  test("metadata without a text is a text", () => {
    expect(readMarkdown("---\ntitle: Un\n---\n")).toMatchObject({ content: "---\ntitle: Un\n---", title: "Un" });
  });

  test("its title is else its highest heading, outside of code", () => {
    expect(readMarkdown("## Deux\n\n```\n# code\n```\n\n# Un `mot` #\n\n# Autre").title).toBe("Un mot");
    expect(readMarkdown("texte").title).toBeNull();
  });

  test("a line of signs under its title makes a heading of it", () => {
    expect(readMarkdown("Sous-titre\n----------\n\nLe *titre*\n========\n\ntexte").title).toBe("Le titre");
    expect(readMarkdown("Sous-titre\n----------\n\ntexte").title).toBe("Sous-titre");
    for (
      const none of ["un texte\nde deux lignes\n---", "- un\n---", "un\n\n---", "```\n\ncode\n====\n```", "un\n=-="]
    ) {
      expect(readMarkdown(none).title).toBeNull();
    }
  });
});

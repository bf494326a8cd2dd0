import { describe, expect, test } from "vitest";
import { readHtml } from "../../../../shared/files/extract/html.ts";
import { FileError } from "../../../../shared/files/extract/file-error.ts";
import { fixture, read, textFile } from "./support/files.ts";

const markdown = (html: string) => readHtml(html).content;

describe("web pages", () => {
  test("a page becomes what is written on it, without what stands around", async () => {
    const { content, title, locale, metadata } = await read(fixture("page.html"));
    expect({ title, locale, metadata }).toEqual({
      title: "Tarifs et délais – Accord",
      locale: "fr-CA",
      metadata: { description: "Ce que coûte un accord, et quand." },
    });
    expect(content).toBe(`# Tarifs & délais

Mis à jour le 3 mars 2026 par l'atelier.

Un accord coûte 120 $ à domicile. Voir aussi les frais de déplacement.

## Ce qui est compris

- l'accord lui-même
- un réglage léger
  - des étouffoirs
  - de la pédale
- un compte rendu

Délais par saison

| Saison | Délai |
| --- | --- |
| Hiver | deux semaines |
| Été | trois jours ouvrables |

## Par programme

Demandez les dates avec \`accord dates --ville\` :

\`\`\`sh
accord dates --ville Québec
  --mois  mars
\`\`\`

Un accordeur devant un piano droit

L'atelier au travail

> Le meilleur accord est celui que l'on n'entend pas.

- Diapason

  La note de référence, 440 hertz.
- Tempérament

  La façon de répartir les écarts.

À savoir : aucun accord en juillet.`);
  });

  test("without a main element, articles are the text where they are most of it", () => {
    const article = `<article><p>${"Le texte de l'article. ".repeat(20)}</p></article>`;
    expect(markdown(`<p>Bandeau</p>${article}<p>Pied</p>`)).not.toContain("Bandeau");
    expect(markdown(`<p>${"Le texte de la page. ".repeat(40)}</p><article>Une brève</article>`)).toContain("page.");
  });

  test("a main element that a script would fill does not hide what is there", () => {
    expect(markdown("<main id=app></main><p>Sans script, on lit ceci.</p>")).toBe("Sans script, on lit ceci.");
  });

  test("a main element that holds little of the page is not the page", () => {
    const text = "<p>Un piano s'accorde.</p>".repeat(50);
    expect(markdown(`<main><p>Chargement…</p></main><div id=content>${text}</div>`)).toMatch(
      /^Chargement…\n\nUn piano/,
    );
    // A long menu beside it takes nothing from it.
    const menu = "<div>Une entrée du menu</div>".repeat(100);
    expect(markdown(`${menu}<main>${text}</main>`)).toMatch(/^Un piano/);
  });

  test("a page that is hidden until its script has run is read", () => {
    for (const hidden of ["style='display:none'", "hidden", "aria-hidden=true", "style='visibility: hidden'"]) {
      expect(markdown(`<html ${hidden}><body ${hidden}><p>un</p><p ${hidden}>deux</p></body></html>`)).toBe("un");
    }
  });

  test("a button that is a heading is one, and others are no text", () => {
    expect(markdown(
      "<h2 class=accordion-header><button>Combien coûte un accord ?</button></h2><div>120 €. <button>Copier</button></div>" +
        "<details><summary><button>Et le <b>samedi</b> ?</button></summary>Fermé.</details>" +
        "<dl><dt><button>Délai</button><dd>Un jour <button>i</button></dl>",
    )).toBe("## Combien coûte un accord ?\n\n120 €.\n\nEt le samedi ?\n\nFermé.\n\n- Délai\n\n  Un jour");
    expect(markdown("<nav><h2><button>Menu</button></h2><button>x</button></nav>")).toBe("## Menu");
  });

  test("a page that is nothing but header and navigation is read all the same", () => {
    expect(markdown("<header><h1>Accord</h1><p>Ouvert le lundi.</p></header>")).toBe("# Accord\n\nOuvert le lundi.");
    expect(markdown("<nav>Plan du site</nav><script>x</script>")).toBe("Plan du site");
  });

  test("lists keep their numbers and their depth", () => {
    expect(markdown("<ol start=3><li>trois<li>quatre<ul><li>a<ol><li>un</ol></ul><li><p>cinq</p><p>suite</p></ol>"))
      .toBe(
        "3. trois\n4. quatre\n   - a\n     1. un\n5. cinq\n\n   suite",
      );
    expect(markdown("<ul><li>a</ul><p>b</p><ul><li>c</ul>")).toBe("- a\n\nb\n\n- c");
  });

  test("quotations and code keep their lines", () => {
    expect(markdown("<blockquote><p>un</p><ul><li>deux</ul></blockquote>")).toBe("> un\n>\n> - deux");
    expect(markdown("<pre>a\n  b\n```\nc</pre>")).toBe("````\na\n  b\n```\nc\n````");
    expect(markdown("<ul><li>voir<pre>a\nb</pre></ul>")).toBe("- voir\n\n  ```\n  a\n  b\n  ```");
    expect(markdown("<p>les <code>a b</code>, <code></code>et <kbd>`</kbd></p>")).toBe("les `a b`, et `");
  });

  test("a table with a table, a list or a heading in it is no table", () => {
    const page = "<table><tr><td><h2>Menu</h2><td><p>Un texte.<table><tr><th>a<th>b<tr><td>1|2<td>x</table></table>";
    expect(markdown(page)).toBe("## Menu\n\nUn texte.\n\n| a | b |\n| --- | --- |\n| 1\\|2 | x |");
    expect(markdown("<table><tr><td>un<tr><td>deux</table>")).toBe("un\n\ndeux");
  });

  test("cells that go over several columns leave the others where they are", () => {
    expect(markdown("<table><tr><th colspan=2>a<th>b<tr><td>1<td>2<td>3<tr><td>4</table>")).toBe(
      "| a |  | b |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n| 4 |  |  |",
    );
  });

  test("a cell that goes over several rows stands in each of them", () => {
    expect(markdown(
      "<table><tr><th>Ville<th>Prestation<th>Prix<tr><td rowspan=2>Lyon</td><td>Accord</td><td>120</td></tr>" +
        "<tr><td>Réglage</td><td>240</td></tr><tr><td>Nice<td>Accord<td>110</table>",
    )).toBe(
      "| Ville | Prestation | Prix |\n| --- | --- | --- |\n| Lyon | Accord | 120 |\n| Lyon | Réglage | 240 |\n" +
        "| Nice | Accord | 110 |",
    );
    expect(markdown("<table><tr><th rowspan=2>a<th colspan=2>b<th rowspan=3>c<tr><td>1<td>2<tr><td>3<td>4</table>"))
      .toBe(
        "| a | b |  | c |\n| --- | --- | --- | --- |\n| a | 1 | 2 | c |\n| 3 | 4 |  | c |",
      );
    // A cell as wide as to lie over one from above.
    expect(markdown("<table><tr><td>1<td rowspan=2>2<tr><td colspan=3>3<tr><td>4<td>5</table>")).toBe(
      "| 1 | 2 |  |\n| --- | --- | --- |\n| 3 |  |  |\n| 4 | 5 |  |",
    );
    // What is no table says it once.
    expect(markdown("<table><tr><td rowspan=2>un<td><h2>deux</h2><tr><td>trois</table>")).toBe(
      "un\n\n## deux\n\ntrois",
    );
  });

  test("cells that claim a billion rows, or long ones in each, do not make a billion", () => {
    const rows = "<tr><td>a<td>b".repeat(3_000);
    const long = "x".repeat(5_000);
    expect(markdown(`<table><tr>${'<td rowspan="1000000000">x'.repeat(400)}${rows}</table>`).length).toBeLessThan(
      100_000,
    );
    expect(markdown(`<table><tr>${`<td rowspan=1000000>${long}`.repeat(2)}${rows}</table>`).length).toBeLessThan(
      400_000,
    );
  });

  test("a cell that claims a billion columns does not make a billion", () => {
    const rows = "<tr><td>a<td>b".repeat(3_000);
    expect(markdown(`<table><tr>${'<td colspan="1000000000">x'.repeat(9)}${rows}</table>`).length).toBeLessThan(
      100_000,
    );
  });

  test("broken markup loses no words", () => {
    expect(markdown("<p>un <b>deux <i>trois</b> quatre</i><div>cinq</p></div><td>six</ul></li> sept")).toBe(
      "un deux trois quatre\n\ncinq\n\nsix sept",
    );
    expect(markdown("a < b && c > d &eacute; &#233; &bogus; <3")).toBe("a < b && c > d é é &bogus; <3");
  });

  test("an exponent and the number of a note are raised", () => {
    expect(markdown("<p>10<sup>6</sup> Hz, 10<sup>−3</sup> s, 3 m<sup>2</sup>, (a)<sup>12</sup>")).toBe(
      "10⁶ Hz, 10⁻³ s, 3 m², (a)¹²",
    );
    expect(markdown("<p>1<sup>er</sup>, 1 200<sup>(1)</sup>, <sup>1</sup>/<sub>2</sub>, H<sub>2</sub>O, x<sup></sup>"))
      .toBe(
        "1er, 1 200(1), 1/2, H2O, x",
      );
  });

  test("what is never closed ends where the next of its kind begins", () => {
    expect(markdown("<p><font size=2>Paragraphe".repeat(1_500))).toBe(Array(1_500).fill("Paragraphe").join("\n\n"));
    expect(markdown(`<ul>${"<li><b>Terme un".repeat(1_500)}`)).toBe(Array(1_500).fill("- Terme un").join("\n"));
    expect(markdown("<ul><li><b>un<ul><li><i>deux<li>trois</ul><li>quatre</ul><p>cinq")).toBe(
      "- un\n  - deux\n  - trois\n- quatre\n\ncinq",
    );
    expect(markdown("<dl><dt><b>un<dd><i>deux<dt>trois<dd>quatre</dl>")).toBe("- un\n\n  deux\n- trois\n\n  quatre");
    expect(markdown("<p><b>un<div><p>deux<p>trois</div>quatre")).toBe("un\n\ndeux\n\ntrois\n\nquatre");
    expect(markdown("<ul><li><nav><b>x<li>un</ul><p>deux")).toBe("deux");
    expect(markdown("<ul><li><b hidden>x<li>un</ul>")).toBe("- un");
  });

  test("a table needs none of the tags that may be left out", () => {
    const table = "| HT | TTC |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |";
    expect(markdown("<table><thead><tr><th>HT<th>TTC<tbody><tr><td>1<td>2<tr><td>3<td>4</table>")).toBe(table);
    expect(markdown("<table><tr><th><b>HT<th><b>TTC<tr><td><p>1<td><font>2<tr><td>3<td>4</table>")).toBe(table);
    expect(markdown("<table><caption><b>Prix<tr><th>HT<th>TTC<tfoot><tr><td>1<td>2<tbody><tr><td>3<td>4</table>")).toBe(
      `Prix\n\n${table}`,
    );
  });

  test("two line breaks make a paragraph", () => {
    expect(markdown("un<br>deux<br><br>trois")).toBe("un\ndeux\n\ntrois");
  });

  test("words that look like marks of Markdown are words", () => {
    expect(markdown("<p># un</p><p>---</p><p>``` deux</p>")).toBe("\\# un\n\n\\---\n\n\\``` deux");
  });

  test("the charset of the page is that of its text", async () => {
    const page =
      '<html lang=ru><meta charset="windows-1251"><p>\u00cf\u00f0\u00e8\u00e2\u00e5\u00f2, \u00ec\u00e8\u00f0</p>';
    const bytes = Uint8Array.from(page, (character) => character.charCodeAt(0));
    expect(await read({ name: "a.html", mimeType: "text/html", bytes })).toMatchObject({
      content: "Привет, мир",
      locale: "ru",
    });
    const said = Uint8Array.from("<p>\u00cf\u00f0\u00e8\u00e2\u00e5\u00f2</p>", (character) => character.charCodeAt(0));
    expect((await read({ name: "a.html", mimeType: "text/html; charset=windows-1251", bytes: said })).content).toBe(
      "Привет",
    );
  });

  test("a page that leaves more open than anybody writes is refused, in time", async () => {
    const deep = `${"<div>".repeat(200_000)}un`;
    await expect(read(textFile("a.html", deep))).rejects.toMatchObject({ name: "FileError", code: "too_deep" });
    expect(() => readHtml("<ul><li>".repeat(3_000))).toThrow(FileError);
    expect(markdown(`${"<ul><li>".repeat(200)}fond`)).toContain("fond");
    expect(markdown(`${"<blockquote>".repeat(200)}fond`)).toBe(`${"> ".repeat(12)}fond`);
    const cell = `<p>${"Un texte. ".repeat(10_000)}`;
    expect(markdown(`${`<table><tr><td>${cell}`.repeat(20)}${"<table><tr><td>".repeat(1_000)}fond`)).toMatch(/fond$/);
  });

  test("a page of more markup than one call can read is refused before it is", async () => {
    const refusals: [string, RegExp][] = [
      ["<p>a<b>b</b>".repeat(300_000), /more than 800,000 tags/],
      [`<p>${"<a href='x'>".padEnd(12_000_000, " ")}a</a>`, /more than 12,000,000 characters, its markup included/],
      [`<table>${"<tr><td>a<td>b".repeat(80_000)}</table>`, /more than 150,000 cells: save them as CSV/],
    ];
    for (const [page, message] of refusals) {
      await expect(read(textFile("a.html", page))).rejects.toMatchObject({
        code: "too_large",
        message: expect.stringMatching(message),
      });
    }
  });

  test("a paragraph of a million entities and code marks is read at once", () => {
    const many = "&amp;<code>a</code>".repeat(100_000);
    expect(markdown(`<p>${many}</p>`)).toHaveLength(400_000);
  });
});

import { describe, expect, test } from "vitest";
import { readJson } from "../../../../shared/files/extract/json.ts";
import { fixture, read, textFile } from "./support/files.ts";

const json = (value: unknown) => readJson(JSON.stringify(value)).content;

describe("documents as JSON", () => {
  test("a code of law becomes its books, chapters and articles", async () => {
    const { content, title, locale } = await read(fixture("code.json"));
    expect({ title, locale }).toEqual({ title: "Code des instruments", locale: "fr" });
    expect(content).toBe(`# Code des instruments

Id: LEGITEXT000006070721
Langue: fr
Etat: VIGUEUR
Date publication: 2026-03-01

## Livre premier : De la conservation

### Article 1

Etat: VIGUEUR

Tout détenteur d'un instrument classé en assure la conservation.

Il en informe l'autorité compétente.

### L. 2-1

Etat: ABROGE

Les instruments à clavier sont accordés au moins une fois l'an.

## Livre deuxième : Du transport

### Chapitre unique

#### Article 3 – Transport exceptionnel

Le transport d'un instrument classé est soumis à déclaration.
La déclaration précède le transport de quinze jours.

Mots cles:

- transport
- déclaration`);
  });

  test("flat values are lines, and each record of a list a paragraph", () => {
    expect(json({ nom: "Ana", ville: "Lyon", actif: true, age: 40, rien: null, vide: "" })).toBe(
      "Nom: Ana\nVille: Lyon\nActif: true\nAge: 40",
    );
    expect(json([{ nom: "Ana", ville: "Lyon" }, { nom: "Bo" }])).toBe("Nom: Ana\nVille: Lyon\n\nNom: Bo");
    expect(json({ contact: { adresse: { ville: "Lyon" } } })).toBe("# Contact\n\n## Adresse\n\nVille: Lyon");
    expect(json(["un", 2, null, "trois"])).toBe("- un\n- 2\n- trois");
    expect(json("un mot")).toBe("un mot");
  });

  test("JSON Lines are records", async () => {
    const { content, metadata } = await read(textFile("a.jsonl", '{"nom":"Ana"}\n\n{"nom":"Bo"}\n'));
    expect(content).toBe("Nom: Ana\n\nNom: Bo");
    expect(metadata).toEqual({ records: 2 });
  });

  test("identifiers, hashes and embedded files are left out", () => {
    const noise = {
      uuid: "7f3cbe1a-0a3e-4a27-9d3e-0d1f1f8a2b6c",
      hash: "d41d8cd98f00b204e9800998ecf8427e",
      image: `data:image/png;base64,${"A".repeat(5_000)}`,
      blob: "QUJD".repeat(50),
      nom: "Ana",
    };
    expect(json(noise)).toBe("Nom: Ana");
  });

  test("markup in values becomes Markdown, and other signs stay", () => {
    expect(json({ titre: "T", texte: "<p>un</p><ul><li>deux</li></ul>" })).toBe("# T\n\nun\n\n- deux");
    expect(json({ regle: "a < b" })).toBe("Regle: a < b");
  });

  test("what is no JSON is damaged, and what is too deep is refused", async () => {
    await expect(read(textFile("a.json", '{"a": '))).rejects.toMatchObject({ code: "damaged" });
    await expect(read(textFile("a.json", "{a: 1}\n{b: 2}"))).rejects.toMatchObject({ code: "damaged" });
    await expect(read(textFile("a.json", `${"[".repeat(100_000)}1${"]".repeat(100_000)}`))).rejects.toMatchObject({
      code: "too_deep",
    });
    expect(json(JSON.parse(`${"[".repeat(200)}"fond"${"]".repeat(200)}`))).toBe("- fond");
  });

  test("numbers stay as they are written", () => {
    const written =
      '{"article": 1.10, "siret": 12345678901234567890, "limite": 1e400, "x": -0.50, "n": [7, 2.5, "3.10"]}';
    expect(readJson(written).content).toBe(
      "Article: 1.10\nSiret: 12345678901234567890\nLimite: 1e400\nX: -0.50\n\nN:\n\n- 7\n- 2.5\n- 3.10",
    );
    expect(readJson('[{"num": 1.10, "texte": "Le \\"1.10\\\\\\" et 1.20"}]').content).toBe(
      '# 1.10\n\nLe "1.10\\" et 1.20',
    );
    expect(readJson('{"a": 1.10}\n{"a": 2.0}').content).toBe("A: 1.10\n\nA: 2.0");
  });

  test("numbers that JSON does not know do not become some that it does", () => {
    for (const wrong of ['{"a": 01}', '{"a": 1.}', '{"a": +1.50}', '{"a": 1.50.2}', '{"a": "1.50}']) {
      expect(() => readJson(wrong), wrong).toThrow(/no valid JSON/);
    }
  });

  test("more values than fit into memory are refused before they are taken apart", async () => {
    const many = `[${Array.from({ length: 150_000 }, () => '{"a":1}').join(",")}]`;
    for (const name of ["a.json", "a"]) {
      await expect(read(textFile(name, many))).rejects.toMatchObject({
        code: "too_large",
        message: expect.stringContaining("250,000 values"),
      });
    }
    const commas = JSON.stringify(["a, ".repeat(300_000)]);
    expect((await read(textFile("a.json", commas))).content).toContain("a, a");
  });

  test("of several fields that could be its title, the one that says it most plainly is", () => {
    expect(readJson('{"name": "b", "Titre": "a", "label": "c"}').title).toBe("a");
  });

  test("names of fields that are JavaScript's own do no harm", () => {
    const { content } = readJson('{"__proto__": {"titre": "x"}, "constructor": "y", "toString": 1, "title": 5}');
    expect(content).toContain("Constructor: y");
  });
});

import { expect, it } from "vitest";
import { render } from "../../../shared/embeddings/template.ts";

const row = { chunk: "Il se règle.", headings: ["Pianos", "Tabouret"], fields: { title: "Guide", pages: 12 } };

it("a template has the chunk, its headings and the row's columns where it names them", () => {
  expect(render("{title}, {pages} pages\n{headings}\n\n{chunk}\n— {title}", row)).toBe(
    "Guide, 12 pages\nPianos > Tabouret\n\nIl se règle.\n— Guide",
  );
  expect(render("{chunk}", row)).toBe("Il se règle.");
});

it("what is empty leaves no blank lines before the chunk or after it", () => {
  expect(render("{headings}\n\n{chunk}", { ...row, headings: [] })).toBe("Il se règle.");
  expect(render("{subtitle}\n{chunk}\n{subtitle}", { ...row, fields: { subtitle: null } })).toBe("Il se règle.");
});

it("a column that is not there is empty, and one that is an object is its JSON", () => {
  expect(render("[{missing}] {tags} {chunk}", { ...row, fields: { tags: ["a", "b"] } })).toBe(
    '[] ["a","b"] Il se règle.',
  );
});

it("braces in the text, in a heading or in a column are text, and never looked up", () => {
  const tricky = { chunk: "{title} {chunk} $& $1", headings: ["{title}"], fields: { title: "{chunk} $&" } };
  expect(render("{headings}: {chunk}", tricky)).toBe("{title}: {title} {chunk} $& $1");
  expect(render("{title}: {chunk}", tricky)).toBe("{chunk} $&: {title} {chunk} $& $1");
});

it("what is no name of a column stays as it stands", () => {
  expect(render('{"json": 1} {a-b} {} {chunk}', row)).toBe('{"json": 1} {a-b} {} Il se règle.');
});

it("a chunk that stands twice in a template is there twice", () => {
  expect(render("{chunk}\n{chunk}", row)).toBe("Il se règle.\nIl se règle.");
});

it("the lines within a chunk stay as they are, its indentation too", () => {
  expect(render("{headings}\n\n{chunk}", { ...row, chunk: "une liste\n\n\n    code" })).toBe(
    "Pianos > Tabouret\n\nune liste\n\n\n    code",
  );
});

import { expect, test } from "vitest";
import { inVain, refusalOf, valueOf } from "./support/session.ts";

test.each([
  ["a blank question", "insert into faq_items (question) values (E' \\n ')", "faq_items_question_check"],
  [
    "a locale that is none",
    "insert into faq_items (question, locale) values ('Q', 'french')",
    "faq_items_locale_check",
  ],
  ["a locale in capitals", "insert into faq_items (question, locale) values ('Q', 'FR')", "faq_items_locale_check"],
  ["a document's locale that is none", "insert into documents (locale) values ('fr_CA')", "documents_locale_check"],
  ["a path without its bucket", "insert into documents (file_path) values ('a.pdf')", "path_with_its_bucket"],
  ["a bucket without a path", "insert into documents (bucket_id) values ('files')", "path_with_its_bucket"],
  ["a blank client, who would be nobody", "insert into documents (client_id) values ('')", "documents_client_id_check"],
  ["metadata that is a list", "insert into documents (metadata) values ('[]')", "documents_metadata_check"],
])("%s is refused", (_, sql, constraint) =>
  inVain(async (tx) => {
    expect(await refusalOf(tx, sql)).toMatchObject({ code: "23514", message: expect.stringContaining(constraint) });
  }));

test("one stored object gives one document; documents without an object are as many as one likes", () =>
  inVain(async (tx) => {
    await tx.query(
      "insert into documents (bucket_id, file_path) values ('files', 'a.pdf'), (null, null), (null, null)",
    );
    expect(await refusalOf(tx, "insert into documents (bucket_id, file_path) values ('files', 'a.pdf')"))
      .toMatchObject({ code: "23505" });
  }));

test("regional locales are allowed, and French is the default", () =>
  inVain(async (tx) => {
    const insert = "insert into faq_items (question, locale) values ('Q', $1) returning locale";
    expect(await valueOf(tx, insert, ["fr-CA"])).toBe("fr-CA");
    expect(await valueOf(tx, "insert into faq_items (question) values ('Q') returning locale")).toBe("fr");
  }));

test.each([
  ["faq_items", "question"],
  ["documents", "title"],
])("%s.updated_at moves when a row changes, and only then", (table, column) =>
  inVain(async (tx) => {
    const id = await valueOf(
      tx,
      `insert into ${table} (${column}, updated_at) values ('before', '2020-01-01') returning id`,
    );
    const touched = `update ${table} set ${column} = $2 where id = $1 returning updated_at = now()`;
    expect(await valueOf(tx, touched, [id, "before"]), "nothing changed").toBe(false);
    expect(await valueOf(tx, touched, [id, "after"]), "the text changed").toBe(true);
  }));

test("nobody's own idea of updated_at survives a change", () =>
  inVain(async (tx) => {
    const id = await valueOf(tx, "insert into faq_items (question) values ('Q') returning id");
    const update = "update faq_items set updated_at = '2001-01-01' where id = $1 returning updated_at = now()";
    expect(await valueOf(tx, update, [id])).toBe(true);
  }));

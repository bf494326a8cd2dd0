import { afterAll, beforeAll, expect, test } from "vitest";
import { define, raw, refusal, service } from "./rest/support.ts";

const drop = `drop table if exists rest_embed_tagging, rest_embed_tag, rest_embed_profile, rest_embed_book,
  rest_embed_author cascade`;

beforeAll(async () => {
  await define(`
    ${drop};
    create table rest_embed_author (id int primary key, name text);
    create table rest_embed_profile (author_id int primary key references rest_embed_author, bio text);
    create table rest_embed_book (
      id int primary key,
      title text,
      author_id int references rest_embed_author,
      editor_id int constraint rest_embed_editor references rest_embed_author,
      sequel_of int references rest_embed_book
    );
    create table rest_embed_tag (id int primary key, label text);
    create table rest_embed_tagging (
      book_id int references rest_embed_book, tag_id int references rest_embed_tag, primary key (book_id, tag_id)
    );
    insert into rest_embed_author values (1, 'Ann'), (2, 'Bob'), (3, 'Cid');
    insert into rest_embed_profile values (1, 'writes');
    insert into rest_embed_book values
      (1, 'One', 1, 2, null), (2, 'Two', 1, null, 1), (3, 'Three', 2, 1, null), (4, 'Anonymous', null, null, null);
    insert into rest_embed_tag values (1, 'sea'), (2, 'city');
    insert into rest_embed_tagging values (1, 1), (1, 2), (3, 2);
    grant all on rest_embed_author, rest_embed_profile, rest_embed_book, rest_embed_tag, rest_embed_tagging
      to service_role;
    create function rest_embed_all() returns setof rest_embed_book stable language sql
      as 'select * from rest_embed_book order by id'`);
});

afterAll(() => define(drop));

const books = (select: string) => service().from("rest_embed_book").select(select).order("id");
const authors = (select: string) => service().from("rest_embed_author").select(select).order("id");

test("the row referred to comes as an object, those that refer as a list, through a junction too", async () => {
  const { data } = await books("id, author:rest_embed_author!author_id(name), rest_embed_tag(label)").neq("id", 2);
  expect(data).toEqual([
    { id: 1, author: { name: "Ann" }, rest_embed_tag: [{ label: "sea" }, { label: "city" }] },
    { id: 3, author: { name: "Bob" }, rest_embed_tag: [{ label: "city" }] },
    { id: 4, author: null, rest_embed_tag: [] },
  ]);
  // PostgREST: a foreign key that is unique makes one of one.
  expect((await authors("name, rest_embed_profile(bio)").lte("id", 2)).data).toEqual([
    { name: "Ann", rest_embed_profile: { bio: "writes" } },
    { name: "Bob", rest_embed_profile: null },
  ]);
});

test("resources nest", async () => {
  const select = "name, books:rest_embed_book!author_id(title, rest_embed_tag(label))";
  expect((await authors(select).eq("id", 2)).data).toEqual([
    { name: "Bob", books: [{ title: "Three", rest_embed_tag: [{ label: "city" }] }] },
  ]);
});

test("several relationships need a hint: a constraint, a column, or the column itself as name", async () => {
  const { error, status } = await books("rest_embed_author(name)");
  expect(status).toBe(300);
  expect(error).toMatchObject({
    code: "PGRST201",
    message: "Could not embed because more than one relationship was found for 'rest_embed_book' and " +
      "'rest_embed_author'",
    details: expect.arrayContaining([{
      cardinality: "many-to-one",
      embedding: "rest_embed_book with rest_embed_author",
      relationship: "rest_embed_editor using rest_embed_book(editor_id) and rest_embed_author(id)",
    }]),
  });
  const { data } = await books("e:rest_embed_author!rest_embed_editor(name), author_id(name)").eq("id", 1);
  expect(data).toEqual([{ e: { name: "Bob" }, author_id: { name: "Ann" } }]);
});

test("a table that refers to itself goes both ways", async () => {
  const { data } = await books("title, sequels:rest_embed_book(title), sequel_of(title)").lte("id", 2);
  expect(data).toEqual([
    { title: "One", sequels: [{ title: "Two" }], sequel_of: null },
    { title: "Two", sequels: [], sequel_of: { title: "One" } },
  ]);
});

test("an inner resource leaves out rows without it, in the count too", async () => {
  const { data, count } = await service().from("rest_embed_book")
    .select("title, rest_embed_tag!inner(label)", { count: "exact" }).eq("rest_embed_tag.label", "sea");
  expect([data, count]).toEqual([[{ title: "One", rest_embed_tag: [{ label: "sea" }] }], 1]);
  const named = await books("title, author:rest_embed_author!author_id!inner(name)").eq("author.name", "Bob");
  expect(named.data).toEqual([{ title: "Three", author: { name: "Bob" } }]);
});

test("a resource has conditions, an order and a limit of its own", async () => {
  const { data } = await authors("name, books:rest_embed_book!author_id(title)").eq("id", 1)
    .order("title", { referencedTable: "books", ascending: false }).limit(1, { referencedTable: "books" });
  expect(data).toEqual([{ name: "Ann", books: [{ title: "Two" }] }]);
  const either = await authors("name, books:rest_embed_book!author_id(title)").eq("id", 1)
    .or("title.eq.One,title.eq.Three", { referencedTable: "books" });
  expect(either.data).toEqual([{ name: "Ann", books: [{ title: "One" }] }]);
});

test("rows can be kept for having a resource, or for having none, without showing it", async () => {
  const none = await service().from("rest_embed_author")
    .select("name, books:rest_embed_book!author_id()", { count: "exact" }).is("books", null);
  expect([none.data, none.count]).toEqual([[{ name: "Cid" }], 1]);
  const some = await books("title, author:rest_embed_author!author_id()").not("author", "is", null).gt("id", 2);
  expect(some.data).toEqual([{ title: "Three" }]);
});

test("rows are ordered by a resource of which each has one", async () => {
  const { data } = await service().from("rest_embed_book").select("title, author:rest_embed_author!author_id(name)")
    .order("author(name)", { ascending: false, nullsFirst: false }).order("id", { ascending: false });
  expect((data ?? []).map(({ title }) => title)).toEqual(["Three", "Two", "One", "Anonymous"]);
  const several = await authors("name, rest_embed_tagging:rest_embed_book!author_id(id)").order(
    "rest_embed_tagging(id)",
  );
  expect([several.status, several.error?.code]).toEqual([400, "PGRST118"]);
});

test("the columns of a single row can be spread into the row that refers to it", async () => {
  const { data } = await books("title, ...rest_embed_author!author_id(writer:name)").gte("id", 3);
  expect(data).toEqual([{ title: "Three", writer: "Bob" }, { title: "Anonymous", writer: null }]);
  const several = await authors("name, ...rest_embed_book!author_id(title)");
  expect([several.status, several.error?.code]).toEqual([400, "PGRST127"]);
});

test("what is written and what a function returns have their resources too", async () => {
  const written = await service().from("rest_embed_book").update({ title: "One!" }).eq("id", 1)
    .select("title, author:rest_embed_author!author_id(name)").single();
  expect(written.data).toEqual({ title: "One!", author: { name: "Ann" } });
  const called = await service().rpc("rest_embed_all").select("id, rest_embed_tag(label)").eq("id", 3);
  expect(called.data).toEqual([{ id: 3, rest_embed_tag: [{ label: "city" }] }]);
  await service().from("rest_embed_book").update({ title: "One" }).eq("id", 1);
});

test("a resource that is not related, or not there, is named", async () => {
  const { error, status } = await books("id, rest_embed_profile(bio)");
  expect(status).toBe(400);
  expect(error).toMatchObject({
    code: "PGRST200",
    message: "Could not find a relationship between 'rest_embed_book' and 'rest_embed_profile' in the schema cache",
    details: "Searched for a foreign key relationship between 'rest_embed_book' and 'rest_embed_profile' in the " +
      "schema 'public', but no matches were found.",
  });
  expect(await refusal(await raw("/rest_embed_book?rest_embed_tag.label=eq.sea"))).toMatchObject({
    status: 400,
    code: "PGRST108",
    message: "'rest_embed_tag' is not an embedded resource in this request",
  });
});

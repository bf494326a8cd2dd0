import { afterAll, beforeAll, expect, test } from "vitest";
import { define, raw, refusal, service } from "./rest/support.ts";

const drop = "drop table if exists rest_read_book, rest_read_number";

beforeAll(async () => {
  await define(`
    ${drop};
    create table rest_read_book (
      id int primary key, title text, price numeric(10, 2), tags text[], pages int4range, words tsvector, details jsonb
    );
    insert into rest_read_book values
      (1, 'The Lighthouse', 9.5, '{sea,classic}', '[1,100)', to_tsvector('english', 'lights at sea'),
        '{"isbn": "111", "shelf": {"row": [3, 4]}, "rank": 2}'),
      (2, 'Winter, in "Paris"', 12, '{city}', '[100,200)', to_tsvector('english', 'snow in the city'),
        '{"isbn": "222", "shelf": {"row": [5]}, "rank": 10}'),
      (3, 'Zoo', null, '{}', '[300,400)', to_tsvector('english', 'animals'), '{"isbn": "333"}'),
      (4, 'Ängste (Teil 1)', 12, null, null, null, null);
    create table rest_read_number (n int primary key);
    insert into rest_read_number select generate_series(1, 1200);
    grant select on rest_read_book, rest_read_number to anon, authenticated, service_role`);
});

afterAll(() => define(drop));

const books = () => service().from("rest_read_book");

async function ids(query: PromiseLike<{ data: { id: number }[] | null; error: unknown }>): Promise<number[]> {
  const { data, error } = await query;
  if (error !== null) throw error;
  return (data ?? []).map(({ id }) => id);
}

test("rows come with their columns as Postgres writes them", async () => {
  const { data, status } = await books().select().eq("id", 1);
  expect(status).toBe(200);
  expect(data).toEqual([{
    id: 1,
    title: "The Lighthouse",
    price: 9.5,
    tags: ["sea", "classic"],
    pages: "[1,100)",
    words: "'light':1 'sea':3",
    details: { isbn: "111", shelf: { row: [3, 4] }, rank: 2 },
  }]);
});

test("columns can be renamed, cast and reached into", async () => {
  const { data } = await books().select("name:title, price::text, details->shelf->row->0, details->>isbn").lte("id", 2)
    .order("id");
  expect(data).toEqual([
    // PostgREST: a path that ends in an index is named after its last key.
    { name: "The Lighthouse", price: "9.50", row: 3, isbn: "111" },
    { name: 'Winter, in "Paris"', price: "12.00", row: 5, isbn: "222" },
  ]);
});

test("each operator filters", async () => {
  expect(await ids(books().select("id").eq("title", "Zoo"))).toEqual([3]);
  expect(await ids(books().select("id").neq("id", 1).order("id"))).toEqual([2, 3, 4]);
  expect(await ids(books().select("id").gt("price", 9.5).lt("id", 4))).toEqual([2]);
  expect(await ids(books().select("id").gte("id", 2).lte("id", 3).order("id"))).toEqual([2, 3]);
  expect(await ids(books().select("id").like("title", "%oo"))).toEqual([3]);
  expect(await ids(books().select("id").ilike("title", "the *"))).toEqual([1]);
  expect(await ids(books().select("id").likeAnyOf("title", ["Z%", "The%"]).order("id"))).toEqual([1, 3]);
  expect(await ids(books().select("id").ilikeAllOf("title", ["%w%", "%paris%"]))).toEqual([2]);
  expect(await ids(books().select("id").is("price", null))).toEqual([3]);
  expect(await ids(books().select("id").filter("price", "is", "not_null").order("id"))).toEqual([1, 2, 4]);
  expect(await ids(books().select("id").filter("price", "isdistinct", "12.00").order("id"))).toEqual([1, 3]);
  expect(await ids(books().select("id").filter("title", "match", "^Z"))).toEqual([3]);
  expect(await ids(books().select("id").filter("title", "imatch", "^z"))).toEqual([3]);
  expect(await ids(books().select("id").filter("id", "eq(any)", "{1,4}").order("id"))).toEqual([1, 4]);
});

test("arrays, ranges and JSON have their own operators", async () => {
  expect(await ids(books().select("id").contains("tags", ["sea"]))).toEqual([1]);
  expect(await ids(books().select("id").containedBy("tags", ["city", "sea"]).order("id"))).toEqual([2, 3]);
  expect(await ids(books().select("id").overlaps("tags", ["city", "classic"]).order("id"))).toEqual([1, 2]);
  expect(await ids(books().select("id").contains("details", { isbn: "333" }))).toEqual([3]);
  expect(await ids(books().select("id").eq("details->shelf->row->>0", "5"))).toEqual([2]);
  expect(await ids(books().select("id").rangeGt("pages", "[100,200)"))).toEqual([3]);
  expect(await ids(books().select("id").rangeGte("pages", "[100,200)").order("id"))).toEqual([2, 3]);
  expect(await ids(books().select("id").rangeLt("pages", "[150,200)"))).toEqual([1]);
  expect(await ids(books().select("id").rangeLte("pages", "[100,200)").order("id"))).toEqual([1, 2]);
  expect(await ids(books().select("id").rangeAdjacent("pages", "[200,300)").order("id"))).toEqual([2, 3]);
});

test("words are searched, in text as in a vector", async () => {
  expect(await ids(books().select("id").textSearch("words", "light & sea"))).toEqual([1]);
  expect(await ids(books().select("id").textSearch("words", "snow city", { type: "plain", config: "english" })))
    .toEqual([2]);
  expect(await ids(books().select("id").textSearch("words", "snow in the city", { type: "phrase", config: "english" })))
    .toEqual([2]);
  expect(await ids(books().select("id").textSearch("words", "animals or snow", { type: "websearch" }).order("id")))
    .toEqual([2, 3]);
  // PostgREST: since version 13, what is not yet a vector is made one.
  expect(await ids(books().select("id").textSearch("title", "lighthouse", { type: "plain", config: "english" })))
    .toEqual([1]);
});

test("a list may hold commas, quotes and parentheses, or nothing", async () => {
  expect(await ids(books().select("id").in("title", ["Ängste (Teil 1)", "Zoo", "a, b"]).order("id"))).toEqual([3, 4]);
  // PostgREST: a quote within quotes is escaped by a backslash, which supabase-js leaves to the caller.
  expect(await ids(books().select("id").filter("title", "in", '("Winter, in \\"Paris\\"",Zoo)').order("id")))
    .toEqual([2, 3]);
  expect(await ids(books().select("id").in("id", []))).toEqual([]);
  expect(await ids(books().select("id").not("id", "in", "(1,2)").order("id"))).toEqual([3, 4]);
});

test("conditions combine with and, or and not, at any depth", async () => {
  expect(await ids(books().select("id").or("id.eq.1,and(price.eq.12,tags.cs.{city})").order("id"))).toEqual([1, 2]);
  expect(await ids(books().select("id").or('title.eq."Ängste (Teil 1)",title.in.("Zoo","x,y")').order("id")))
    .toEqual([3, 4]);
  expect(await ids(books().select("id").or("id.eq.1,not.and(price.not.is.null,id.gt.0)").order("id"))).toEqual([1, 3]);
  const response = await raw("/rest_read_book?select=id&not.or=(id.eq.1,id.eq.2)&order=id");
  expect(await response.json()).toEqual([{ id: 3 }, { id: 4 }]);
});

test("rows are ordered, nulls where they are wanted, by what lies in JSON too", async () => {
  expect(await ids(books().select("id").order("price", { ascending: false }).order("id"))).toEqual([3, 2, 4, 1]);
  expect(await ids(books().select("id").order("price", { nullsFirst: true }).order("id"))).toEqual([3, 1, 2, 4]);
  expect(await ids(books().select("id").order("details->rank", { ascending: false, nullsFirst: false }).order("id")))
    .toEqual([2, 1, 3, 4]);
});

test("limit and range choose rows, and the range of the answer says which", async () => {
  expect(await ids(books().select("id").order("id").range(1, 2))).toEqual([2, 3]);
  const response = await raw("/rest_read_book?select=id&order=id", { headers: { Range: "1-2" } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-range")).toBe("1-2/*");
  expect(await response.json()).toEqual([{ id: 2 }, { id: 3 }]);
  const none = await raw("/rest_read_book?limit=0");
  expect([none.status, none.headers.get("content-range"), await none.json()]).toEqual([200, "*/*", []]);
});

test("counting tells how many rows there are beyond those shown", async () => {
  const { count, data, status } = await books().select("id", { count: "exact" }).limit(1);
  // PostgREST: 206 when the rows are known not to be all.
  expect([count, data?.length, status]).toEqual([4, 1, 206]);
  const filtered = await books().select("id", { count: "exact", head: true }).gt("id", 2);
  expect([filtered.count, filtered.data, filtered.status]).toEqual([2, null, 200]);
  const planned = await books().select("id", { count: "planned", head: true });
  expect(planned.count).toBeGreaterThan(0);
  const estimated = await books().select("id", { count: "estimated", head: true });
  expect(estimated.count).toBe(4);
});

test("no answer holds more than 1,000 rows, and the count tells that there are more", async () => {
  const { data, count, status } = await service().from("rest_read_number").select("n", { count: "exact" }).order("n");
  expect([data?.length, count, status]).toEqual([1000, 1200, 206]);
  const rest = await service().from("rest_read_number").select("n").order("n").range(1000, 2999);
  expect(rest.data?.length).toBe(200);
  // PostgREST: an estimate is asked for only beyond that many rows.
  const estimated = await service().from("rest_read_number").select("n", { count: "estimated", head: true });
  expect(estimated.count).toBeGreaterThan(1000);
});

test("a range beyond the last row is refused once the rows are counted", async () => {
  const { error, status } = await books().select("id", { count: "exact" }).range(10, 19);
  expect(status).toBe(416);
  expect(error).toEqual({
    code: "PGRST103",
    details: "An offset of 10 was requested, but there are only 4 rows.",
    hint: null,
    message: "Requested range not satisfiable",
  });
  expect(await ids(books().select("id").range(10, 19))).toEqual([]);
  // PostgREST: such ranges are refused before any row is looked for.
  expect(await refusal(await raw("/rest_read_book", { headers: { Range: "5-2" } }))).toMatchObject({
    status: 416,
    details: "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
  });
  expect(await refusal(await raw("/rest_read_book?limit=-1"))).toMatchObject({
    status: 416,
    details: "Limit should be greater than or equal to zero.",
  });
});

test("a single row comes as an object, and no row or several are an error", async () => {
  const { data } = await books().select("id").eq("id", 3).single();
  expect(data).toEqual({ id: 3 });
  const { error, status } = await books().select("id").single();
  expect(status).toBe(406);
  expect(error).toEqual({
    code: "PGRST116",
    details: "The result contains 4 rows",
    hint: null,
    message: "Cannot coerce the result to a single JSON object",
  });
  const none = await books().select("id").eq("id", 99).single();
  expect(none.error?.details).toBe("The result contains 0 rows");
  expect(await books().select("id").eq("id", 99).maybeSingle()).toMatchObject({ data: null, error: null });
  expect(await books().select("id").eq("id", 1).maybeSingle()).toMatchObject({ data: { id: 1 }, error: null });
});

test("rows can come as CSV, and JSON without its nulls", async () => {
  const { data } = await books().select("id,title").lte("id", 2).order("id").csv();
  expect(data).toBe('id,title\n1,"The Lighthouse"\n2,"Winter, in ""Paris"""');
  const accept = { Accept: "application/vnd.pgrst.array+json;nulls=stripped" };
  const response = await raw("/rest_read_book?select=id,price,tags&id=eq.4", { headers: accept });
  expect(await response.json()).toEqual([{ id: 4, price: 12 }]);
  expect(response.headers.get("content-type")).toContain("application/vnd.pgrst.array+json;nulls=stripped");
});

test("an answer says where it is from, of which schema, and which preference it honoured", async () => {
  const response = await raw("/rest_read_book?select=id&id=gt.2&order=id", { headers: { Prefer: "count=exact" } });
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  // PostgREST: the parameters are sorted, so that equal requests have equal addresses.
  expect(response.headers.get("content-location")).toBe("/rest_read_book?id=gt.2&order=id&select=id");
  expect(response.headers.get("content-profile")).toBe("public");
  expect(response.headers.get("preference-applied")).toBe("count=exact");
  expect(response.headers.get("content-range")).toBe("0-1/2");
});

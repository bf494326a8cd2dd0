import { expect, test } from "vitest";
import { given, newBucket, service, sql } from "./support.ts";

async function failure(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "nothing was refused";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test("objects have the columns of the platform, in its order", async () => {
  const columns = await sql<{ name: string }>(`
    select attname as name from pg_attribute
    where attrelid = 'storage.objects'::regclass and attnum > 0 and not attisdropped order by attname`);
  expect(columns.map(({ name }) => name)).toEqual([
    "archived_at",
    "bucket_id",
    "created_at",
    "id",
    "is_delete_marker",
    "is_versioned",
    "last_accessed_at",
    "metadata",
    "name",
    "owner",
    "owner_id",
    "path_tokens",
    "updated_at",
    "user_metadata",
    "version",
  ]);
});

test("rows are not deleted in SQL, by anybody", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a", "a"));
  const message = "Direct deletion from storage tables is not allowed. Use the Storage API instead.";
  expect(await failure(() => sql(`delete from storage.objects where bucket_id = '${bucket}'`))).toBe(message);
  expect(await failure(() => sql(`delete from storage.buckets where id = '${bucket}'`))).toBe(message);
  expect(await failure(() => sql(`delete from storage.objects where false`))).toBe(message);
  expect(await given(service().from(bucket).list())).toHaveLength(1);
});

test("an update moves updated_at, and path_tokens follow the name", async () => {
  const bucket = await newBucket();
  await given(service().from(bucket).upload("a/b", "a"));
  const [row] = await sql(
    `update storage.objects set name = 'c/d/e' where bucket_id = $1
      returning path_tokens, updated_at > created_at as later`,
    [bucket],
  );
  expect(row).toEqual({ path_tokens: ["c", "d", "e"], later: true });
  // The blob keeps the name under which the service stored it, so the row goes back.
  await sql("update storage.objects set name = 'a/b' where bucket_id = $1", [bucket]);
});

/**
 * Runs SQL as the project's owner is on the platform: no superuser, with the storage owner's rights.
 * On a real Postgres the tests may log in as a superuser, whom nothing holds back; there, a role stands in.
 */
async function asOwner(statement: string): Promise<void> {
  const [me] = await sql<{ super: boolean }>("select rolsuper as super from pg_roles where rolname = current_user");
  if (me?.super !== true) return void await sql(statement);
  await sql(`
    create role storage_test_owner;
    grant supabase_storage_admin to storage_test_owner with inherit true, set false;
    grant usage, create on schema public to storage_test_owner;
    set local role storage_test_owner;
    ${statement};
    reset role;
    drop owned by storage_test_owner;
    drop role storage_test_owner`);
}

test("the project's owner makes policies and triggers on objects", async () => {
  await asOwner(`
    create policy storage_test on storage.objects for select to anon using (false);
    alter policy storage_test on storage.objects to authenticated;
    drop policy storage_test on storage.objects;
    create function public.storage_test() returns trigger language plpgsql as 'begin return null; end';
    create trigger storage_test after insert on storage.objects for each row when (false)
      execute function public.storage_test();
    drop trigger storage_test on storage.objects;
    drop function public.storage_test()`);
});

test("tables and views of the project may refer to objects", async () => {
  await asOwner(`
    create table public.storage_test (object_id uuid references storage.objects (id) on delete cascade);
    create view public.storage_test_view as select name from storage.objects;
    drop view public.storage_test_view;
    drop table public.storage_test`);
});

test.each([
  // Seen on the platform: `must be owner` for what is in the schema, `permission denied` for what would be new in it.
  ["alter table storage.objects add column mine int", "must be owner of table objects"],
  ["alter table storage.objects enable row level security", "must be owner of table objects"],
  ["drop table storage.objects cascade", "must be owner of table objects"],
  ["drop function storage.foldername(text)", "must be owner of function foldername("],
  ["create index on storage.objects (created_at)", "permission denied for schema storage"],
  ["create table storage.mine ()", "permission denied for schema storage"],
  ["create function storage.mine() returns int language sql as 'select 1'", "permission denied for schema storage"],
])("the project's owner is refused `%s`", async (statement, message) => {
  expect(await failure(() => asOwner(statement))).toContain(message);
});

import { expect, test } from "vitest";
import { become, becomeOwner, inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

/** What Vault's own documentation promises; no lane of ours has the real one. */
const create = (tx: Session, secret: string, name: string | null = null) =>
  valueOf<string>(tx, "select vault.create_secret($1, $2)", [secret, name]);

const secretOf = async (tx: Session, id: string) =>
  (await tx.query("select name, description, decrypted_secret from vault.decrypted_secrets where id = $1", [id])).rows;

test("its functions take what Vault's take, by the same names", () =>
  inVain(async (tx) => {
    const { rows } = await tx.query<{ signature: string }>(
      `select proname || '(' || pg_get_function_arguments(oid) || ') ' || prorettype::regtype as signature
       from pg_catalog.pg_proc where pronamespace = 'vault'::regnamespace and proname !~ '^_' order by signature`,
    );
    expect(rows.map(({ signature }) => signature)).toEqual([
      "create_secret(new_secret text, new_name text DEFAULT NULL::text, new_description text DEFAULT ''::text, " +
      "new_key_id uuid DEFAULT NULL::uuid) uuid",
      "update_secret(secret_id uuid, new_secret text DEFAULT NULL::text, new_name text DEFAULT NULL::text, " +
      "new_description text DEFAULT NULL::text, new_key_id uuid DEFAULT NULL::uuid) void",
    ]);
  }));

test("a secret is created, read, and changed in one respect at a time", () =>
  inVain(async (tx) => {
    const id = await create(tx, "s3cret, « é »", "test_secret");
    expect(await secretOf(tx, id)).toEqual([{
      name: "test_secret",
      description: "",
      decrypted_secret: "s3cret, « é »",
    }]);
    await tx.query("select vault.update_secret($1, 'other')", [id]);
    await tx.query("select vault.update_secret($1, new_description := 'Why')", [id]);
    await tx.query("select vault.update_secret(secret_id := $1, new_name := 'test_renamed')", [id]);
    expect(await secretOf(tx, id)).toEqual([{ name: "test_renamed", description: "Why", decrypted_secret: "other" }]);
  }));

test("a name is one secret's alone; secrets without a name are as many as one likes", () =>
  inVain(async (tx) => {
    await create(tx, "one", "test_secret");
    expect(await refusalOf(tx, "select vault.create_secret('two', 'test_secret')")).toMatchObject({ code: "23505" });
    expect(await create(tx, "three")).not.toBe(await create(tx, "three"));
  }));

test("a secret is deleted as a row", () =>
  inVain(async (tx) => {
    const id = await create(tx, "gone");
    await tx.query("delete from vault.secrets where id = $1", [id]);
    expect(await secretOf(tx, id)).toEqual([]);
  }));

test("secret keys read Vault; users and visitors do not", () =>
  inVain(async (tx) => {
    const id = await create(tx, "s3cret");
    await become(tx, "service_role");
    expect(await secretOf(tx, id)).toHaveLength(1);
    for (const role of ["authenticated", "anon"]) {
      await becomeOwner(tx);
      await become(tx, role);
      expect(await refusalOf(tx, "select from vault.decrypted_secrets")).toMatchObject({ code: "42501" });
      expect(await refusalOf(tx, "select vault.create_secret('x')")).toMatchObject({ code: "42501" });
    }
  }));

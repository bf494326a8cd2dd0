import { expect, test } from "vitest";
import { become, becomeAdmin, becomeOwner, inVain, refusalOf, type Session, valueOf } from "./support/session.ts";

interface Alert {
  subject: string;
  message: string;
  count: number;
  resolved: boolean;
}

const KIND = "test_problem";

const raise = (tx: Session, subject: string | null, message: string) =>
  tx.query("select private.raise_alert($1, $2, $3)", [KIND, subject, message]);
const resolve = (tx: Session, subject: string) => tx.query("select private.resolve_alert($1, $2)", [KIND, subject]);

async function alerts(tx: Session): Promise<Alert[]> {
  const { rows } = await tx.query<Alert>(
    `select subject, message, count, resolved_at is not null as resolved from public.alerts where kind = $1 order by id`,
    [KIND],
  );
  return rows;
}

test("one problem is one open row, however often it is seen, with what was said last", () =>
  inVain(async (tx) => {
    for (const message of ["first", "second", "third"]) await raise(tx, "disk", message);
    expect(await alerts(tx)).toEqual([{ subject: "disk", message: "third", count: 3, resolved: false }]);
  }));

test("each subject is a problem of its own, and none at all is one as well", () =>
  inVain(async (tx) => {
    await raise(tx, "disk", "full");
    await raise(tx, "network", "down");
    await raise(tx, null, "everything");
    expect((await alerts(tx)).map(({ subject }) => subject)).toEqual(["disk", "network", ""]);
  }));

test("a problem that comes back after it was resolved is a new row; the old one stays as it was", () =>
  inVain(async (tx) => {
    await raise(tx, "disk", "full");
    await resolve(tx, "disk");
    await raise(tx, "disk", "full again");
    expect(await alerts(tx)).toEqual([
      { subject: "disk", message: "full", count: 1, resolved: true },
      { subject: "disk", message: "full again", count: 1, resolved: false },
    ]);
  }));

test("resolving what is not open changes nothing, not even when it was resolved before", () =>
  inVain(async (tx) => {
    await resolve(tx, "disk");
    expect(await alerts(tx)).toEqual([]);
    await raise(tx, "disk", "full");
    await resolve(tx, "disk");
    await tx.query(
      "update public.alerts set first_seen_at = '2026-01-01', last_seen_at = '2026-01-01', resolved_at = '2026-01-02' where kind = $1",
      [KIND],
    );
    await resolve(tx, "disk");
    expect(await valueOf(tx, "select resolved_at = '2026-01-02' from public.alerts where kind = $1", [KIND])).toBe(
      true,
    );
  }));

test("a message as long as a stack trace is cut, not refused", () =>
  inVain(async (tx) => {
    await raise(tx, "disk", "x".repeat(5_000));
    expect((await alerts(tx))[0]?.message).toHaveLength(1_000);
  }));

test("a kind that is no name is refused", () =>
  inVain(async (tx) => {
    expect(await refusalOf(tx, "select private.raise_alert('Not a kind', '', 'x')")).toMatchObject({ code: "23514" });
  }));

test("administrators read alerts and resolve them, and change nothing else about them", () =>
  inVain(async (tx) => {
    await raise(tx, "disk", "full");
    await becomeAdmin(tx);
    expect(await alerts(tx)).toHaveLength(1);
    expect(await refusalOf(tx, "update public.alerts set message = 'fine'")).toMatchObject({ code: "42501" });
    expect(await refusalOf(tx, "delete from public.alerts")).toMatchObject({ code: "42501" });
    await tx.query("update public.alerts set resolved_at = now() where kind = $1", [KIND]);
    expect((await alerts(tx))[0]?.resolved).toBe(true);
  }));

test("users see no alerts and resolve none; visitors may not ask", () =>
  inVain(async (tx) => {
    await raise(tx, "disk", "full");
    await become(tx, "authenticated");
    expect(await alerts(tx)).toEqual([]);
    await tx.query("update public.alerts set resolved_at = now() where kind = $1", [KIND]);
    await becomeOwner(tx);
    expect((await alerts(tx))[0]?.resolved).toBe(false);
    await become(tx, "anon");
    expect(await refusalOf(tx, "select from public.alerts")).toMatchObject({ code: "42501" });
  }));

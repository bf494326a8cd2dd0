import type { SupabaseClient } from "@supabase/supabase-js";
import { afterEach, beforeAll, expect, test } from "vitest";
import { connectClient } from "../support/client.ts";
import { stack } from "../support/stack.ts";

/** Who asks. Claire is of the client conservatoire-lyon, Marc of hotel-bellevue. */
const CALLERS = ["visitor", "Claire", "Marc", "administrator", "secret key"] as const;
type Caller = typeof CALLERS[number];

const CLAIRE = "0a000000-0000-4000-8000-000000000002";
const MARC = "0a000000-0000-4000-8000-000000000003";
const STAFF: Caller[] = ["administrator", "secret key"];

interface Kind {
  table: "faq_items" | "documents";
  row: Record<string, unknown>;
  readers: Caller[];
}

/** Every kind of row that the policies tell apart, and everybody who sees it. */
const KINDS: Record<string, Kind> = {
  "a published question": { table: "faq_items", row: { is_published: true }, readers: [...CALLERS] },
  "an unpublished question": { table: "faq_items", row: { is_published: false }, readers: STAFF },
  "a published document": { table: "documents", row: { is_published: true }, readers: [...CALLERS] },
  "an unpublished document": { table: "documents", row: { is_published: false }, readers: STAFF },
  "a document of Claire's client": {
    table: "documents",
    row: { client_id: "conservatoire-lyon", is_published: true },
    readers: ["Claire", ...STAFF],
  },
  "an unpublished document of Claire's client": {
    table: "documents",
    row: { client_id: "conservatoire-lyon", is_published: false },
    readers: ["Claire", ...STAFF],
  },
  "a document of Claire's own": { table: "documents", row: { owner_id: CLAIRE }, readers: ["Claire", ...STAFF] },
  "a document of Claire's client that is Marc's own": {
    table: "documents",
    row: { client_id: "conservatoire-lyon", owner_id: MARC },
    readers: ["Claire", "Marc", ...STAFF],
  },
  "a document of a client that is nobody's": {
    table: "documents",
    row: { client_id: "atelier-fermé" },
    readers: STAFF,
  },
};

/** Marked, so that no other suite takes these rows for its own. */
const MARK = "row-security";
const textColumn = { faq_items: "question", documents: "title" } as const;

let clients: Record<Caller, SupabaseClient>;

async function signedIn(email: string): Promise<SupabaseClient> {
  const client = connectClient(stack().url, stack().publishableKey);
  const { error } = await client.auth.signInWithPassword({ email, password: "accord-dev" });
  if (error !== null) throw error;
  return client;
}

beforeAll(async () => {
  clients = {
    visitor: connectClient(stack().url, stack().publishableKey),
    Claire: await signedIn("claire@accord.test"),
    Marc: await signedIn("marc@accord.test"),
    administrator: await signedIn("admin@accord.test"),
    "secret key": connectClient(stack().url, stack().secretKey),
  };
});

afterEach(async () => {
  for (const table of ["faq_items", "documents"] as const) {
    await clients["secret key"].from(table).delete().like(textColumn[table], `${MARK}%`).throwOnError();
  }
});

/** How many rows a request gave back, or with which status and code it was refused. */
async function outcome(
  request: PromiseLike<{ data: unknown[] | null; error: { code: string } | null; status: number }>,
): Promise<string> {
  const { data, error, status } = await request;
  return error === null ? `${data?.length} rows` : `${status} ${error.code}`;
}

/** What this caller can do with a row of this kind, verb by verb. */
async function tryEverything(caller: Caller, { table, row }: Kind): Promise<Record<string, string>> {
  const text = textColumn[table];
  const client = clients[caller];
  const { data: { id } } = await clients["secret key"].from(table).insert({ [text]: MARK, ...row }).select("id")
    .single()
    .throwOnError();
  return {
    select: await outcome(client.from(table).select().eq("id", id)),
    insert: await outcome(client.from(table).insert({ [text]: `${MARK} copy`, ...row }).select()),
    update: await outcome(client.from(table).update({ [text]: `${MARK} changed` }).eq("id", id).select()),
    "update of everything": await outcome(
      client.from(table).update({ [text]: `${MARK} changed` }).like(text, `${MARK}%`).select(),
    ),
    delete: await outcome(client.from(table).delete().eq("id", id).select()),
  };
}

// PostgREST: a missing privilege is 401 to visitors and 403 to the others (42501); rows that a policy hides are not
// there to change, which is no error.
const REFUSED: Partial<Record<Caller, string>> = { visitor: "401 42501", Claire: "403 42501", Marc: "403 42501" };

const CASES = CALLERS.flatMap((caller) => Object.entries(KINDS).map(([kind, rows]) => ({ caller, kind, ...rows })));

test.each(CASES)("$caller and $kind", async ({ caller, ...kind }) => {
  const isStaff = STAFF.includes(caller);
  const change = isStaff ? "1 rows" : caller === "visitor" ? "401 42501" : "0 rows";
  expect(await tryEverything(caller, kind)).toEqual({
    select: kind.readers.includes(caller) ? "1 rows" : "0 rows",
    insert: isStaff ? "1 rows" : REFUSED[caller],
    update: change,
    "update of everything": isStaff ? "2 rows" : change,
    delete: change,
  });
});

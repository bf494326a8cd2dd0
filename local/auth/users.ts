import type pg from "pg";
import { AuthRefusal } from "./refusal.ts";

export type Metadata = Record<string, unknown>;

/** A row of auth.users without its secrets, with the identities that belong to it. */
export interface User {
  id: string;
  aud: string | null;
  role: string | null;
  email: string | null;
  phone: string | null;
  invited_at: Date | null;
  email_confirmed_at: Date | null;
  phone_confirmed_at: Date | null;
  confirmation_sent_at: Date | null;
  confirmed_at: Date | null;
  recovery_sent_at: Date | null;
  email_change: string | null;
  email_change_sent_at: Date | null;
  phone_change: string | null;
  phone_change_sent_at: Date | null;
  reauthentication_sent_at: Date | null;
  last_sign_in_at: Date | null;
  raw_app_meta_data: Metadata | null;
  raw_user_meta_data: Metadata | null;
  created_at: Date | null;
  updated_at: Date | null;
  banned_until: Date | null;
  deleted_at: Date | null;
  is_anonymous: boolean;
  identities: Identity[];
}

interface Identity {
  identity_id: string;
  id: string;
  user_id: string;
  identity_data: Metadata;
  provider: string;
  last_sign_in_at: Date | null;
  created_at: Date | null;
  updated_at: Date | null;
  email: string | null;
}

const COLUMNS = `id, aud, role, email, phone, invited_at, email_confirmed_at, phone_confirmed_at, confirmation_sent_at,
  confirmed_at, recovery_sent_at, email_change, email_change_sent_at, phone_change, phone_change_sent_at,
  reauthentication_sent_at, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
  banned_until, deleted_at, is_anonymous`;

/** Columns that GoTrue reads into text that cannot be null, and that have no default. */
const NEVER_NULL = ["confirmation_token", "recovery_token", "email_change_token_new", "email_change"];

/** GoTrue sees the users of this one instance; a seed that leaves instance_id out made users for nobody. */
const OURS = "instance_id = '00000000-0000-0000-0000-000000000000'";

export async function findUserById(tx: pg.PoolClient, id: string): Promise<User | undefined> {
  return (await selectUsers(tx, "id = $1", [id]))[0];
}

export async function findUserByEmail(tx: pg.PoolClient, email: string): Promise<User | undefined> {
  const where = "lower(email) = $1 and aud = 'authenticated' and not is_sso_user";
  return (await selectUsers(tx, where, [email.toLowerCase()]))[0];
}

export interface Page {
  number: number;
  size: number;
}

/** The newest users first, and how many there are on all pages. */
export async function listUsers(
  tx: pg.PoolClient,
  page: Page,
  filter: string,
): Promise<{ users: User[]; total: number }> {
  const where = `aud = 'authenticated'
    and ($1 = '' or email like '%' || $1 || '%' or raw_user_meta_data ->> 'full_name' ilike '%' || $1 || '%')`;
  const { rows: [count] } = await tx.query<{ total: number }>(
    `select count(*)::int as total from auth.users where ${OURS} and ${where}`,
    [filter],
  );
  const users = await selectUsers(tx, `${where} order by created_at desc, id limit $2 offset $3`, [
    filter,
    page.size,
    (page.number - 1) * page.size,
  ]);
  return { users, total: count?.total ?? 0 };
}

async function selectUsers(tx: pg.PoolClient, condition: string, values: unknown[]): Promise<User[]> {
  const { rows } = await tx.query<Omit<User, "identities"> & { null_columns: string[] }>(
    `select ${COLUMNS}, array_remove(array[${
      NEVER_NULL.map((column) => `case when ${column} is null then '${column}' end`).join(", ")
    }], null) as null_columns from auth.users where ${OURS} and ${condition}`,
    values,
  );
  for (const row of rows) refuseNullColumns(row.id, row.null_columns);
  const { rows: identities } = await tx.query<Identity>(
    `select id as identity_id, provider_id as id, user_id, identity_data, provider, last_sign_in_at, created_at,
       updated_at, email from auth.identities where user_id = any($1) order by created_at`,
    [rows.map((row) => row.id)],
  );
  return rows.map(({ null_columns: _, ...row }) => ({
    ...row,
    identities: identities.filter((identity) => identity.user_id === row.id),
  }));
}

/** The platform answers 500 for such a user, a seed's most common mistake; better to learn of it here. */
function refuseNullColumns(id: string, columns: string[]): void {
  if (columns.length === 0) return;
  throw new AuthRefusal(500, "unexpected_failure", "Database error querying schema", {
    cause: new Error(
      `user ${id} has null in auth.users.${columns.join(", ")}, which GoTrue cannot read: insert '' instead`,
    ),
  });
}

/** The user as GoTrue shows it: what is null is left out, but for the address and number, which become empty. */
export function presentUser(user: User): Record<string, unknown> {
  const { raw_app_meta_data, raw_user_meta_data, email_change, phone_change, identities, ...rest } = user;
  return {
    ...withoutNulls(rest),
    aud: user.aud ?? "",
    role: user.role ?? "",
    email: user.email ?? "",
    phone: user.phone ?? "",
    ...(email_change ? { new_email: email_change } : {}),
    ...(phone_change ? { new_phone: phone_change } : {}),
    app_metadata: raw_app_meta_data ?? {},
    user_metadata: raw_user_meta_data ?? {},
    identities: identities.map(withoutNulls),
  };
}

export function isBanned(user: User): boolean {
  return user.banned_until !== null && user.banned_until.getTime() > Date.now();
}

function withoutNulls(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

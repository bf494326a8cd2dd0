import { randomUUID } from "node:crypto";
import type pg from "pg";
import { AuthRefusal } from "./refusal.ts";
import { findUserById, type Metadata, type User } from "./users.ts";

export interface NewUser {
  id?: string | undefined;
  aud: string;
  role: string;
  email: string | undefined;
  phone: string | undefined;
  passwordHash: string;
  appMetadata: Metadata;
  userMetadata: Metadata;
}

/** Inserts the user and one identity for each way in that was given. */
export async function insertUser(tx: pg.PoolClient, user: NewUser, identityData: Metadata = {}): Promise<string> {
  const id = user.id ?? randomUUID();
  const providers = [...(user.email ? ["email"] : []), ...(user.phone ? ["phone"] : [])];
  const appMetadata = { provider: providers[0], providers, ...user.appMetadata };
  await tx.query(
    `insert into auth.users (instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data,
       raw_user_meta_data, is_super_admin, confirmation_token, recovery_token, email_change_token_new, email_change,
       created_at, updated_at)
     values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4, $5, $6, $7, $8, false, '', '', '', '', now(), now())`,
    [id, user.aud, user.role, user.email, user.phone, user.passwordHash, appMetadata, user.userMetadata],
  );
  if (user.email) await saveIdentity(tx, id, "email", { email: user.email }, identityData);
  if (user.phone) await saveIdentity(tx, id, "phone", { phone: user.phone }, identityData);
  return id;
}

/** What may change about a user; what is undefined stays. */
export interface UserChanges {
  role?: string | undefined;
  email?: string | undefined;
  phone?: string | undefined;
  confirmEmail?: boolean;
  confirmPhone?: boolean;
  passwordHash?: string | undefined;
  /** Merged into what is there; a key that is null goes away. */
  appMetadata?: Metadata | undefined;
  userMetadata?: Metadata | undefined;
  /** Zero lifts a ban. */
  bannedForSeconds?: number | undefined;
}

export async function updateUser(tx: pg.PoolClient, id: string, changes: UserChanges): Promise<User> {
  const app = split(changes.appMetadata);
  const user = split({ ...(changes.confirmEmail ? { email_verified: true } : {}), ...changes.userMetadata });
  await tx.query(
    `update auth.users set
       role = coalesce($2, role),
       email = coalesce($3, email),
       phone = coalesce($4, phone),
       email_confirmed_at = case when $5 then now() else email_confirmed_at end,
       phone_confirmed_at = case when $6 then now() else phone_confirmed_at end,
       encrypted_password = coalesce($7, encrypted_password),
       raw_app_meta_data = (coalesce(raw_app_meta_data, '{}') || $8::jsonb) - $9::text[],
       raw_user_meta_data = (coalesce(raw_user_meta_data, '{}') || $10::jsonb) - $11::text[],
       banned_until = case when $12::float8 is null then banned_until
                           when $12 <> 0 then now() + make_interval(secs => $12) end,
       updated_at = now()
     where id = $1`,
    [
      id,
      changes.role,
      changes.email,
      changes.phone,
      changes.confirmEmail ?? false,
      changes.confirmPhone ?? false,
      changes.passwordHash,
      app.set,
      app.removed,
      user.set,
      user.removed,
      changes.bannedForSeconds,
    ],
  );
  const { confirmEmail = false, confirmPhone = false } = changes;
  if (changes.email) await saveIdentity(tx, id, "email", { email: changes.email, email_verified: confirmEmail });
  if (changes.phone) await saveIdentity(tx, id, "phone", { phone: changes.phone, phone_verified: confirmPhone });
  const updated = await findUserById(tx, id);
  if (updated === undefined) throw new AuthRefusal(404, "user_not_found", "User not found");
  return updated;
}

/** `profile` is what the person says of themselves; it never overrides what is known. */
async function saveIdentity(
  tx: pg.PoolClient,
  userId: string,
  provider: string,
  known: Metadata,
  profile: Metadata = {},
): Promise<void> {
  await tx.query(
    `insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
     values ($1::text, $1::uuid, $3, $2, now(), now(), now())
     on conflict (provider_id, provider) do update
       set identity_data = identities.identity_data || $4::jsonb, updated_at = now()`,
    [userId, provider, { ...profile, sub: userId, email_verified: false, phone_verified: false, ...known }, known],
  );
}

export async function deleteUser(tx: pg.PoolClient, id: string): Promise<void> {
  await tx.query("delete from auth.users where id = $1", [id]);
}

/** Keeps the row for whoever refers to it, and forgets the person. */
export async function forgetUser(tx: pg.PoolClient, id: string): Promise<void> {
  await tx.query(
    `update auth.users set
       email = encode(sha256(convert_to(id || email, 'utf8')), 'hex'),
       phone = left(encode(sha256(convert_to(id || phone, 'utf8')), 'hex'), 15),
       encrypted_password = '', raw_app_meta_data = '{}', raw_user_meta_data = '{}',
       deleted_at = coalesce(deleted_at, now()), updated_at = now()
     where id = $1`,
    [id],
  );
  await tx.query(
    `update auth.identities
     set identity_data = '{}', provider_id = encode(sha256(convert_to(provider || provider_id, 'utf8')), 'hex')
     where user_id = $1`,
    [id],
  );
  await tx.query("delete from auth.sessions where user_id = $1", [id]);
}

/** Runs the change; a database that refuses it, by a trigger or a reference, is told as GoTrue tells it. */
export async function saving<T>(complaint: string, change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (cause) {
    if (cause instanceof AuthRefusal) throw cause;
    throw new AuthRefusal(500, "unexpected_failure", complaint, { cause });
  }
}

function split(changes: Metadata = {}): { set: Metadata; removed: string[] } {
  const entries = Object.entries(changes);
  return {
    set: Object.fromEntries(entries.filter(([, value]) => value !== null)),
    removed: entries.filter(([, value]) => value === null).map(([key]) => key),
  };
}

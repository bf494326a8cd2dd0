import type pg from "pg";
import { AuthRefusal } from "./refusal.ts";

/** As `supabase start` configures GoTrue, and as long as bcrypt can tell passwords apart. */
const SHORTEST = 6;
const LONGEST_IN_BYTES = 72;

export function requireStrongPassword(password: string): void {
  if (Buffer.byteLength(password) > LONGEST_IN_BYTES) {
    throw new AuthRefusal(
      400,
      "validation_failed",
      `Password cannot be longer than ${LONGEST_IN_BYTES} characters`,
    );
  }
  if (Buffer.byteLength(password) < SHORTEST) {
    throw new AuthRefusal(422, "weak_password", `Password should be at least ${SHORTEST} characters.`, {
      details: { weak_password: { reasons: ["length"] } },
    });
  }
}

/** pgcrypto's default cost, lower than GoTrue's: hashing occupies the one session that the embedded database has. */
export async function hashPassword(tx: pg.PoolClient, password: string): Promise<string> {
  const { rows } = await tx.query<{ hash: string }>(
    "select extensions.crypt($1, extensions.gen_salt('bf')) as hash",
    [password],
  );
  const [row] = rows;
  if (row === undefined) throw new Error("extensions.crypt returned no row");
  return row.hash;
}

const BCRYPT_HASH = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;

export function requireBcryptHash(hash: string): string {
  if (BCRYPT_HASH.test(hash)) return hash;
  throw new AuthRefusal(400, "validation_failed", "password_hash must be a bcrypt hash: $2a$, $2b$ or $2y$");
}

/**
 * Whether the password is the user's. pgcrypto knows bcrypt as $2a$ alone; for passwords that GoTrue accepts, $2b$ and
 * $2y$ are the same function under another name.
 */
export async function passwordMatches(tx: pg.PoolClient, userId: string, password: string): Promise<boolean> {
  const { rows } = await tx.query<{ hash: string | null }>(
    "select encrypted_password as hash from auth.users where id = $1",
    [userId],
  );
  const hash = rows[0]?.hash ?? "";
  if (!BCRYPT_HASH.test(hash)) return false;
  const { rows: [check] } = await tx.query<{ matches: boolean }>(
    "select extensions.crypt($1, $2) = $2 as matches",
    [password, `$2a$${hash.slice(4)}`],
  );
  return check?.matches ?? false;
}

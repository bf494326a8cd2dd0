import pg from "pg";
import { stack } from "../../support/stack.ts";

export type Session = pg.Client;

/** What a refused statement said, as a person at psql would read it. */
export interface Refusal {
  code: string | undefined;
  message: string;
  hint: string | undefined;
}

export async function withSession<T>(
  work: (session: Session) => Promise<T>,
  url: string = stack().databaseUrl,
): Promise<T> {
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/** Runs `work` in one transaction and takes all of it back. */
export function inVain<T>(work: (tx: Session) => Promise<T>, url?: string): Promise<T> {
  return withSession(async (tx) => {
    await tx.query("begin");
    try {
      return await work(tx);
    } finally {
      await tx.query("rollback");
    }
  }, url);
}

/** The lane's database as its superuser, who may break what others cannot. */
export function superuserUrl(): string {
  const url = new URL(stack().databaseUrl);
  // The embedded database keeps the rights of a hosted project for `postgres`; a real one here is its superuser's.
  if (url.password !== "") url.username = "supabase_admin";
  return url.href;
}

/** From here to the end of the transaction, the caller is whom a token names. */
export async function become(tx: Session, role: string, claims: Record<string, unknown> = {}): Promise<void> {
  await tx.query("select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)", [
    JSON.stringify({ role, ...claims }),
    role,
  ]);
}

export const becomeAdmin = (tx: Session): Promise<void> =>
  become(tx, "authenticated", { app_metadata: { role: "admin" } });

/** Back to the role that connected. */
export async function becomeOwner(tx: Session): Promise<void> {
  await tx.query("select set_config('request.jwt.claims', '', true), set_config('role', 'none', true)");
}

/** The first column of the first row. */
export async function valueOf<T>(tx: Session, sql: string, values: unknown[] = []): Promise<T> {
  const { rows: [row] } = await tx.query<[T]>({ text: sql, values, rowMode: "array" });
  if (row === undefined) throw new Error(`No row came of: ${sql}`);
  return row[0];
}

/** The refusal of a statement that must not succeed; the transaction goes on as if it had not been tried. */
export async function refusalOf(tx: Session, sql: string, values: unknown[] = []): Promise<Refusal> {
  await tx.query("savepoint before_refusal");
  try {
    await tx.query(sql, values);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    await tx.query("rollback to before_refusal");
    return { code: error.code, message: error.message, hint: error.hint };
  }
  throw new Error(`This was not refused: ${sql}`);
}

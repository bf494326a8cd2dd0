import type { PGlite } from "@electric-sql/pglite";
import { closeStatement, type Frame, FrameSplitter, query, sync } from "./frames.ts";
import type { ClientSession, SavedSession } from "./session.ts";
import { Buffer } from "node:buffer";

export type TransactionStatus = "I" | "T" | "E";

/** The one real session behind all clients: it carries the settings of whichever client speaks. */
export class Backend {
  readonly #db: PGlite;
  #current: ClientSession | undefined;

  constructor(db: PGlite) {
    this.#db = db;
  }

  /** The session a new connection of this user begins with, or undefined when the role may not log in. */
  async newSession(user: string): Promise<SavedSession | undefined> {
    await this.#leave();
    const { rows } = await this.#db.query<{ setconfig: string[] | null }>(
      `select s.setconfig from pg_roles r left join pg_db_role_setting s on s.setrole in (0, r.oid)
       where r.rolname = $1 and r.rolcanlogin order by s.setrole`,
      [user],
    );
    if (rows.length === 0) return undefined;
    const settings = new Map<string, string>();
    for (const assignment of rows.flatMap((row) => row.setconfig ?? [])) {
      const equals = assignment.indexOf("=");
      settings.set(assignment.slice(0, equals), assignment.slice(equals + 1));
    }
    return { user, role: "none", settings };
  }

  /** What the server reports of itself at connection. */
  async reportedSettings(): Promise<[string, string][]> {
    const { rows } = await this.#db.query<{ name: string; setting: string }>(
      `select name, setting from pg_settings where name in ('server_version', 'server_encoding', 'client_encoding',
         'DateStyle', 'IntervalStyle', 'TimeZone', 'standard_conforming_strings', 'integer_datetimes',
         'in_hot_standby', 'default_transaction_read_only', 'search_path')`,
    );
    return rows.map(({ name, setting }) => [name, setting]);
  }

  /** Makes the backend this client's: settings and role as it left them, its statements at hand. */
  async become(session: ClientSession): Promise<void> {
    if (this.#current === session) return;
    await this.#leave();
    this.#current = session;
    await this.#load(session.saved);
    const unnamed = session.statements.get("");
    if (unnamed !== undefined) await this.exchange(Buffer.concat([unnamed, sync()]), () => {});
  }

  /** Forgets the client; what only it could see goes with it. */
  async drop(session: ClientSession, options: { inTransaction: boolean; temporaryTables: boolean }): Promise<void> {
    if (options.inTransaction) await this.exchange(query("rollback"), () => {});
    if (this.#current === session) await this.#leave();
    const names = [...session.statements.keys(), ...session.sqlStatements].filter((name) => name !== "");
    if (names.length > 0) await this.exchange(Buffer.concat([...names.map(closeStatement), sync()]), () => {});
    if (options.temporaryTables) await this.#db.exec("discard temp");
  }

  /** Prepares this client's statements anew after another client's `deallocate all`. */
  async restoreStatements(session: ClientSession): Promise<void> {
    for (const parse of session.statements.values()) await this.exchange(Buffer.concat([parse, sync()]), () => {});
  }

  /** Listens for those who still want to, after somebody has stopped listening for all. */
  async listenAgain(channels: Set<string>): Promise<void> {
    for (const channel of channels) await this.exchange(query(`listen "${channel.replaceAll('"', '""')}"`), () => {});
  }

  /** Feeds whole messages and hands on whole answers; tells the transaction status of the last ReadyForQuery. */
  async exchange(messages: Uint8Array, onFrames: (frames: Frame[]) => void): Promise<TransactionStatus | undefined> {
    const splitter = new FrameSplitter();
    let status: TransactionStatus | undefined;
    await this.#db.runExclusive(() =>
      this.#db.execProtocolRawStream(messages, {
        onRawData: (chunk) => {
          const frames = splitter.push(chunk);
          for (const { type, bytes } of frames) if (type === "Z") status = statusOf(bytes);
          onFrames(frames);
        },
      })
    );
    return status;
  }

  async #leave(): Promise<void> {
    const session = this.#current;
    this.#current = undefined;
    if (session === undefined) return;
    if (session.dirty) session.saved = await this.#save(session);
    session.dirty = false;
    await this.#db.exec("reset session authorization; reset role; reset all");
  }

  async #save(session: ClientSession): Promise<SavedSession> {
    const { rows } = await this.#db.query<{ name: string; setting: string }>(
      `select name, setting from pg_settings where source = 'session' and name <> 'session_authorization'
       union all
       select name, current_setting(name, true) from unnest($1::text[]) name where current_setting(name, true) <> ''`,
      [[...session.customSettings]],
    );
    const { rows: [who] } = await this.#db.query<{ user: string; role: string }>(
      `select session_user as "user", current_setting('role') as role`,
    );
    return {
      user: who?.user ?? session.saved.user,
      role: who?.role ?? "none",
      settings: new Map(rows.map(({ name, setting }) => [name, setting])),
    };
  }

  async #load({ user, role, settings }: SavedSession): Promise<void> {
    const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
    const statements = [...settings].map(([name, value]) =>
      `select set_config(${literal(name)}, ${literal(value)}, false)`
    );
    statements.push(`set session authorization ${literal(user)}`);
    if (role !== "none") statements.push(`set role ${literal(role)}`);
    // standard_conforming_strings is on: a quote is the only character that a literal must escape.
    await this.#db.exec(statements.join("; "));
  }
}

function statusOf(readyForQuery: Buffer): TransactionStatus {
  const status = String.fromCharCode(readyForQuery[5] ?? 0);
  return status === "T" || status === "E" ? status : "I";
}

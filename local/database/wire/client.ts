import type { Socket } from "node:net";
import type { Backend, TransactionStatus } from "./backend.ts";
import {
  authenticationOk,
  backendKeyData,
  copyInResponse,
  errorResponse,
  type Frame,
  FrameSplitter,
  leadingStrings,
  parameterStatus,
  ProtocolError,
  readyForQuery,
} from "./frames.ts";
import { ClientSession, type Effects, NO_EFFECTS } from "./session.ts";
import { readGreeting, settingsOf } from "./startup.ts";
import type { TurnEnd, Turns } from "./turns.ts";
import { Buffer } from "node:buffer";

/** Messages after which the client waits for an answer. */
const ENDS_A_BATCH = new Set(["Q", "S", "H", "F"]);
const DATABASE = "postgres";

/** One connection: reads whole batches of messages, takes its turn for each, writes the answers back. */
export class Client {
  readonly #id: number;
  readonly #socket: Socket;
  readonly #backend: Backend;
  readonly #turns: Turns<Client>;
  readonly #others: ReadonlySet<Client>;
  readonly #splitter = new FrameSplitter();
  #session: ClientSession | undefined;
  #greeting: Buffer | undefined = Buffer.alloc(0);
  #batch: Buffer[] = [];
  #copying = false;
  #status: TransactionStatus = "I";
  #statementsLost = false;
  #effects: Effects = NO_EFFECTS;
  #gone = false;
  #refused = false;

  constructor(id: number, socket: Socket, backend: Backend, turns: Turns<Client>, others: ReadonlySet<Client>) {
    this.#id = id;
    this.#socket = socket;
    this.#backend = backend;
    this.#turns = turns;
    this.#others = others;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#receive(chunk));
    // A broken connection ends like a closed one: "close" follows every "error".
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#leave());
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Ends a connection that holds up all others; its transaction is rolled back. */
  dismiss(): void {
    const message = "terminating connection due to idle-in-transaction timeout";
    this.#refuse("25P03", message, "The embedded database serves one transaction at a time, and others were waiting.");
  }

  #receive(chunk: Buffer): void {
    this.#guarded(() => {
      let rest = chunk;
      while (this.#greeting !== undefined && !this.#refused && rest.length > 0) rest = this.#greet(rest);
      if (!this.#refused && rest.length > 0) {
        for (const message of this.#splitter.push(rest)) this.#collect(message);
      }
    });
  }

  /** What cannot be a message ends this connection, and nothing else. */
  #guarded(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse("08P01", error.message);
    }
  }

  /** Consumes one greeting; gives back what follows it. */
  #greet(chunk: Buffer): Buffer {
    const buffer = Buffer.concat([this.#greeting ?? Buffer.alloc(0), chunk]);
    const read = readGreeting(buffer);
    if (read === undefined) {
      this.#greeting = buffer;
      return Buffer.alloc(0);
    }
    this.#greeting = Buffer.alloc(0);
    const { greeting, length } = read;
    if (greeting.kind === "encryption") this.#socket.write("N");
    if (greeting.kind === "cancel") this.#socket.end();
    if (greeting.kind === "unknown") this.#refuse("0A000", `unsupported frontend protocol ${greeting.protocol}`);
    if (greeting.kind === "startup") {
      this.#greeting = undefined;
      this.#turns.take(this, () => this.#begin(greeting.parameters));
    }
    return buffer.subarray(length);
  }

  async #begin(parameters: Map<string, string>): Promise<TurnEnd> {
    const user = parameters.get("user") ?? "";
    const database = parameters.get("database") ?? user;
    if (database !== DATABASE) {
      return this.#refuse("3D000", `database "${database}" does not exist`, `The embedded database is "${DATABASE}".`);
    }
    const saved = await this.#backend.newSession(user);
    if (saved === undefined) {
      return this.#refuse("28000", `role "${user}" does not exist or is not permitted to log in`);
    }
    for (const [name, value] of settingsOf(parameters)) saved.settings.set(name, value);
    const session = new ClientSession(this.#id, saved);
    try {
      await this.#backend.become(session);
    } catch (error) {
      return this.#refuse("22023", error instanceof Error ? error.message : String(error));
    }
    this.#session = session;
    const reported = [...await this.#backend.reportedSettings(), ["session_authorization", user] as const];
    this.#socket.write(Buffer.concat([
      authenticationOk(),
      ...reported.map(([name, value]) => parameterStatus(name, value)),
      backendKeyData(this.#id),
      readyForQuery("I"),
    ]));
    return "released";
  }

  #collect(message: Frame): void {
    if (this.#refused) return;
    if (message.type === "X") return void this.#socket.end();
    const session = this.#session;
    if (session === undefined) {
      // Sent before the startup was answered: it takes its turn behind it.
      return this.#turns.take(this, () => (this.#guarded(() => this.#collect(message)), Promise.resolve("released")));
    }
    const observed = session.observe(message);
    this.#batch.push(observed.bytes);
    this.#effects = {
      copiesIn: observed.copiesIn,
      dropsAllStatements: this.#effects.dropsAllStatements || observed.dropsAllStatements,
      stopsListening: this.#effects.stopsListening || observed.stopsListening,
    };
    if (observed.copiesIn) {
      // PGlite takes a COPY whole or not at all: the client is asked for its data before the server sees the command.
      this.#copying = true;
      this.#socket.write(copyInResponse());
      return;
    }
    const copyEnds = this.#copying && (message.type === "c" || message.type === "f");
    if (this.#copying ? !copyEnds : !ENDS_A_BATCH.has(message.type)) return;
    const hideCopyInResponse = this.#copying;
    this.#copying = false;
    const batch = Buffer.concat(this.#batch);
    const effects = this.#effects;
    this.#effects = NO_EFFECTS;
    this.#batch = [];
    this.#turns.take(
      this,
      () => this.#speak(session, batch, { flush: message.type === "H", hideCopyInResponse, effects }),
    );
  }

  async #speak(
    session: ClientSession,
    batch: Buffer,
    options: { flush: boolean; hideCopyInResponse: boolean; effects: Effects },
  ): Promise<TurnEnd> {
    if (this.#gone) return "released";
    await this.#backend.become(session);
    if (this.#statementsLost) await this.#backend.restoreStatements(session);
    this.#statementsLost = false;
    const status = await this.#backend.exchange(batch, (frames) => {
      for (const answer of frames) {
        if (answer.type === "A") this.#notify(answer);
        else if (!(answer.type === "G" && options.hideCopyInResponse)) this.#socket.write(answer.bytes);
      }
    });
    this.#status = status ?? this.#status;
    await this.#makeGood(options.effects);
    return this.#status === "I" && !options.flush ? "released" : "kept";
  }

  /** What one client may do to its own session would here be done to all: the others get back what was theirs. */
  async #makeGood({ dropsAllStatements, stopsListening }: Effects): Promise<void> {
    for (const other of this.#others) if (dropsAllStatements && other !== this) other.#statementsLost = true;
    if (!stopsListening) return;
    await this.#backend.listenAgain(
      new Set([...this.#others].flatMap((client) => [...client.#session?.channels ?? []])),
    );
  }

  /** A notification goes to everyone who listens, whoever's transaction sent it. */
  #notify(notification: Frame): void {
    const [channel = ""] = leadingStrings(notification, 1, 9);
    for (const client of this.#others) {
      if (client.#session?.channels.has(channel)) client.#socket.write(notification.bytes);
    }
  }

  #refuse(code: string, message: string, hint?: string): TurnEnd {
    this.#refused = true;
    this.#socket.end(errorResponse("FATAL", code, message, hint));
    return "released";
  }

  #leave(): void {
    this.#gone = true;
    this.#turns.forget(this);
    const session = this.#session;
    if (session === undefined) return;
    this.#turns.take(this, async () => {
      const othersUseTemporary = [...this.#others].some((other) =>
        other !== this && other.#session?.usesTemporaryTables
      );
      await this.#backend.drop(session, {
        inTransaction: this.#status !== "I",
        temporaryTables: session.usesTemporaryTables && !othersUseTemporary,
      });
      return "released";
    });
  }
}

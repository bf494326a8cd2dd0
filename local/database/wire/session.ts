import { type Frame, leadingStrings, renameStatement, statementOf } from "./frames.ts";
import { Buffer } from "node:buffer";

/** What makes a session differ from a fresh one, so that it can be put aside and taken up again. */
export interface SavedSession {
  user: string;
  role: string;
  settings: Map<string, string>;
}

/** Statements after which the session's settings may differ. A false alarm costs one look; a miss would leak. */
const MAY_CHANGE_SETTINGS =
  /(?:^|;|\*\/|\n)\s*(?:set(?!\s+(?:local|constraints|transaction)\b)|reset|discard)\b|set_config\s*\((?![^()]*,\s*true\s*\))/i;
const CUSTOM_SETTING = /\b([a-z_]\w*(?:\.[a-z_]\w*)+)\b/gi;
const DROPS_ALL_STATEMENTS = /\b(?:deallocate|discard)\s+(?:prepare\s+)?all\b/i;
const MAKES_TEMPORARY = /\b(?:temp|temporary)\b/i;
const LISTENS = /(?:^|;)\s*listen\s+("?)([\w$]+)\1/gi;
const STOPS_LISTENING = /(?:^|;)\s*unlisten\s+(?:\*|("?)([\w$]+)\1)/gi;
const DISCARDS_ALL = /\bdiscard\s+all\b/i;
const PREPARES = /(?:^|;)\s*prepare\s+("?)([\w$]+)\1/gi;
const COPIES_IN = /\bcopy\b[^;]*\bfrom\s+stdin\b/i;

/** What a message does to the one backend that every other client has to do with. */
export interface Effects {
  copiesIn: boolean;
  /** The statements of all clients are gone. */
  dropsAllStatements: boolean;
  /** Channels may be gone that others listen on. */
  stopsListening: boolean;
}

export const NO_EFFECTS: Effects = { copiesIn: false, dropsAllStatements: false, stopsListening: false };

/**
 * One client's session as the single backend must seem to hold it: settings, role, prepared statements, channels.
 * Statement names are made the client's own by a prefix, because two clients often choose the same.
 */
export class ClientSession {
  readonly id: number;
  saved: SavedSession;
  dirty = false;
  usesTemporaryTables = false;
  readonly channels = new Set<string>();
  readonly customSettings = new Set<string>();
  /** Statements that SQL's own PREPARE made; they are all clients' to see, and end with this one. */
  readonly sqlStatements = new Set<string>();
  /** The Parse message of each statement, under its prefixed name; the unnamed one under the empty name. */
  readonly statements = new Map<string, Buffer>();

  constructor(id: number, saved: SavedSession) {
    this.id = id;
    this.saved = saved;
  }

  /** Takes note of what the message does to the session; gives it back with its statement's name made unique. */
  observe(message: Frame): Frame & Effects {
    if (message.type === "Q") return { ...message, ...this.#observeText(leadingStrings(message, 1)[0] ?? "") };
    const renamed = renameStatement(message, (name) => (name === "" ? "" : `c${this.id}.${name}`));
    if (message.type === "P") {
      const [, text = ""] = leadingStrings(message, 2);
      this.statements.set(statementOf(renamed) ?? "", renamed.bytes);
      return { ...renamed, ...this.#observeText(text), copiesIn: false };
    }
    if (message.type === "C") this.statements.delete(statementOf(renamed) ?? "none");
    return { ...renamed, ...NO_EFFECTS };
  }

  #observeText(text: string): Effects {
    if (MAY_CHANGE_SETTINGS.test(text)) {
      this.dirty = true;
      for (const [name] of text.matchAll(CUSTOM_SETTING)) this.customSettings.add(name.toLowerCase());
    }
    for (const [, quote, channel = ""] of text.matchAll(LISTENS)) {
      this.channels.add(quote === "" ? channel.toLowerCase() : channel);
    }
    for (const [, quote, channel] of text.matchAll(STOPS_LISTENING)) {
      if (channel === undefined) this.channels.clear();
      else this.channels.delete(quote === "" ? channel.toLowerCase() : channel);
    }
    const discardsAll = DISCARDS_ALL.test(text);
    if (discardsAll) this.channels.clear();
    for (const [, , name = ""] of text.matchAll(PREPARES)) this.sqlStatements.add(name);
    if (MAKES_TEMPORARY.test(text)) this.usesTemporaryTables = true;
    const dropsAllStatements = DROPS_ALL_STATEMENTS.test(text);
    if (dropsAllStatements) this.statements.clear();
    return {
      copiesIn: COPIES_IN.test(text),
      dropsAllStatements,
      stopsListening: discardsAll || /\bunlisten\b/i.test(text),
    };
  }
}

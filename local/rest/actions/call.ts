import { maxAffectedNeedsSet } from "../errors.ts";
import { negotiate } from "../media-type.ts";
import { preferencesApplied } from "../preferences.ts";
import type { RestRequest } from "../request.ts";
import type { Routine, SchemaFacts } from "../schema/facts.ts";
import { findRoutine } from "../schema/routines.ts";
import { callWithArguments, callWithBody } from "../sql/call.ts";
import { countRows, readRows } from "../sql/read.ts";
import { readTree } from "../sql/read-tree.ts";
import { bodyOf, gather, noBody, sourceNamed } from "../sql/result.ts";
import type { Statement } from "../statement.ts";
import { rowsAnswer } from "./shared.ts";
import { refuseTooManyAffected } from "./write.ts";

/** The settings of a function that must hold before it is called: a time limit counts from the start of a statement. */
const HOISTED_SETTINGS = ["statement_timeout"];

export function callStatement(request: RestRequest, facts: SchemaFacts, routineName: string): Statement {
  const { method, query, preferences, range, payload } = request;
  const routine = findRoutine(facts, routineName, argumentNames(request), payload);
  const { returns, volatility } = routine;
  if (preferences.handling === "strict" && preferences.maxAffected !== undefined && !returns.isSet) {
    throw maxAffectedNeedsSet();
  }

  const tableName = returns.table ?? routineName;
  const tree = readTree(facts, query, {
    tableName,
    table: facts.tables.get(tableName),
    ...sourceNamed(tableName),
    range,
    isWritten: false,
  });
  const media = negotiate(request.headers.get("accept"));
  const isCounted = preferences.count === "exact" || preferences.count === "estimated";
  const isVoid = returns.kind === "void";

  return {
    main: gather({
      source: payload === undefined ? callWithArguments(routine, query.args) : callWithBody(routine, payload),
      rows: readRows(tree),
      body: method === "HEAD" || isVoid ? noBody : bodyOf(media, returns),
      count: isCounted ? countRows(tree) : undefined,
    }),
    media,
    isReadOnly: method !== "POST" || volatility !== "volatile",
    settings: hoistedSettings(routine),
    refuse: (result) => refuseTooManyAffected(request, result),
    answer: (result) => {
      const answer = rowsAnswer(request, result, {
        "Preference-Applied": preferencesApplied(preferences, ["count", "handling", "maxAffected"]),
      });
      if (isVoid) return { ...answer, status: 204, headers: { ...answer.headers, "Content-Profile": undefined } };
      return { ...answer, headers: { ...answer.headers, "Content-Type": media.contentType } };
    },
  };
}

function argumentNames({ query, payload }: RestRequest): string[] {
  if (payload?.kind === "json") return [...payload.keys];
  const named = payload?.kind === "form" ? payload.fields : query.args;
  return [...new Set(named.map(([name]) => name))];
}

function hoistedSettings({ settings }: Routine): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => HOISTED_SETTINGS.includes(name)));
}

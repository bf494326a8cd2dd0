import { ambiguousFunction, noFunction } from "../errors.ts";
import type { Payload } from "../payload.ts";
import type { Routine, SchemaFacts } from "./facts.ts";

/** Which types of a single unnamed parameter take the body of a POST. */
const TAKES_JSON = ["json", "jsonb"];

export function findRoutine(facts: SchemaFacts, name: string, args: readonly string[], body?: Payload): Routine {
  const namesakes = facts.routines.get(name) ?? [];
  const byName = body?.kind === "raw" ? [] : namesakes.filter((routine) => takesArguments(routine, args));
  const found = byName.length > 0 ? byName : namesakes.filter((routine) => takesBody(routine, body));
  const [first, second] = found;
  if (first === undefined) {
    const bodyType = body?.kind === "raw" ? body.type : body?.kind === "json" ? "json/jsonb" as const : undefined;
    throw noFunction({ name, args, bodyType, namesakes, others: facts.routines.keys() });
  }
  if (second !== undefined) throw ambiguousFunction(found);
  return first;
}

export function hasUnnamedParameter({ parameters: [first] }: Routine): boolean {
  return first?.name === "";
}

/** Every argument has its parameter, and every required parameter its argument. */
function takesArguments({ parameters }: Routine, args: readonly string[]): boolean {
  return args.every((arg) => parameters.some(({ name }) => name === arg)) &&
    parameters.every(({ name, required }) => name !== "" && (!required || args.includes(name)));
}

function takesBody(routine: Routine, body: Payload | undefined): boolean {
  const [only] = routine.parameters;
  if (only === undefined || !hasUnnamedParameter(routine)) return false;
  return body?.kind === "json" ? TAKES_JSON.includes(only.type) : body?.kind === "raw" && body.type === only.type;
}

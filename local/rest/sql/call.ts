import type { Payload } from "../payload.ts";
import type { Parameter, Routine } from "../schema/facts.ts";
import { hasUnnamedParameter } from "../schema/routines.ts";
import { join, list, name, nothing, type Sql, sql, trusted, value } from "./sql.ts";
import { fromBody } from "./write.ts";

/** Arguments by name, as a URL or a form gives them: more than one value for a variadic parameter. */
export type NamedArguments = readonly (readonly [name: string, value: string])[];

export function callWithBody(routine: Routine, body: Payload): Sql {
  if (body.kind === "form") return callWithArguments(routine, body.fields);
  if (hasUnnamedParameter(routine)) {
    const [parameter] = routine.parameters;
    const whole = value(body.kind === "json" ? body.text : body.body);
    return sql`select ${result(routine)} from ${called(routine, sql`${whole}::${trusted(parameter?.type ?? "text")}`)}`;
  }
  const given = body.kind === "json" ? routine.parameters.filter(({ name }) => body.keys.includes(name)) : [];
  if (body.kind !== "json" || given.length === 0) {
    return sql`select ${result(routine)} from ${called(routine, nothing)}`;
  }

  // Of several objects only the first makes the call.
  const first = { text: body.text, isArray: body.isArray };
  const columns = given.map(({ name, type }) => [name, { type, default: null }] as const);
  const args = list(given.map((parameter) => argument(parameter, sql`pgrst_arguments.${name(parameter.name)}`)));
  return sql`select ${result(routine)} from (select pgrst_body.* ${
    fromBody(columns, first)
  } limit 1) as pgrst_arguments, lateral ${called(routine, args)}`;
}

export function callWithArguments(routine: Routine, given: NamedArguments): Sql {
  const args = routine.parameters.flatMap((parameter) => {
    const values = given.filter(([name]) => name === parameter.name).map(([, text]) => text);
    const last = values.at(-1);
    if (last === undefined) return [];
    const type = trusted(parameter.type);
    const whole = parameter.variadic
      ? sql`array[${list(values.map((text) => value(text)))}]::${type}`
      : sql`${value(last)}::${type}`;
    return [argument(parameter, whole)];
  });
  return sql`select ${result(routine)} from ${called(routine, join(args, ", "))}`;
}

function argument(parameter: Parameter, given: Sql): Sql {
  return sql`${parameter.variadic ? sql`variadic ` : nothing}${name(parameter.name)} := ${given}`;
}

function called({ name: routineName, returns }: Routine, args: Sql): Sql {
  const call = sql`"public".${name(routineName)}(${args})`;
  return returns.kind === "row" ? sql`${call} as pgrst_call` : sql`(select ${call} as pgrst_scalar) as pgrst_call`;
}

function result({ returns }: Routine): Sql {
  return returns.kind === "row" ? sql`pgrst_call.*` : sql`pgrst_call.pgrst_scalar`;
}

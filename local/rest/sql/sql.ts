/**
 * SQL text that carries its parameters with it. Whatever comes from a request enters either as a parameter (`value`)
 * or as a quoted identifier (`name`); the template accepts nothing but `Sql`, so a plain string cannot slip in.
 */
export class Sql {
  readonly #texts: readonly string[];
  readonly #values: readonly unknown[];

  constructor(texts: readonly string[], values: readonly unknown[]) {
    this.#texts = texts;
    this.#values = values;
  }

  /** Joins the parts of a template: texts and fragments alternate, parameters keep their order. */
  static splice(texts: readonly string[], fragments: readonly Sql[]): Sql {
    const joined = [texts[0] ?? ""];
    const values: unknown[] = [];
    fragments.forEach((fragment, i) => {
      const [first = "", ...rest] = fragment.#texts;
      joined[joined.length - 1] += first;
      joined.push(...rest);
      values.push(...fragment.#values);
      joined[joined.length - 1] += texts[i + 1] ?? "";
    });
    return new Sql(joined, values);
  }

  get isEmpty(): boolean {
    return this.#values.length === 0 && this.#texts.join("") === "";
  }

  /** The statement as the driver takes it, parameters numbered from $1. */
  compile(): { text: string; values: unknown[] } {
    const text = this.#texts.reduce((before, after, i) => `${before}$${i}${after}`);
    return { text, values: [...this.#values] };
  }
}

export function sql(texts: TemplateStringsArray, ...fragments: Sql[]): Sql {
  return Sql.splice(texts, fragments);
}

export const nothing: Sql = new Sql([""], []);

/** A parameter whose type Postgres infers from where it stands, as it does for a quoted literal. */
export function value(parameter: string | Uint8Array | null): Sql {
  return new Sql(["", ""], [parameter]);
}

/** A quoted identifier. Postgres ends names at a null character, and so does this. */
export function name(identifier: string): Sql {
  const upToNull = identifier.split("\0", 1)[0] ?? "";
  return new Sql([`"${upToNull.replaceAll('"', '""')}"`], []);
}

/** Text from the schema facts or from a closed list of keywords: never from a request. */
export function trusted(text: string): Sql {
  return new Sql([text], []);
}

export function join(fragments: readonly Sql[], separator: string): Sql {
  if (fragments.length === 0) return nothing;
  return Sql.splice(["", ...Array(fragments.length - 1).fill(separator), ""], fragments);
}

export function list(fragments: readonly Sql[]): Sql {
  return join(fragments, ", ");
}

/** `and`-ed conditions with their `where`, or nothing at all. */
export function where(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? nothing : sql` where ${join(conditions, " and ")}`;
}

/** One statement of an SQL file, and the line on which it begins. */
export interface Statement {
  text: string;
  line: number;
}

/** Whatever may hold a semicolon that ends nothing: comments, strings, quoted names, dollar-quoted bodies. */
const OPAQUE = /--[^\n]*|\/\*|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$|;/g;

/** Cuts an SQL file into its statements, so that a failure can be told by its line. */
export function splitStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let start = 0;
  const take = (end: number) => {
    const lead = leadingBlank(sql.slice(start, end));
    const text = sql.slice(start + lead, end).trim();
    if (text !== "") statements.push({ text, line: 1 + countLines(sql.slice(0, start + lead)) });
    start = end + 1;
  };
  OPAQUE.lastIndex = 0;
  for (let match = OPAQUE.exec(sql); match !== null; match = OPAQUE.exec(sql)) {
    const token = match[0];
    if (token === ";") take(match.index);
    else if (token === "/*") OPAQUE.lastIndex = endOfComment(sql, match.index);
    else if (token.startsWith("$")) {
      const end = sql.indexOf(token, OPAQUE.lastIndex);
      OPAQUE.lastIndex = end === -1 ? sql.length : end + token.length;
    } else if (token.startsWith("'") && /(?:^|\W)e$/i.test(sql.slice(Math.max(0, match.index - 2), match.index))) {
      OPAQUE.lastIndex = endOfEscapeString(sql, match.index);
    }
  }
  take(sql.length);
  return statements;
}

/** The length of the white space and comments before the first word. */
function leadingBlank(text: string): number {
  const blank = /^(?:\s+|--[^\n]*(?:\n|$))*/.exec(text);
  return blank?.[0].length ?? 0;
}

function endOfComment(sql: string, from: number): number {
  let depth = 0;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = from;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
}

function endOfEscapeString(sql: string, from: number): number {
  const string = /'(?:[^'\\]|''|\\[\s\S])*'/y;
  string.lastIndex = from;
  return string.test(sql) ? string.lastIndex : sql.length;
}

function countLines(text: string): number {
  return text.split("\n").length - 1;
}

/** What the stack says on its terminal: short lines for people, requests only when asked for. */
import process from "node:process";
export interface Log {
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
  /** Shown with `--verbose` alone. */
  detail(line: string): void;
}

export function createLog(options: { verbose: boolean; color?: boolean } = { verbose: false }): Log {
  const color = options.color ?? (process.stderr.isTTY === true && process.env.NO_COLOR === undefined);
  const paint = (code: number, text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    info: (line) => console.log(line),
    warn: (line) => console.error(`${paint(33, "warning")} ${line}`),
    error: (line) => console.error(`${paint(31, "error")} ${line}`),
    detail: (line) => {
      if (options.verbose) console.error(paint(2, line));
    },
  };
}

import type { Readable } from "node:stream";

/** The longest message that the platform's logs keep. */
const LONGEST = 10_000;

/** Hands over each line that says something as soon as it is complete, and the last one even when it is not. */
export function onLine(stream: Readable, use: (line: string) => void): void {
  let partial = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (partial + text).split(/\r?\n/);
    partial = (lines.pop() ?? "").slice(0, LONGEST);
    for (const line of lines) if (line.trim() !== "") use(line.slice(0, LONGEST));
  });
  stream.on("end", () => {
    if (partial.trim() !== "") use(partial);
  });
}

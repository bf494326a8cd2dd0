import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * What the given files and folders look like now, as one string that any edit changes.
 * It is taken before a process starts and compared at each call, so that an edit finished before a call is always
 * seen by it: a watcher's event may come after. A few dozen files take well under a millisecond.
 */
export function stampOf(paths: string[]): string {
  const stamps: string[] = [];
  for (const path of paths) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) addFolder(path, stamps);
    else addStamp(path, stamps);
  }
  return stamps.join("\n");
}

/** Links to folders are not followed: they may lead back to where they are. */
function addFolder(folder: string, stamps: string[]): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === "node_modules" || entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) addFolder(path, stamps);
    else addStamp(path, stamps);
  }
}

function addStamp(file: string, stamps: string[]): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile()) stamps.push(`${file} ${stats.mtimeMs} ${stats.size} ${stats.ino}`);
}

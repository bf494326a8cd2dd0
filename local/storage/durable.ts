import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";

/** Opens a file, lets `use` have it, has its bytes reach the disk, and closes it whatever happens. */
export async function withSyncedFile(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A new name is safe from a crash only when the folder that holds it has reached the disk too. */
export async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and has no need to.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, and those above it, so that they outlive a crash. */
export async function makeDurableFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { signLegacy } from "../../../local/auth/tokens.ts";
import { Database } from "../../../local/database/database.ts";
import { createStorage } from "../../../local/storage/storage.ts";
import { stack } from "../../support/stack.ts";

export const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn(), detail: vi.fn() };

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "accord-storage-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Every file below a folder that is not a folder itself. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** A storage service of this test's own, on the database of the stack, with a folder to look into. */
export async function ownService(database = new Database(stack().databaseUrl)): Promise<
  { folder: string; send(method: string, path: string, init?: RequestInit): Promise<Response> }
> {
  const folder = await newFolder();
  onTestFinished(() => database.close());
  const service = createStorage({ database, directory: folder, publicUrl: stack().url, log });
  const authorization = `Bearer ${await signLegacy({ role: "service_role" })}`;
  return {
    folder,
    send: (method, path, init) =>
      service.fetch(
        new Request(`${stack().url}/storage/v1${path}`, {
          method,
          ...init,
          headers: { authorization, ...Object.fromEntries(new Headers(init?.headers)) },
        }),
      ),
  };
}

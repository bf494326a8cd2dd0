import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, realpathSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf, messageOf, StartError } from "./errors.ts";
import process from "node:process";

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes a data folder for this process alone. The lock is a listening socket: it ends with the process however the
 * process ends, and a stale one is told from a live one by knocking.
 */
export async function lockFolder(folder: string): Promise<Lock> {
  makeFolder(folder);
  const name = `accord-${createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 24)}`;
  const path = process.platform === "win32" ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
  const server = createServer((socket) => socket.end());
  const listening = () =>
    new Promise<void>((done, failed) => {
      server.once("error", failed);
      server.listen(path, () => {
        server.off("error", failed);
        done();
      });
    });
  try {
    await listening();
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    if (await answers(path)) {
      throw new StartError(
        `The data folder ${folder} is in use by another stack. Stop it, or name another with --data.`,
      );
    }
    rmSync(path, { force: true });
    await listening();
  }
  server.unref();
  return { release: () => new Promise((done) => server.close(() => done())) };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = codeOf(cause) ?? messageOf(cause);
    throw new StartError(`The data folder ${folder} cannot be written (${reason}). Name another with --data.`, {
      cause,
    });
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

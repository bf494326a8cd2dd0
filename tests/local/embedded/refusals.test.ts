import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authenticationOk, frame, readyForQuery } from "../../../local/database/wire/frames.ts";
import { launch, LaunchFailure } from "../../support/launch.ts";
import { Buffer } from "node:buffer";

let folder: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "accord-refusals-"));
});

afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
});

async function take(onConnection: Parameters<typeof createServer>[1] = () => {}): Promise<number> {
  const taken = createServer(onConnection);
  server = taken;
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** What a start that must fail says: one line, exit code 1. */
async function refusal(...args: string[]): Promise<string> {
  const failure = await launch(args).then(
    async (stack) => {
      await stack.stop();
      throw new Error("it started");
    },
    (error: unknown) => error,
  );
  if (!(failure instanceof LaunchFailure)) throw failure;
  expect(failure.exitCode).toBe(1);
  const lines = failure.output.trim().split("\n");
  expect(lines, failure.output).toHaveLength(1);
  return lines[0] ?? "";
}

describe("a stack that cannot start says so in one line, and leaves nothing behind", () => {
  it("when the port of the API is taken", async () => {
    const port = await take();
    expect(await refusal("--data", join(folder, "data"), "--port", String(port)))
      .toBe(`error Port ${port} is in use. Stop what holds it, or choose another with --port.`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("when the port of the database is taken", async () => {
    const port = await take();
    expect(await refusal("--data", join(folder, "data"), "--db-port", String(port)))
      .toBe(`error Port ${port} is in use. Stop what holds it, or choose another with --db-port.`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("when the data folder cannot be written", async () => {
    writeFileSync(join(folder, "file"), "");
    const data = join(folder, "file", "data");
    expect(await refusal("--data", data))
      .toBe(`error The data folder ${data} cannot be written (ENOTDIR). Name another with --data.`);
  });

  it("when the data folder holds something else", async () => {
    mkdirSync(join(folder, "database"));
    writeFileSync(join(folder, "database", "holiday.jpg"), "");
    expect(await refusal("--data", folder)).toBe(
      `error The data folder ${join(folder, "database")} holds no database (PG_VERSION is missing). ` +
        "Move the folder away, or name another one with --data.",
    );
    expect(readdirSync(join(folder, "database"))).toEqual(["holiday.jpg"]);
  });

  it("when the data folder was made by another Postgres", async () => {
    mkdirSync(join(folder, "database"));
    writeFileSync(join(folder, "database", "PG_VERSION"), "16\n");
    expect(await refusal("--data", folder)).toContain("was made by Postgres 16, and this is 18.");
  });

  it("when the data folder is damaged", async () => {
    const stack = await launch(["--data", folder]);
    expect(await stack.stop()).toBe(0);
    truncateSync(join(folder, "database", "global", "pg_control"), 100);
    const said = await refusal("--data", folder);
    expect(said).toContain(`The data folder ${join(folder, "database")} cannot be opened`);
    expect(said).toContain("Move it away, or name another one with --data.");
  });

  it("when another stack has the data folder", async () => {
    const stack = await launch(["--data", folder]);
    expect(await refusal("--data", folder))
      .toBe(`error The data folder ${folder} is in use by another stack. Stop it, or name another with --data.`);
    expect(await stack.stop()).toBe(0);
  });

  it("when the database does not answer", async () => {
    expect(await refusal("--data", folder, "--database-url", "postgresql://me:secret@127.0.0.1:1/postgres")).toBe(
      "error The database at postgresql://me@127.0.0.1:1/postgres cannot be reached: ECONNREFUSED. Check --database-url.",
    );
  });

  it("when the database is too old", async () => {
    const text = (value: string) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(value.length);
      return Buffer.concat([length, Buffer.from(value)]);
    };
    const column = (name: string, type: number) =>
      Buffer.concat([Buffer.from(`${name}\0`), Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, type, 0, 0, 0, 0, 0, 0, 0, 0])]);
    let greeted = false;
    const port = await take((socket) => {
      socket.on("data", (message: Buffer) => {
        if (greeted && String.fromCharCode(message[0] ?? 0) !== "Q") return;
        socket.write(
          greeted
            ? Buffer.concat([
              frame("T", Buffer.from([0, 2]), column("number", 23), column("name", 25)),
              frame("D", Buffer.from([0, 2]), text("130014"), text("13.14")),
              frame("C", "SELECT 1\0"),
              readyForQuery("I"),
            ])
            : Buffer.concat([authenticationOk(), readyForQuery("I")]),
        );
        greeted = true;
      });
    });
    expect(await refusal("--data", folder, "--database-url", `postgresql://me@127.0.0.1:${port}/postgres`))
      .toContain("is Postgres 13.14; 15 or newer is needed, 17 is best.");
  });

  it.each([
    [["--prot", "1"], "error Unknown option '--prot'. See npm start -- --help."],
    [["--port", "many"], 'error --port takes a number, not "many". See npm start -- --help.'],
    [["--db-port", "70000"], 'error --db-port takes a port of at most 65535, not "70000". See npm start -- --help.'],
    [["now"], "error Unexpected argument 'now'. See npm start -- --help."],
    [["--database-url", "mysql://x"], "error --database-url takes postgresql://user:password@host:5432/database. See"],
    [["--memory", "--data", "x"], "error --memory and --data exclude each other"],
    [
      ["--memory", "--database-url", "postgresql://x@127.0.0.1/y"],
      "error --memory and --database-url exclude each other",
    ],
  ])("when asked for %j", async (args, said) => {
    expect(await refusal(...args)).toContain(said);
  });
});

describe("a stack that ends", () => {
  it("by Ctrl-C keeps its state, exits 0 and can start again", async () => {
    const stack = await launch(["--data", folder]);
    expect(await stack.stop()).toBe(0);
    const again = await launch(["--data", folder]);
    expect(again.output()).toContain("up to date");
    expect(await again.stop()).toBe(0);
  });

  it("keeps nothing with --memory", async () => {
    const stack = await launch(["--memory"], { TMPDIR: folder });
    const kept = () => readdirSync(folder).filter((name) => name.startsWith("accord-"));
    expect(kept()).not.toEqual([]);
    expect(await stack.stop()).toBe(0);
    expect(kept()).toEqual([]);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuth } from "./auth/auth.ts";
import { bootstrap, type Workers } from "./database/bootstrap.ts";
import { Database } from "./database/database.ts";
import { migrate } from "./database/migrations.ts";
import { type OpenDatabase, openEmbedded, openExternal, withoutPassword } from "./database/open.ts";
import { codeOf, StartError } from "./errors.ts";
import { locateDeno } from "./functions/deno-binary.ts";
import { passedThrough, platformEnvironment } from "./functions/environment.ts";
import { createFunctions } from "./functions/functions.ts";
import { createGateway } from "./gateway/gateway.ts";
import { listen } from "./gateway/listen.ts";
import type { Service } from "./gateway/service.ts";
import { SECRET_KEY } from "./keys.ts";
import { lockFolder } from "./lock.ts";
import type { Log } from "./log.ts";
import type { StackOptions } from "./options.ts";
import { createRest } from "./rest/rest.ts";
import { startCron } from "./schedules/cron.ts";
import { startNet } from "./schedules/net.ts";
import { createStorage } from "./storage/storage.ts";

export interface Stack {
  url: string;
  databaseUrl: string;
  database: OpenDatabase["kind"];
  migrations: string[];
  seeded: boolean;
  close(): Promise<void>;
}

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
/** What of the developer's environment the functions see: the provider's settings and Accord's own. */
const FUNCTION_VARIABLES = /^(OPENAI_|ACCORD_)/;

/** Starts everything in order; if anything fails, what had started ends again before the error is told. */
export async function startStack(options: StackOptions, log: Log, onBroken: (message: string) => void): Promise<Stack> {
  const undo: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return { ...await start(options, log, onBroken, undo), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  options: StackOptions,
  log: Log,
  onBroken: (message: string) => void,
  undo: (() => Promise<void> | void)[],
): Promise<Omit<Stack, "close">> {
  await refuseTakenPort(options.port, "--port");
  if (options.databaseUrl === undefined) await refuseTakenPort(options.databasePort, "--db-port");
  const directory = await takeDirectory(options, undo);

  const opened = options.databaseUrl === undefined
    ? await openEmbedded({
      directory: options.dataDirectory === undefined ? undefined : join(directory, "database"),
      port: options.databasePort,
    }, onBroken)
    : await openExternal(options.databaseUrl);
  undo.push(opened.close);
  const workers = await bootstrap(opened.stackUrl);
  const seed = options.seed && isThisMachine(opened.url);
  if (options.seed && !seed) {
    log.warn(`${withoutPassword(opened.url)} is not on this machine: its users are not seeded`);
  }
  const { applied, seeded } = await migrate(opened.url, join(PROJECT, "supabase"), { seed });

  const database = new Database(opened.stackUrl);
  undo.push(() => database.close());
  await startWorkers(workers, opened.stackUrl, log, undo);

  const rest = createRest({ database, log });
  undo.push(() => rest.close());
  // The services sign and compare their own address, so the port must be known before they are made.
  const behindPort: { gateway?: Service } = {};
  const starting = () => Promise.resolve(Response.json({ message: "The stack is starting" }, { status: 503 }));
  const listening = await listen({
    fetch: (request) => behindPort.gateway?.fetch(request) ?? starting(),
  }, { port: options.port });
  undo.push(listening.close);
  const url = `http://127.0.0.1:${listening.port}`;
  const functions = createFunctions({
    directory: join(PROJECT, "supabase", "functions"),
    configPath: join(PROJECT, "supabase", "config.toml"),
    environment: {
      ...passedThrough(FUNCTION_VARIABLES),
      ...await platformEnvironment({ url, databaseUrl: opened.url }),
    },
    denoPath: locateDeno(),
    cacheDirectory: join(directory, "deno"),
    log,
  });
  undo.push(() => functions.close());
  behindPort.gateway = createGateway({
    services: {
      rest,
      auth: createAuth({ database, publicUrl: url, log }),
      storage: createStorage({ database, directory: join(directory, "storage"), publicUrl: url, log }),
      functions,
    },
    log,
  });
  if (isThisMachine(opened.url)) await keepOwnSecrets(database, url);
  else log.warn(`${withoutPassword(opened.url)} is not on this machine: its Vault is left as it is`);
  return { url, databaseUrl: opened.url, database: opened.kind, migrations: applied, seeded };
}

async function takeDirectory(options: StackOptions, undo: (() => Promise<void> | void)[]): Promise<string> {
  if (options.dataDirectory === undefined) {
    const directory = mkdtempSync(join(tmpdir(), "accord-"));
    undo.push(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
  }
  const lock = await lockFolder(options.dataDirectory);
  undo.push(lock.release);
  return options.dataDirectory;
}

async function startWorkers(
  workers: Workers,
  url: string,
  log: Log,
  undo: (() => Promise<void> | void)[],
): Promise<void> {
  if (!workers.net) undo.push((await startNet(url, log)).close);
  if (!workers.cron) undo.push((await startCron(url, log)).close);
}

/** What the database needs to call this stack's functions; what somebody else has put there stays. */
async function keepOwnSecrets(database: Database, url: string): Promise<void> {
  await database.asStack(async (tx) => {
    for (const [name, value] of [["project_url", url], ["automations_key", SECRET_KEY]] as const) {
      await tx.query(
        `select case
           when s.id is null then vault.create_secret($2, $1, 'Set by the development stack')::text
           when s.decrypted_secret <> $2 and s.description = 'Set by the development stack'
             then vault.update_secret(s.id, $2)::text
         end
         from (values (1)) as one
         left join vault.decrypted_secrets as s on s.name = $1`,
        [name, value],
      );
    }
  });
}

function isThisMachine(databaseUrl: string): boolean {
  const { hostname } = new URL(databaseUrl);
  return ["", "localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

async function refuseTakenPort(port: number, option: string): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen(port, "127.0.0.1", resolve);
    });
  } catch (cause) {
    const reason = codeOf(cause) === "EADDRINUSE"
      ? "is in use. Stop what holds it, or choose"
      : "cannot be opened. Choose";
    throw new StartError(`Port ${port} ${reason} another with ${option}.`, { cause });
  }
  await new Promise<void>((resolve) => probe.close(() => resolve()));
}
